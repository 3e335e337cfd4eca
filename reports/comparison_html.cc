// comparison_html.cc: arranges a comparison into charts and tables.
#include "reports/comparison_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/record/comparison.h"
#include "engine/record/comparison_change.h"
#include "reports/charts.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

using record::ComparedGroup;
using record::ComparedRow;
using record::Comparison;
using record::Estimate;

constexpr double kNoBound = 1e9;  // comparison.h: an interval without an upper end

/// What a load is varied by.
struct Axis {
  const char* name;
  double (*of)(const ComparedGroup&);
};
constexpr std::array<Axis, 4> kAxes = {{
    {"sessions", [](const ComparedGroup& group) { return static_cast<double>(group.sessions); }},
    {"theta", [](const ComparedGroup& group) { return group.theta; }},
    {"read %", [](const ComparedGroup& group) { return static_cast<double>(group.read_percent); }},
    {"rate", [](const ComparedGroup& group) { return group.rate; }},
}};

/// `but`: the axis that a sweep varies, left out; nullptr: none.
std::string load_of(const ComparedGroup& group, const char* but = nullptr) {
  const std::string_view left_out = but == nullptr ? "" : but;
  std::string text = fmt::format("{} · {}", group.store, group.executor);
  if (group.helpers > 0) text += fmt::format(", calls on at most {} helper threads", group.helpers);
  if (left_out != "sessions") {
    text += " · " + counted(static_cast<unsigned>(group.sessions), "session", "sessions");
  }
  text += " · " + counted(group.rows, "row", "rows");
  if (left_out != "theta") text += fmt::format(" · theta {:g}", group.theta);
  if (left_out != "read %" && group.read_percent >= 0) text += fmt::format(" · {} % read", group.read_percent);
  if (left_out != "rate" && group.rate > 0) text += fmt::format(" · {:g} a second wanted", group.rate);
  return text;
}

/// The number of a strategy among those that pictures show: it looks the same on all of them.
int look_of(const Comparison& comparison, const std::string& strategy) {
  std::set<std::string> drawn;
  for (const ComparedGroup& group : comparison.groups)
    for (const ComparedRow& row : group.strategies)
      if (row.correct()) drawn.insert(row.strategy);
  return static_cast<int>(std::distance(drawn.begin(), drawn.lower_bound(strategy)));
}

Cell whole(double value) { return Cell::number(static_cast<std::uint64_t>(value + 0.5)); }
std::string per_s(double value) { return grouped(static_cast<std::uint64_t>(value + 0.5)); }

std::string ratio(const std::optional<Estimate>& vs_best, const std::string& place) {
  if (place == "best") return "best";
  if (!vs_best) return place;
  const std::string high = vs_best->high >= kNoBound ? "no bound" : fmt::format("{:.2f}", vs_best->high);
  return fmt::format("{:.2f} [{:.2f}–{}]", vs_best->median, vs_best->low, high);
}

std::string aborts_of(const ComparedRow& row) {
  std::string text;
  for (const auto& [name, count] : row.aborts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, grouped(count));
  return text.empty() ? "–" : text;
}

/// Why nothing was measured; empty when something was.
std::string reason_of(const ComparedRow& row) {
  const std::string why = row.why_not_measured();
  return why.empty() ? why : "; " + why;
}

