// run_summary_html.cc: tables and charts from a summary.
#include "reports/run_summary_html.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/charts.h"
#include "reports/page.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

std::string activity(const RunSummary& summary, const std::string& id, int level) {
  Columns columns{
      .layers = std::vector<std::vector<double>>(3), .looks = {"g", "wt", "f"}, .end_ms = ms(summary.end_ns)};
  Table told{.caption = "The same in numbers, a row for ten columns",
             .columns = {{"from ms", true}, {"operations", true}, {"commits", true}, {"waits", true}, {"faults", true}},
             .rows = {},
             .tall = false};
  constexpr std::size_t kTogether = 10;
  RunSummary::Slice sum;
  for (std::size_t i = 0; i < summary.slices.size(); ++i) {
    const RunSummary::Slice& slice = summary.slices[i];
    columns.layers[0].push_back(static_cast<double>(slice.commits));
    columns.layers[1].push_back(static_cast<double>(slice.waits));
    columns.layers[2].push_back(static_cast<double>(slice.faults));
    sum.operations += slice.operations;
    sum.commits += slice.commits;
    sum.waits += slice.waits;
    sum.faults += slice.faults;
    if (i % kTogether + 1 < kTogether) continue;
    const double from =
        ms(summary.end_ns) * static_cast<double>(i + 1 - kTogether) / static_cast<double>(summary.slices.size());
    told.rows.push_back({Cell::number(from, 2), Cell::number(sum.operations), Cell::number(sum.commits),
                         Cell::number(sum.waits), Cell::number(sum.faults)});
    sum = {};
  }
  const std::string picture = columns_svg(
      columns, "Activity over time", "Commits, waits and faults, counted in equal slices of the run.", id + "-act");
  return section(
      id + "-activity", "Activity over time",
      figure(picture,
             "<span><svg class=\"key\" width=\"14\" height=\"12\" aria-hidden=\"true\"><rect class=\"bar g\" "
             "width=\"14\" height=\"12\"/></svg>commits (below)</span><span><svg class=\"key\" width=\"14\" "
             "height=\"12\" aria-hidden=\"true\"><rect class=\"bar wt\" width=\"14\" "
             "height=\"12\"/></svg>waits (hatched)</span><span><svg class=\"key\" width=\"14\" height=\"12\" "
             "aria-hidden=\"true\"><rect class=\"bar f\" width=\"14\" height=\"12\"/></svg>faults "
             "(above)</span>") +
          table(told),
      level);
}

std::string actors_table(const record::Run& run, const RunSummary& summary) {
  Table all{.caption = "Actors",
            .columns = {{"actor"},
                        {"operations", true},
                        {"commits", true},
                        {"retries", true},
                        {"faults", true},
                        {"waits", true},
                        {"waited ms", true}},
            .rows = {},
            .tall = summary.actors.size() > 16};
  constexpr std::size_t kMost = 500;
  for (std::size_t i = 0; i < std::min(kMost, summary.actors.size()); ++i) {
    const RunSummary::ActorCounts& actor = summary.actors[i];
    all.rows.push_back({run.actors[i], Cell::number(actor.operations), Cell::number(actor.commits),
                        Cell::number(actor.retries), Cell::number(actor.faults), Cell::number(actor.waits),
                        Cell::number(ms(actor.waited_ns), 2)});
  }
  if (summary.actors.size() > kMost) all.caption += fmt::format(" (the first {} of {})", kMost, summary.actors.size());
  return table(all);
}

std::string objects_table(const RunSummary& summary) {
  Table all{.caption = "Where the time went: what was waited for longest",
            .columns = {{"what"}, {"waits", true}, {"waited ms", true}},
            .rows = {}};
  for (const auto& [name, counts] : summary.busiest(30)) {
    all.rows.push_back(
        {name.empty() ? "(others)" : name, Cell::number(counts.waits), Cell::number(ms(counts.waited_ns), 2)});
  }
  return all.rows.empty() ? std::string() : table(all);
}

