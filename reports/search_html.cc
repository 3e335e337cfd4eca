// search_html.cc: sentences, tiles and a table from the document "exploration".
#include "reports/search_html.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "engine/record/exploration.h"
#include "reports/charts.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::ExplorationSummary;

std::string count_text(const std::optional<double>& count) {
  if (!count) return "too many to count";
  constexpr double kExactMost = 9e15;  // 2^53
  return *count < kExactMost ? grouped(static_cast<std::uint64_t>(*count)) : fmt::format("{:.3g}", *count);
}

std::string share_text(const std::optional<double>& share) {
  if (!share) return "?";
  const double percent = 100 * *share;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  if (percent > 99.9 && percent < 100) return ">99.9 %";
  return fmt::format("{:.{}f} %", percent, percent < 10 ? 1 : 0);
}

/// What the numbers are worth, in a sentence.
std::string worth_of(const ExplorationSummary& summary) {
  const std::string of = summary.model.empty() ? "" : " of the model " + summary.model;
  if (summary.sampled) {
    return fmt::format("Sampled: {} drawn by chance ({}, seed {}). What was not drawn may end otherwise.",
                       counted(summary.runs, "order was", "orders were"), summary.strategy, summary.seed);
  }
  if (!summary.complete) {
    return fmt::format("Not complete: after {}{} the search ended. What was not seen may exist all the same.",
                       counted(summary.runs, "run", "runs"), of);
  }
  if (!summary.classes) return fmt::format("Complete{}: every interleaving was run, one by one.", of);
  return fmt::format(
      "Complete{}: every interleaving is one of {}. Orders that differ only in steps which touch nothing in "
      "common are one class, and one run stands for all of them.",
      of, counted(*summary.classes, "class", "classes"));
}

std::string grain_of(const ExplorationSummary& summary) {
  if (summary.grain.empty()) return {};
  return fmt::format("What a step is here: {}.", fmt::join(summary.grain, "; "));
}

std::optional<Result<ExplorationSummary>> summary_in(const record::Run& run) {
  const auto document = run.documents.find(record::kExplorationDocument);
  if (document == run.documents.end()) return std::nullopt;
  return record::exploration_of(document->second);
}

std::string end_text(const ExplorationSummary::WayToEnd& finding) {
  return std::string(sign_of_verdict(finding.verdict)) + " " + std::string(name_of(finding.verdict));
}

std::string shares_picture(const ExplorationSummary& summary, const std::string& id) {
  std::vector<Bar> bars;
  for (const ExplorationSummary::WayToEnd& each : summary.findings) {
    if (!each.share) return {};
    const bool good = each.verdict == record::Verdict::clean || each.verdict == record::Verdict::avoided;
    bars.push_back({.label = shortened(neutral(end_text(each) + (each.what.empty() ? "" : ": " + each.what)), 40),
                    .value = 100 * *each.share,
                    .text = share_text(each.share),
                    .look = good ? "g" : "f"});
  }
  if (bars.size() < 2) return {};
  return figure(bars_svg(bars, summary.sampled ? "Share of the samples" : "Share of all interleavings",
                         "One bar for each way to end; the table below has the numbers.", id + "-sh"),
                "");
}

std::string findings_table(const ExplorationSummary& summary) {
  Table all{.caption = "How the orders of steps end, the worst first",
            .columns = {{"end"}, {"what"}, {"share", true}},
            .rows = {},
            .look = "stack"};
  if (!summary.sampled) all.columns.push_back({"interleavings", true});
  all.columns.push_back({summary.sampled ? "samples" : summary.classes ? "classes" : "runs", true});
  all.columns.push_back({"preemptions", true});
  all.columns.push_back({"shortest run"});
  for (const ExplorationSummary::WayToEnd& each : summary.findings) {
    std::vector<Cell>& row = all.rows.emplace_back();
    row.emplace_back(end_text(each));
    row.emplace_back(each.what.empty() ? "–" : each.what);
    row.emplace_back(share_text(each.share));
    row.back().sorts_as = each.share ? fmt::format("{:.9f}", *each.share) : "";
    if (!summary.sampled) row.emplace_back(count_text(each.interleavings));
    row.push_back(Cell::number(each.runs));
    row.emplace_back(each.preemptions ? std::to_string(*each.preemptions) : "–");
    row.emplace_back(each.run.empty() ? Cell("not saved")
                                      : Cell(Html{"<code>lockstep replay " + html(each.run.substr(0, 8)) + "</code>"}));
  }
  return table(all);
}

}  // namespace

std::string search_html(const record::Run& run, const std::string& id, int level) {
  const auto found = summary_in(run);
  if (!found) return {};
  if (!*found) return "<p class=\"warn\">" + html(found->error().message) + "</p>\n";
  const ExplorationSummary& summary = **found;
  std::vector<std::pair<std::string, std::string>> numbers;
  if (!summary.sampled) numbers.emplace_back("interleavings", count_text(summary.interleavings));
  if (summary.classes) numbers.emplace_back("classes", grouped(*summary.classes));
  numbers.emplace_back(summary.sampled ? "samples" : "runs", grouped(summary.runs));
  numbers.emplace_back("seconds", fmt::format("{:.2f}", summary.seconds));
  std::string inner = tiles(numbers);
  inner += fmt::format("<p class=\"{}\"><b>{}</b></p>\n", summary.complete || summary.sampled ? "" : "bad",
                       html(worth_of(summary)));
  if (const std::string grain = grain_of(summary); !grain.empty()) inner += "<p>" + html(grain) + "</p>\n";
  if (!summary.as_expected) {
    inner += fmt::format("<p class=\"bad\">✗ Not what the scenario promises here{}.</p>\n",
                         summary.expected ? fmt::format(": {}", name_of(*summary.expected)) : "");
  }
  inner += shares_picture(summary, id) + findings_table(summary);
  return section(id + "-search", "What the search found", inner, level);
}

std::string search_markdown(const record::Run& run) {
  const auto found = summary_in(run);
  if (!found) return {};
  if (!*found) return markdown(found->error().message) + "\n\n";
  const ExplorationSummary& summary = **found;
  std::string text = markdown(worth_of(summary)) + "\n\n";
  if (const std::string grain = grain_of(summary); !grain.empty()) text += markdown(grain) + "\n\n";
  text += "| end | what | share | runs |\n| --- | --- | ---: | ---: |\n";
  for (const ExplorationSummary::WayToEnd& each : summary.findings) {
    text += fmt::format("| {} | {} | {} | {} |\n", markdown(end_text(each)), markdown(each.what),
                        markdown(share_text(each.share)), each.runs);
  }
  return text + "\n";
}

}  // namespace lockstep::reports