std::string whole_percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string correct_table(const ComparedGroup& group) {
  Table all{.caption = "Strategies that kept every invariant, best first; intervals of 99 %; ≈: no clear difference",
            .columns = {{"strategy"},
                        {"ok/s", true},
                        {"interval", true},
                        {"vs best"},
                        {"p50 ms", true},
                        {"p90", true},
                        {"p99", true},
                        {"p99.9", true},
                        {"max", true},
                        {"retries", true},
                        {"CPU s", true},
                        {"server CPU s", true}},
            .rows = {},
            .look = "cells stack"};
  for (const ComparedRow& row : group.strategies) {
    if (!row.correct()) continue;
    const Estimate& rate = row.committed_per_s;
    all.rows.push_back({row.strategy, whole(rate.median), fmt::format("{}–{}", per_s(rate.low), per_s(rate.high)),
                        row.place == "no clear difference" ? ratio(row.vs_best, row.place) + ", no clear difference"
                                                           : ratio(row.vs_best, row.place),
                        Cell::number(row.p50_ms, 3), Cell::number(row.p90_ms, 3), Cell::number(row.p99_ms, 3),
                        Cell::number(row.p999_ms, 3), Cell::number(row.max_ms, 2),
                        whole_percent(row.retries_per_commit()), Cell::number(row.cpu_s, 2),
                        row.server_cpu_s ? Cell::number(*row.server_cpu_s, 2) : Cell("–")});
  }
  return all.rows.empty() ? "<p>No strategy kept every invariant.</p>\n" : table(all);
}

std::string proofs(const ComparedGroup& group) {
  std::string text;
  for (const ComparedRow& row : group.strategies) {
    const std::vector<std::string> steps = row.steps_of_proof();
    if (steps.empty()) continue;
    text += "<p>Proof: " + html(row.strategy + ": " + row.anomaly) + "</p>\n<ul>\n";
    for (const std::string& step : steps) text += "<li>" + html(step) + "</li>\n";
    text += "</ul>\n";
  }
  return text;
}

std::string wrong_table(const ComparedGroup& group) {
  Table all{.caption = "WRONG: broke an invariant or its isolation, so not ranked",
            .columns = {{"strategy"}, {"ok/s", true}, {"rounds broken", true}, {"of", true}, {"what was seen"}},
            .rows = {},
            .look = "stack"};
  for (const ComparedRow& row : group.strategies) {
    if (row.correct()) continue;
    all.rows.push_back(
        {row.strategy, whole(row.committed_per_s.median),
         Cell::number(static_cast<std::uint64_t>(std::max(row.invariant_broken, row.history_broken))),
         Cell::number(row.rounds.size()),
         "✗ " + (row.broken.empty() ? row.anomaly : row.broken) + (row.proof.empty() ? "" : " (proof below)")});
  }
  return all.rows.empty() ? std::string() : table(all) + proofs(group);
}

std::string throughput(const ComparedGroup& group, const std::string& id) {
  std::vector<Bar> bars;
  for (const ComparedRow& row : group.strategies) {
    const Estimate& rate = row.committed_per_s;
    const char* const look = !row.correct() ? "bad" : row.place == "best" ? "g" : "";
    bars.push_back({.label = row.correct() ? row.strategy : "✗ " + row.strategy,
                    .value = rate.median,
                    .text = per_s(rate.median),
                    .look = look,
                    .low = rate.low,
                    .high = rate.high >= kNoBound ? 0 : rate.high});
  }
  return figure(bars_svg(bars, "Committed transactions a second",
                         "One bar a strategy with its interval; an outline alone: it broke an invariant.", id + "-tp"),
                "");
}

/// The value below which `share` of the transactions stayed, in milliseconds.
double quantile_ms(const ComparedRow& row, double share) {
  std::uint64_t total = 0, seen = 0;
  for (const auto& [ns, count] : row.histogram) total += count;
  for (const auto& [ns, count] : row.histogram) {
    seen += count;
    if (static_cast<double>(seen) >= share * static_cast<double>(total)) return static_cast<double>(ns) / 1e6;
  }
  return row.max_ms;
}