std::string longest_table(const record::Run& run, const RunSummary& summary) {
  Table all{.caption = "The longest waits",
            .columns = {{"actor"}, {"for what"}, {"held by"}, {"since ms", true}, {"waited ms", true}, {"ended"}},
            .rows = {}};
  for (const RunSummary::LongWait& wait : summary.longest) {
    std::string whom;
    for (const int other : wait.others) {
      whom += (whom.empty() ? "" : ", ") +
              (other == record::kNobody ? std::string("somebody else") : run.actors[static_cast<std::size_t>(other)]);
    }
    all.rows.push_back({run.actors[static_cast<std::size_t>(wait.actor)], wait.object, whom,
                        Cell::number(ms(wait.since_ns), 2), Cell::number(ms(wait.waited_ns), 2), wait.ended});
  }
  return all.rows.empty() ? std::string() : table(all);
}

std::string wait_curve(const RunSummary& summary, const std::string& id, int level) {
  if (summary.waits.count() == 0) return {};
  static constexpr std::pair<double, const char*> kShares[] = {{0.5, "p50"},  {0.75, "p75"},    {0.9, "p90"},
                                                               {0.99, "p99"}, {0.999, "p99.9"}, {0.9999, "p99.99"}};
  Curve curve{.name = "waits", .points = {}};
  Axes axes{.x_title = "share of the waits that were shorter", .y_title = "ms", .x_ticks = {}, .log_y = true};
  Table told{.caption = "How long waits were", .columns = {{"share"}, {"ms", true}}, .rows = {}, .sortable = false};
  double at = 0;
  for (const auto& [share, name] : kShares) {
    if (share > 0.5 && static_cast<double>(summary.waits.count()) * (1 - share) < 1) break;
    const double value = ms(summary.waits.quantile(share).count());
    curve.points.emplace_back(at, value);
    axes.x_ticks.push_back({at, name});
    told.rows.push_back({name, Cell::number(value, 3)});
    ++at;
  }
  curve.points.emplace_back(at, ms(summary.waits.max().count()));
  axes.x_ticks.push_back({at, "max"});
  told.rows.push_back({"max", Cell::number(ms(summary.waits.max().count()), 3)});
  const std::string picture =
      curves_svg({curve}, axes, "How long waits were", "Percentiles of the waits, towards the tail.", id + "-wc");
  return section(id + "-waits", "How long waits were", figure(picture, "") + table(told), level);
}

}  // namespace

std::string summary_html(const OpenRecording& recording, const std::string& id, int level) {
  const RunSummary& summary = *recording.summary;
  std::string text = "<p>" + grouped(summary.events) + " events" +
                     " are too many for lanes; this is the run in numbers. " +
                     "For every span, open the trace in a trace viewer (Perfetto, chrome://tracing):</p>" +
                     command("lockstep report " + recording.run.id + " --format trace");
  text += activity(summary, id, level);
  text += section(id + "-who", "Who waited, and for what",
                  actors_table(recording.run, summary) + objects_table(summary) + longest_table(recording.run, summary),
                  level);
  return text + wait_curve(summary, id, level);
}

std::string faults_html(const std::map<std::string, std::uint64_t>& faults, const std::string& id, int level) {
  if (faults.empty()) return {};
  std::vector<Bar> bars;
  Table told{.caption = "Failed operations by cause", .columns = {{"cause"}, {"times", true}}, .rows = {}};
  for (const auto& [name, count] : faults) {
    bars.push_back({.label = name, .value = static_cast<double>(count), .text = grouped(count), .look = "f"});
    told.rows.push_back({name, Cell::number(count)});
  }
  std::sort(bars.begin(), bars.end(), [](const Bar& a, const Bar& b) { return a.value > b.value; });
  return section(
      id + "-faults", "Aborts by cause",
      figure(bars_svg(bars, "Aborts by cause", "One bar a cause; the table has the numbers.", id + "-fb"), "") +
          table(told),
      level);
}

}  // namespace lockstep::reports
