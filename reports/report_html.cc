// report_html.cc: the page of one run, or of several side by side.
#include <fmt/format.h>

#include <algorithm>

#include "engine/record/comparison.h"
#include "engine/record/matrix.h"
#include "engine/record/state_graph.h"
#include "reports/comparison_html.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/report.h"
#include "reports/text.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::Run;

/// A cell that says so when it differs from the baseline's.
Cell against(const std::string& text, const std::string& base, bool is_base) {
  Cell cell(text);
  if (is_base || text == base) return cell;
  cell.inner = "<b>≠ " + cell.inner + "</b>";
  return cell;
}

/// The number of the first event that is not the same in both, from 1; 0 when all are.
std::uint64_t first_difference(const Run& a, const Run& b) {
  const auto same = [](const record::Event& x, const record::Event& y) {
    return x.kind == y.kind && x.actor == y.actor && x.verb == y.verb && x.object == y.object && x.detail == y.detail &&
           x.fault == y.fault && x.others == y.others;
  };
  const std::size_t both = std::min(a.events.size(), b.events.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (!same(a.events[i], b.events[i])) return i + 1;
  }
  return a.events.size() == b.events.size() ? 0 : both + 1;
}

std::string difference(const OpenRecording& recording, const OpenRecording& base) {
  if (&recording == &base) return "the baseline";
  if (!recording.whole() || !base.whole()) return "not compared: too long";
  const std::uint64_t first = first_difference(recording.run, base.run);
  return first == 0 ? "the same events" : fmt::format("from event {} on", first);
}

/// The verdict, or how many strategies of a comparison are correct.
std::string outcome(const Run& run) {
  const std::string compared = comparison_outcome(run), cells = matrix_outcome(run);
  if (!compared.empty()) return compared;
  if (!cells.empty()) return cells;
  return std::string(sign_of_verdict(run.verdict)) + " " + std::string(name_of(run.verdict));
}

std::string side_by_side(const Report& report) {
  const bool based = report.baseline;
  Table all{.caption = based ? "Each run beside the baseline; ≠ marks what differs" : "The runs",
            .columns = {{"run"},
                        {"scenario"},
                        {"strategy"},
                        {"verdict"},
                        {"expected"},
                        {"committed", true},
                        {"aborted", true},
                        {"retries", true},
                        {"waited ms", true},
                        {"events", true}},
            .rows = {}};
  if (based) all.columns.push_back({"differs"});
  const OpenRecording& base = report.recordings.front();
  for (std::size_t i = 0; i < report.recordings.size(); ++i) {
    const OpenRecording& recording = report.recordings[i];
    const Run& run = recording.run;
    const auto cell = [&](const std::string& text, const std::string& base_text) {
      return against(text, base_text, !based || i == 0);
    };
    double waited = 0;
    for (const Span& span : recording.spans) {
      if (span.kind == Span::Kind::wait) waited += static_cast<double>(span.to_ns - span.from_ns) / 1e6;
    }
    if (recording.summary) {
      for (const RunSummary::ActorCounts& actor : recording.summary->actors)
        waited += static_cast<double>(actor.waited_ns) / 1e6;
    }
    std::vector<Cell> row;
    row.emplace_back(Html{fmt::format("<a href=\"#r{}\">{}</a>", i + 1, html(run.id))});
    row.emplace_back(run.scenario);
    row.push_back(cell(strategy(run), strategy(base.run)));
    row.push_back(cell(outcome(run), outcome(base.run)));
    row.back().look = run.as_expected() ? "" : "bad";
    row.emplace_back(run.expected ? std::string(run.as_expected() ? "✓" : "✗ ") +
                                        (run.as_expected() ? "" : std::string(name_of(*run.expected)))
                                  : "–");
    row.push_back(cell(grouped(run.outcomes.committed), grouped(base.run.outcomes.committed)));
    row.push_back(cell(grouped(run.outcomes.aborted), grouped(base.run.outcomes.aborted)));
    row.push_back(cell(grouped(run.outcomes.retries), grouped(base.run.outcomes.retries)));
    row.push_back(Cell::number(waited, 2));
    row.push_back(cell(grouped(recording.events), grouped(base.events)));
    if (based) row.emplace_back(difference(recording, base));
    all.rows.push_back(std::move(row));
  }
  return section("overview", based ? "Against the baseline" : "Side by side", table(all));
}

const std::vector<Link>& links_of(const Options& options, std::size_t recording) {
  static const std::vector<Link> kNone;
  return recording < options.links.size() ? options.links[recording] : kNone;
}

}  // namespace

std::string html_report(const Report& report, const Options& options) {
  PageHead head;
  head.version = options.version;
  head.nonce = options.nonce;
  if (report.recordings.size() == 1) {
    const OpenRecording& recording = report.recordings.front();
    head.kind = "report of a run";
    head.headline = recording.run.scenario;
    head.subtitle = recording.run.title;
    head.title = fmt::format("{}: {} — Lockstep", recording.run.scenario, name_of(recording.run.verdict));
    if (recording.run.documents.count(record::kMatrixDocument) > 0) {
      head.kind = "matrix";
      head.headline = recording.run.title;
      head.subtitle = recording.run.store;
      head.title = fmt::format("{}: {} — Lockstep", recording.run.title, matrix_outcome(recording.run));
    } else if (recording.run.documents.count(record::kComparisonDocument) > 0) {
      head.kind = "comparison of strategies";
      head.title = fmt::format("{}: {} — Lockstep", recording.run.scenario, comparison_outcome(recording.run));
    } else if (recording.run.documents.count(record::kStateGraphDocument) > 0) {
      head.kind = "report of an exploration, and its shortest run";
    }
    return page(head, run_html(recording, "r1", 2, links_of(options, 0), options.pages));
  }
  head.kind = "report of several runs";
  std::string common = report.recordings.front().run.scenario;
  for (const OpenRecording& recording : report.recordings) {
    if (recording.run.scenario != common) common.clear();
  }
  const std::string count = counted(report.recordings.size(), "run", "runs");
  head.headline = common.empty() ? count : common + ": " + count;
  head.title = head.headline + " — Lockstep";
  std::string body = side_by_side(report);
  for (std::size_t i = 0; i < report.recordings.size(); ++i) {
    const OpenRecording& recording = report.recordings[i];
    const std::string id = fmt::format("r{}", i + 1);
    std::string inner = run_html(recording, id, 3, links_of(options, i), options.pages);
    if (report.baseline && i > 0) inner = changes_html(report.recordings.front().run, recording.run, id, 3) + inner;
    body += section(id, fmt::format("{} · {} · {}", recording.run.id, recording.run.scenario, strategy(recording.run)),
                    inner);
  }
  return page(head, body);
}

}  // namespace lockstep::reports