std::string tail(const Comparison& comparison, const ComparedGroup& group, const std::string& id) {
  static constexpr std::array<std::pair<double, const char*>, 8> kShares = {{{0.1, "p10"},
                                                                             {0.25, "p25"},
                                                                             {0.5, "p50"},
                                                                             {0.75, "p75"},
                                                                             {0.9, "p90"},
                                                                             {0.99, "p99"},
                                                                             {0.999, "p99.9"},
                                                                             {0.9999, "p99.99"}}};
  std::vector<Curve> curves;
  for (const ComparedRow& row : group.strategies) {
    if (!row.correct() || row.histogram.empty()) continue;
    Curve& curve = curves.emplace_back();
    curve.name = row.strategy;
    curve.look = look_of(comparison, row.strategy);
    for (std::size_t i = 0; i < kShares.size(); ++i)
      curve.points.emplace_back(static_cast<double>(i), quantile_ms(row, kShares[i].first));
  }
  if (curves.empty()) return {};
  Axes axes{.x_title = "share of the transactions that took less", .y_title = "ms", .x_ticks = {}, .log_y = true};
  for (std::size_t i = 0; i < kShares.size(); ++i) axes.x_ticks.push_back({static_cast<double>(i), kShares[i].second});
  return figure(
      curves_svg(curves, axes, "How long transactions took",
                 "Percentiles towards the tail, retries included; the table above has the main ones.", id + "-lat"),
      "");
}

std::string aborts_table(const ComparedGroup& group) {
  Table all{.caption = "Aborts and waits by cause, all rounds together",
            .columns =
                {{"strategy"}, {"committed", true}, {"aborts"}, {"refused", true}, {"waits", true}, {"waited s", true}},
            .rows = {},
            .look = "stack"};
  for (const ComparedRow& row : group.strategies)
    all.rows.push_back({row.strategy, Cell::number(row.committed), aborts_of(row) + reason_of(row),
                        Cell::number(row.refused), row.waits ? Cell::number(*row.waits) : Cell("not counted"),
                        row.wait_s ? Cell::number(*row.wait_s, 2) : Cell("not counted")});
  return table(all);
}

/// The groups that differ in this axis alone, in its order.
std::vector<std::vector<const ComparedGroup*>> swept(const Comparison& comparison, const Axis& axis) {
  std::vector<std::vector<const ComparedGroup*>> sweeps;
  const auto alike = [&axis](const ComparedGroup& a, const ComparedGroup& b) {
    if (a.store != b.store || a.executor != b.executor) return false;
    return std::all_of(kAxes.begin(), kAxes.end(),
                       [&](const Axis& other) { return other.name == axis.name || other.of(a) == other.of(b); });
  };
  for (const ComparedGroup& group : comparison.groups) {
    const auto found =
        std::find_if(sweeps.begin(), sweeps.end(), [&](const auto& sweep) { return alike(*sweep.front(), group); });
    if (found == sweeps.end())
      sweeps.push_back({&group});
    else
      found->push_back(&group);
  }
  std::erase_if(sweeps, [](const auto& sweep) { return sweep.size() < 2; });
  for (auto& sweep : sweeps)
    std::stable_sort(sweep.begin(), sweep.end(),
                     [&axis](const ComparedGroup* a, const ComparedGroup* b) { return axis.of(*a) < axis.of(*b); });
  return sweeps;
}

