// prediction.cc: see prediction.h.
#include "cli/commands/prediction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>

#include "cli/args/names.h"
#include "cli/commands/actor_steps.h"
#include "cli/text/run_text.h"
#include "engine/base/suggest.h"

namespace lockstep::cli {
namespace {

constexpr int kTriesMost = 3;

std::string question(const Scenario& scenario, const RunRequest& resolved, const Terminal& terminal) {
  const Pattern& pattern = *scenario.pattern_named(resolved.pattern);
  std::vector<Line> lines;
  lines.push_back(Line().add(Style::heading, terminal.clean(scenario.name)));
  add_paragraph(lines, terminal, Style::dim, "story", scenario.story());
  std::string given;
  for (const auto& [key, value] : scenario.rows())
    given += fmt::format("{}{} = {}", given.empty() ? "" : ", ", key, value);
  add_paragraph(lines, terminal, Style::dim, "given", given);
  for (const InvariantSpec& invariant : scenario.invariants())
    add_paragraph(lines, terminal, Style::dim, "must hold", invariant.text);
  const ActorSteps steps = steps_of(scenario, pattern);
  for (const ActorSpec& actor : pattern.actors) {
    const auto found = steps.find(actor.name);
    add_paragraph(lines, terminal, Style::bold, actor.name, found == steps.end() ? "(see the source)" : found->second);
  }
  if (resolved.store != record::kNoStore)
    add_paragraph(lines, terminal, Style::dim, "store", resolved.store + ", " + resolved.protocol);
  add_paragraph(lines, terminal, Style::dim, "schedule",
                resolved.schedule.empty() ? pattern.schedule : resolved.schedule);
  add_paragraph(lines, terminal, Style::bold, "predict", "how will it end? " + listed_in_prose(verdict_names()));
  return str(lines, terminal);
}

}  // namespace

std::optional<record::Verdict> ask_for_prediction(Program& program, const Scenario& scenario,
                                                  const RunRequest& resolved) {
  program.out.write(question(scenario, resolved, program.terminal));
  for (int tries = 0; tries < kTriesMost; ++tries) {
    program.out.write(" > ");
    std::string answer;
    if (!std::getline(std::cin, answer)) break;
    while (!answer.empty() && (answer.back() == ' ' || answer.back() == '\r')) answer.pop_back();
    if (answer.empty()) break;
    if (const auto verdict = record::verdict_named(answer)) {
      program.out.write("\n");
      return verdict;
    }
    program.out.write(program.terminal.clean(unknown_name("verdict", answer, verdict_names())) + "\n");
  }
  program.out.write("\n");
  return std::nullopt;
}

std::string prediction_line(record::Verdict predicted, const record::Run& run, const Terminal& terminal) {
  const bool right = predicted == run.verdict;
  Line line;
  line.add(" ").add(Style::dim, "you said").to(11);
  line.add(right ? Style::good : Style::fault,
           fmt::format("{} {}", right ? terminal.glyphs().good : terminal.glyphs().fault, name_of(predicted)));
  if (!right) line.add(fmt::format("; it was {}", name_of(run.verdict)));
  return line.str(terminal);
}

}  // namespace lockstep::cli
