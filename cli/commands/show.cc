// show.cc: `lockstep show`: the story of a scenario, what each actor does, and what is expected where.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/commands/actor_steps.h"
#include "cli/commands/commands.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/program.h"
#include "cli/text/json.h"
#include "cli/text/run_text.h"
#include "cli/text/text.h"
#include "engine/run/run.h"

namespace lockstep::cli {
namespace {

/// "deadlock: 2pl-detect · abort: occ, snapshot".
std::string expectations(const Pattern& pattern, const std::string& store, const Terminal& terminal) {
  std::vector<std::pair<record::Verdict, std::vector<std::string>>> groups;
  const auto add = [&](const std::string& protocol) {
    const auto verdict = pattern.expected(store, protocol);
    if (!verdict) return;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == *verdict; });
    if (group == groups.end()) group = groups.insert(groups.end(), {*verdict, {}});
    group->second.push_back(protocol);
  };
  const BackendKind* kind = backend_named(store);
  if (kind == nullptr) {
    const auto verdict = pattern.expected(store, record::kNoProtocol);
    return verdict ? std::string(record::name_of(*verdict)) : std::string();
  }
  for (const std::string& name : kind->protocol_names()) add(name);
  std::string text;
  for (const auto& [verdict, protocols] : groups) {
    if (!text.empty()) text += fmt::format(" {} ", terminal.glyphs().separator);
    text += fmt::format("{}: {}", record::name_of(verdict), fmt::join(protocols, ", "));
  }
  return text;
}

std::string given_text(const Scenario& scenario) {
  std::string text;
  constexpr std::size_t kShownMost = 12;
  std::size_t shown = 0;
  for (const auto& [key, value] : scenario.rows()) {
    if (shown++ == kShownMost) return text + fmt::format(" … {} rows", scenario.rows().size());
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", key, value);
  }
  return text;
}

void add_pattern(std::vector<Line>& lines, const Scenario& scenario, const Pattern& pattern, const Terminal& terminal) {
  lines.emplace_back();
  const std::string name = terminal.clean(pattern.name);
  const std::string summary = pattern.summary.empty() ? "" : ": " + terminal.clean(pattern.summary);
  const auto texts = wrapped(name + summary, terminal.width > 31 ? terminal.width - 11 : 20);
  Line head;
  head.add(" ").add(Style::dim, "pattern").to(11);
  if (texts.front().starts_with(name)) {
    head.add(Style::heading, name).add(texts.front().substr(name.size()));
  } else {
    head.add(Style::heading, texts.front());
  }
  lines.push_back(std::move(head));
  for (std::size_t i = 1; i < texts.size(); ++i) lines.push_back(Line().to(11).add(texts[i]));
  const ActorSteps steps = steps_of(scenario, pattern);
  for (const ActorSpec& actor : pattern.actors) {
    const auto found = steps.find(actor.name);
    add_paragraph(lines, terminal, Style::bold, actor.name, found == steps.end() ? "(see the source)" : found->second);
  }
  if (!pattern.schedule.empty()) add_paragraph(lines, terminal, Style::dim, "schedule", pattern.schedule);
  for (const std::string& store : pattern.stores()) {
    add_paragraph(lines, terminal, Style::dim, store_title(store), expectations(pattern, store, terminal));
  }
  add_paragraph(lines, terminal, Style::dim, "why", pattern.why());
  std::string fix = pattern.fix;
  if (!pattern.fix_pattern.empty()) fix += fmt::format(" (--pattern {})", pattern.fix_pattern);
  add_paragraph(lines, terminal, Style::dim, "fix", fix);
}

std::string show_text(const Scenario& scenario, const Terminal& terminal) {
  std::vector<Line> lines;
  Line head;
  head.add(Style::heading, scenario.name).add("   ");
  const auto title =
      wrapped(terminal.clean(scenario.title()), terminal.width - std::min(terminal.width - 20, head.columns()));
  for (const std::string& part : title) {
    lines.push_back(std::move(head.add(part)));
    head = Line().to(scenario.name.size() + 3);
  }
  lines.emplace_back();
  add_paragraph(lines, terminal, Style::dim, "story", scenario.story());
  add_paragraph(lines, terminal, Style::dim, "given", given_text(scenario));
  for (const InvariantSpec& invariant : scenario.invariants()) {
    add_paragraph(lines, terminal, Style::dim, "must hold", invariant.text);
  }
  add_paragraph(lines, terminal, Style::dim, "source", scenario.source);
  for (const Pattern& pattern : scenario.patterns()) add_pattern(lines, scenario, pattern, terminal);
  lines.emplace_back();
  add_paragraph(lines, terminal, Style::dim, "run", "lockstep run " + scenario.name);
  return str(lines, terminal);
}

int show(Program& program) {
  int code = kAsExpected;
  const Scenario* const scenario = scenario_or_complaint(program, program.arguments.value("NAME"), code);
  if (scenario == nullptr) return code;
  program.out.write(program.json ? show_json(*scenario) : show_text(*scenario, program.terminal));
  return kAsExpected;
}

}  // namespace

CommandSpec show_command() {
  return {
      .name = "show",
      .summary = "a scenario: the story, the actors' steps, the expected verdicts, the source",
      .description =
          "The steps are those of one try in this process, in virtual time; nothing is saved. Which steps an actor "
          "takes may depend on what it reads.",
      .arguments = {{"NAME", "the scenario", true, Names::scenario}},
      .options = {{"json", "", "as JSON"}},
      .examples = {{"show deadlock/two-lock", "Two transfers and two locks."}},
      .run = show,
  };
}

}  // namespace lockstep::cli