std::string sweep_html(const Comparison& comparison, const std::vector<const ComparedGroup*>& sweep, const Axis& axis,
                       const std::string& id) {
  std::vector<Curve> curves;
  Axes axes{.x_title = axis.name, .y_title = "ok/s", .x_ticks = {}, .log_y = false};
  Table told{.caption = fmt::format("ok/s by {}: {}", axis.name, load_of(*sweep.front(), axis.name)),
             .columns = {{"strategy"}},
             .rows = {}};
  for (std::size_t i = 0; i < sweep.size(); ++i) {
    const std::string value = fmt::format("{:g}", axis.of(*sweep[i]));
    axes.x_ticks.push_back({static_cast<double>(i), value});
    told.columns.push_back({fmt::format("{} {}", axis.name, value), true});
    for (const ComparedRow& row : sweep[i]->strategies) {
      auto curve = std::find_if(curves.begin(), curves.end(), [&](const Curve& c) { return c.name == row.strategy; });
      if (curve == curves.end())
        curve = curves.insert(curves.end(), Curve{row.strategy, {}, look_of(comparison, row.strategy)});
      if (row.correct()) curve->points.emplace_back(static_cast<double>(i), row.committed_per_s.median);
    }
  }
  for (const Curve& curve : curves) {
    std::vector<Cell>& cells = told.rows.emplace_back(std::vector<Cell>{curve.name});
    for (std::size_t i = 0; i < sweep.size(); ++i) {
      const auto at = std::find_if(curve.points.begin(), curve.points.end(),
                                   [i](const auto& point) { return point.first == static_cast<double>(i); });
      cells.push_back(at == curve.points.end() ? Cell("WRONG or none") : whole(at->second));
    }
  }
  std::erase_if(curves, [](const Curve& curve) { return curve.points.empty(); });
  if (curves.empty()) return table(told);
  return figure(curves_svg(curves, axes, fmt::format("Throughput by {}", axis.name),
                           "One curve a strategy; places where it broke an invariant are left out.", id),
                "") +
         table(told);
}

std::string sweeps_html(const Comparison& comparison, const std::string& id, int level) {
  constexpr std::size_t kMost = 8;  // pictures; the tables of the groups have everything
  std::string text;
  std::size_t drawn = 0;
  for (const Axis& axis : kAxes) {
    for (const auto& sweep : swept(comparison, axis)) {
      if (drawn++ == kMost) return section(id + "-sweep", "Sweeps", text, level);
      text += sweep_html(comparison, sweep, axis, fmt::format("{}-sw{}", id, drawn));
    }
  }
  return text.empty() ? std::string() : section(id + "-sweep", "Sweeps", text, level);
}

std::string conditions(const Comparison& comparison) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"rounds", fmt::format("{} of {:g} s each, interleaved, after {:g} s of warm-up", comparison.rounds,
                             comparison.round_s, comparison.warmup_s)},
      {"retries", comparison.retry},
      {"the driver's own cost", fmt::format("{:.0f} ns of CPU a transaction", comparison.driver_ns)}};
  if (comparison.think_ms > 0) all.emplace_back("think time", fmt::format("{:g} ms", comparison.think_ms));
  if (comparison.ramp_s > 0) all.emplace_back("ramp", fmt::format("{:g} s", comparison.ramp_s));
  if (const std::string note = comparison.history_note(); !note.empty()) all.emplace_back("history", note);
  if (comparison.ending != record::Ending::complete)
    all.emplace_back("ended",
                     std::string(record::name_of(comparison.ending)) + "; the rounds that were finished count");
  return facts(all);
}

std::optional<Comparison> comparison_in(const record::Run& run) {
  const auto document = run.documents.find(record::kComparisonDocument);
  if (document == run.documents.end()) return std::nullopt;
  Result<Comparison> comparison = record::comparison_of(document->second);
  if (!comparison) return std::nullopt;
  return std::move(*comparison);
}

struct StrategyCounts {
  std::size_t correct = 0, wrong = 0;
};

/// A strategy that is wrong under one load is wrong.
StrategyCounts strategy_counts(const Comparison& comparison) {
  std::map<std::string, bool> all;
  for (const ComparedGroup& group : comparison.groups) {
    for (const ComparedRow& row : group.strategies) {
      const auto [at, fresh] = all.try_emplace(row.strategy, true);
      at->second = at->second && row.correct();
    }
  }
  StrategyCounts counts;
  for (const auto& [name, correct] : all) ++(correct ? counts.correct : counts.wrong);
  return counts;
}

std::string percent_text(double ratio) {
  constexpr double kMost = 10;  // an interval of few rounds may reach to any height
  return ratio > kMost ? fmt::format(">{:+.0f} %", 100 * (kMost - 1)) : fmt::format("{:+.1f} %", 100 * (ratio - 1));
}

std::string change_text(const record::ComparisonChange& change) {
  return change.ratio ? percent_text(change.ratio->median) : std::string("–");
}

