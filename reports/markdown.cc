// markdown.cc: the report for a pull request or a chat: headlines, tables, commands.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "reports/append.h"
#include "reports/comparison_html.h"
#include "reports/escape.h"
#include "reports/figures_html.h"
#include "reports/matrix_html.h"
#include "reports/page.h"
#include "reports/report.h"
#include "reports/search_html.h"
#include "reports/text.h"
#include "reports/waits.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::Run;

constexpr std::size_t kRowsMost = 400;

void fenced(std::string& text, const std::string& command) {
  // A line that begins with four spaces is code whatever it holds.
  append(text, "    {}\n\n", neutral(command));
}

void steps(std::string& text, const OpenRecording& recording) {
  const Run& run = recording.run;
  text += "| step | ms | actor | what | |\n| ---: | ---: | --- | --- | --- |\n";
  std::size_t told = 0;
  for (const LaneRow& row : recording.rows) {
    if (++told > kRowsMost) break;
    append(text, "| {} | {:.2f} | {} | {} | {} |\n", row.step == 0 ? "" : std::to_string(row.step),
           static_cast<double>(row.at_ns) / 1e6,
           row.actor == record::kNobody ? "" : markdown(run.actors[static_cast<std::size_t>(row.actor)]),
           markdown(row.text), markdown(row.status));
  }
  if (told > kRowsMost) append(text, "\n{} more rows are in the HTML report.\n", recording.rows.size() - kRowsMost);
  text += "\n";
}

void summary(std::string& text, const OpenRecording& recording) {
  const RunSummary& summary = *recording.summary;
  text += "| waited for | waits | waited ms |\n| --- | ---: | ---: |\n";
  for (const auto& [name, counts] : summary.busiest(20)) {
    append(text, "| {} | {} | {:.2f} |\n", name.empty() ? "(others)" : markdown(name), grouped(counts.waits),
           static_cast<double>(counts.waited_ns) / 1e6);
  }
  text += "\n";
}

void one(std::string& text, const OpenRecording& recording, const char* level) {
  const Run& run = recording.run;
  append(text, "{} {}\n\n{}\n\n", level, markdown(run.scenario), markdown(run.title));
  append(text, "{} · schedule {} · seed {} · run {}\n\n", markdown(strategy(run)), markdown_code(run.schedule),
         run.seed, markdown_code(run.id));
  if (!recording.wrong.empty()) append(text, "**This recording is damaged:** {}\n\n", markdown(recording.wrong));
  const std::string compared = comparison_outcome(run);
  append(text, "**{}** — {} ({})\n\n",
         compared.empty() ? fmt::format("{} {}", sign_of_verdict(run.verdict), name_of(run.verdict)) : compared,
         markdown(run.summary), markdown(expectation(run)));
  for (const record::Invariant& invariant : run.invariants) {
    append(text, "- {} {}{}\n", invariant.held ? "✓ holds:" : "✗ broken:", markdown(invariant.text),
           invariant.detail.empty() ? "" : " — " + markdown(invariant.detail));
  }
  if (!run.invariants.empty()) text += "\n";
  text += search_markdown(run);
  if (!run.why.empty()) append(text, "**Why.** {}\n\n", markdown(run.why));
  if (!run.fix.empty()) append(text, "**Fix.** {}\n\n", markdown(run.fix));
  if (!run.fix_command.empty()) fenced(text, run.fix_command);
  for (const std::string& inner : {matrix_markdown(run), comparison_markdown(run)}) {
    if (inner.empty()) continue;
    text += inner;
    return;
  }
  append(text, "| committed | aborted | retries | events |\n| ---: | ---: | ---: | ---: |\n| {} | {} | {} | {} |\n\n",
         grouped(run.outcomes.committed), grouped(run.outcomes.aborted), grouped(run.outcomes.retries),
         grouped(recording.events));
  text += figures_markdown(run);
  if (recording.whole()) {
    steps(text, recording);
    const Waits waits = waits_of(run);
    if (!waits.cycle.empty()) {
      text += "| on the cycle | wants | held by |\n| --- | --- | --- |\n";
      for (const Want& want : waits.cycle) {
        append(text, "| {} | {} | {} |\n", markdown(want.from), markdown(want.object), markdown(want.to));
      }
      text += "\n";
    }
  } else {
    summary(text, recording);
  }
  if (!run.outcomes.faults.empty()) {
    text += "| cause | times |\n| --- | ---: |\n";
    for (const auto& [name, count] : run.outcomes.faults) append(text, "| {} | {} |\n", markdown(name), grouped(count));
    text += "\n";
  }
  if (!run.command.empty()) fenced(text, run.command);
}

}  // namespace

std::string markdown_report(const Report& report) {
  std::string text;
  if (report.recordings.size() == 1) {
    one(text, report.recordings.front(), "#");
    return text;
  }
  text +=
      "# Runs side by side\n\n| run | scenario | strategy | verdict | committed | aborted | retries |\n"
      "| --- | --- | --- | --- | ---: | ---: | ---: |\n";
  for (const OpenRecording& recording : report.recordings) {
    const Run& run = recording.run;
    const std::string compared = comparison_outcome(run);
    append(text, "| {} | {} | {} | {} | {} | {} | {} |\n", markdown_code(run.id), markdown(run.scenario),
           markdown(strategy(run)),
           compared.empty() ? fmt::format("{} {}", sign_of_verdict(run.verdict), name_of(run.verdict)) : compared,
           grouped(run.outcomes.committed), grouped(run.outcomes.aborted), grouped(run.outcomes.retries));
  }
  text += "\n";
  for (const OpenRecording& recording : report.recordings) {
    one(text, recording, "##");
    if (report.baseline && &recording != &report.recordings.front())
      text += changes_markdown(report.recordings.front().run, recording.run);
  }
  return text;
}

}  // namespace lockstep::reports