std::string change_interval(const record::ComparisonChange& change) {
  if (!change.ratio) return "too few rounds";
  return fmt::format("{} to {}", percent_text(change.ratio->low), percent_text(change.ratio->high));
}

const char* look_of_change(record::ChangeKind kind) {
  switch (kind) {
    case record::ChangeKind::slower:
    case record::ChangeKind::became_wrong:
    case record::ChangeKind::wrong:
      return "bad";
    case record::ChangeKind::faster:
    case record::ChangeKind::became_correct:
      return "good";
    default:
      return "";
  }
}

const char* sign_of_change(record::ChangeKind kind) {
  switch (kind) {
    case record::ChangeKind::slower:
      return "▼ ";
    case record::ChangeKind::faster:
      return "▲ ";
    case record::ChangeKind::became_wrong:
    case record::ChangeKind::wrong:
      return "✗ ";
    case record::ChangeKind::became_correct:
      return "✓ ";
    default:
      return "";
  }
}

}  // namespace

std::string comparison_outcome(const record::Run& run) {
  const std::optional<Comparison> comparison = comparison_in(run);
  if (!comparison) return {};
  const StrategyCounts counts = strategy_counts(*comparison);
  if (counts.wrong == 0) return fmt::format("{} correct", counts.correct);
  return fmt::format("{} correct, {} WRONG", counts.correct, counts.wrong);
}

std::string comparison_box(const record::Run& run) {
  const std::optional<Comparison> comparison = comparison_in(run);
  if (!comparison) return {};
  const StrategyCounts counts = strategy_counts(*comparison);
  const bool expected = comparison->as_expected();
  std::string word = fmt::format("✓ {} correct", counts.correct);
  if (counts.wrong > 0) word += fmt::format(" <span class=\"bad\">✗ {} WRONG</span>", counts.wrong);
  std::string how;
  for (const std::string& sentence : comparison->verdict) how += (how.empty() ? "" : "; ") + sentence;
  const char* const expectation = !expected          ? "not as expected: a strategy that is said to be safe is WRONG"
                                  : counts.wrong > 0 ? "as expected: what is WRONG is said to be unsafe there"
                                                     : "as expected";
  return fmt::format(
      "<div class=\"verdict {}\"><p class=\"word\">{}</p><p class=\"how\">{}</p><p class=\"exp\">{}</p></div>\n",
      expected ? "ok" : "bad", word, html(how), expectation);
}

std::string changes_html(const record::Run& base, const record::Run& run, const std::string& id, int level) {
  const std::optional<Comparison> before = comparison_in(base), now = comparison_in(run);
  if (!before || !now) return {};
  if (const std::string why = record::why_not_comparable(*before, *now); !why.empty())
    return section(id + "-chg", "Since the baseline", "<p class=\"warn\">" + html(why) + "</p>\n", level);
  Table all{.caption = "Committed transactions a second against the baseline, with a 99 % interval",
            .columns = {{"load"},
                        {"strategy"},
                        {"baseline ok/s", true},
                        {"now ok/s", true},
                        {"change", true},
                        {"interval"},
                        {"what has become of it"}},
            .rows = {},
            .look = "stack"};
  for (const record::ComparisonChange& change : record::changes_since(*before, *now)) {
    all.rows.push_back({change.load, change.strategy, whole(change.before_per_s), whole(change.now_per_s),
                        change_text(change), change_interval(change),
                        sign_of_change(change.kind) + std::string(name_of(change.kind))});
    all.rows.back().back().look = look_of_change(change.kind);
  }
  return section(
      id + "-chg", "Since the baseline",
      table(all) +
          "<p class=\"dim\">The rounds of the two comparisons did not run next to each other: the interval covers "
          "what changes from round to round, not another machine or one that had something else to do.</p>\n",
      level);
}

std::string changes_markdown(const record::Run& base, const record::Run& run) {
  const std::optional<Comparison> before = comparison_in(base), now = comparison_in(run);
  if (!before || !now) return {};
  if (const std::string why = record::why_not_comparable(*before, *now); !why.empty()) return markdown(why) + "\n\n";
  std::string text =
      "| load | strategy | baseline ok/s | now ok/s | change | interval (99 %) | |\n"
      "| --- | --- | ---: | ---: | ---: | --- | --- |\n";
  for (const record::ComparisonChange& change : record::changes_since(*before, *now)) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {}{} |\n", markdown(change.load), markdown(change.strategy),
                        per_s(change.before_per_s), per_s(change.now_per_s), markdown(change_text(change)),
                        markdown(change_interval(change)), sign_of_change(change.kind), name_of(change.kind));
  }
  return text + "\n";
}

std::string comparison_html(const record::Run& run, const std::string& id, int level) {
  const auto document = run.documents.find(record::kComparisonDocument);
  if (document == run.documents.end()) return {};
  const auto comparison = record::comparison_of(document->second);
  if (!comparison.ok()) return "<p class=\"warn\">" + html(comparison.error().message) + "</p>\n";
  std::string said = "<ul>\n";
  for (const std::string& sentence : comparison->verdict) said += "<li><b>" + html(sentence) + "</b></li>\n";
  for (const std::string& note : comparison->notes) said += "<li>" + html(note) + "</li>\n";
  std::string text = section(id + "-v", "What came out", said + "</ul>\n" + conditions(*comparison), level);
  text += sweeps_html(*comparison, id, level);
  for (std::size_t i = 0; i < comparison->groups.size(); ++i) {
    const ComparedGroup& group = comparison->groups[i];
    const std::string part = fmt::format("{}-g{}", id, i + 1);
    text += section(part, load_of(group),
                    throughput(group, part) + correct_table(group) + wrong_table(group) +
                        tail(*comparison, group, part) + aborts_table(group),
                    level);
  }
  return text;
}

std::string comparison_markdown(const record::Run& run) {
  const auto document = run.documents.find(record::kComparisonDocument);
  if (document == run.documents.end()) return {};
  const auto comparison = record::comparison_of(document->second);
  if (!comparison.ok()) return markdown(comparison.error().message) + "\n\n";
  std::string text;
  for (const std::string& sentence : comparison->verdict) text += "**" + markdown(sentence) + "**\n\n";
  for (const std::string& note : comparison->notes) text += "- " + markdown(note) + "\n";
  if (const std::string note = comparison->history_note(); !note.empty()) text += "- history: " + markdown(note) + "\n";
  text += "\n";
  for (const ComparedGroup& group : comparison->groups) {
    text += markdown(load_of(group)) +
            "\n\n| strategy | ok/s | vs best | p50 ms | p99 ms | p99.9 ms | retries | aborts |\n"
            "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |\n";
    for (const ComparedRow& row : group.strategies) {
      const std::string place = row.correct()
                                    ? ratio(row.vs_best, row.place)
                                    : "✗ WRONG: " + row.what_is_wrong() + (row.proof.empty() ? "" : " (proof below)");
      text += fmt::format("| {} | {} | {} | {:.3f} | {:.3f} | {:.3f} | {} | {} |\n", markdown(row.strategy),
                          per_s(row.committed_per_s.median), markdown(place), row.p50_ms, row.p99_ms, row.p999_ms,
                          whole_percent(row.retries_per_commit()), markdown(aborts_of(row) + reason_of(row)));
    }
    text += "\n";
    for (const ComparedRow& row : group.strategies) {
      const std::vector<std::string> steps = row.steps_of_proof();
      if (steps.empty()) continue;
      text += "Proof: " + markdown(row.strategy + ": " + row.anomaly) + "\n\n";
      for (const std::string& step : steps) text += "- " + markdown(step) + "\n";
      text += "\n";
    }
  }
  return text;
}

}  // namespace lockstep::reports
