// prediction.cc: see prediction.h.
#include "cli/commands/prediction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "cli/args/names.h"
#include "cli/commands/actor_steps.h"
#include "cli/text/run_text.h"
#include "engine/base/suggest.h"
#include "engine/store/backend.h"
#include "reports/lane_rows.h"

namespace lockstep::cli {
namespace {

using reports::LaneRow;
using reports::Mark;

constexpr int kTriesMost = 3;
constexpr const char* kGoesOn = "goes on";
constexpr const char* kWaits = "waits";
constexpr const char* kFails = "fails";
constexpr const char* kNobody = "nobody";

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
  add_paragraph(lines, terminal, Style::dim, "", "An empty line is no answer; q ends the questions.");
  return str(lines, terminal);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// A question about what comes next.
struct Question {
  std::string text;
  std::vector<std::string> choices;
  std::string right;       ///< what came
  bool any_value = false;  ///< besides the choices, every text is an answer: a value
};

/// The one choice that begins with what was typed; the very same text comes first. Empty: none, or several.
std::string choice_of(const std::string& typed, const std::vector<std::string>& choices) {
  std::string found;
  for (const std::string& choice : choices) {
    if (lower(choice) == lower(typed)) return choice;
    if (!lower(choice).starts_with(lower(typed))) continue;
    if (!found.empty()) return {};
    found = choice;
  }
  return found;
}

/// Asks about one row after the other, and keeps in mind who waits.
class StepByStep {
 public:
  StepByStep(Program& program, Answers& answers, const record::Run& run, const LaneOptions& options)
      : program_(program),
        answers_(answers),
        run_(run),
        rows_(reports::lane_rows(run, holds_until_end)),
        shown_(lanes_by_row(run, program.terminal, options)) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].mark == Mark::cycle) cycle_ends_[i] = victim_row(i);
    }
  }

  Score ask() {
    program_.out.write("\n" + str(shown_.head, program_.terminal));
    for (std::size_t i = 0; i < rows_.size() && !answers_.has_left(); ++i) {
      for (const Question& each : questions_of(i)) put(each);
      if (answers_.has_left()) break;
      program_.out.write(str(shown_.rows[i], program_.terminal));
      follow(rows_[i]);
    }
    return score_;
  }

 private:
  std::string name(int actor) const { return run_.actors[static_cast<std::size_t>(actor)]; }

  /// The row in which somebody of the circle gives way; as many as there are rows: nobody does.
  std::size_t victim_row(std::size_t cycle) const {
    const std::vector<int>& circle = rows_[cycle].circle;
    for (std::size_t i = cycle + 1; i < rows_.size(); ++i) {
      const bool in_circle = std::find(circle.begin(), circle.end(), rows_[i].actor) != circle.end();
      if (!in_circle || rows_[i].mark == Mark::wait) continue;
      return rows_[i].mark == Mark::fault ? i : rows_.size();
    }
    return rows_.size();
  }

  std::vector<Question> questions_of(std::size_t i) const {
    const LaneRow& row = rows_[i];
    if (row.mark == Mark::cycle) return {who_gives_way(i)};
    const bool is_told =
        std::any_of(cycle_ends_.begin(), cycle_ends_.end(), [i](const auto& e) { return e.second == i; });
    if (row.actor == record::kNobody || row.asked.empty() || is_told) return {};
    std::vector<Question> all;
    if (row.waited && waiting_.size() > 1) all.push_back(whose_wait_ends(row));
    all.push_back(what_comes(row));
    return all;
  }

  Question who_gives_way(std::size_t i) const {
    Question asked{.text = "A circle of waits has closed: ", .choices = {}, .right = kNobody};
    for (const int actor : rows_[i].circle) {
      asked.text += name(actor) + " waits for ";
      asked.choices.push_back(name(actor));
    }
    if (!rows_[i].circle.empty()) asked.text += name(rows_[i].circle.front());
    asked.text += ". Who gives way?";
    asked.choices.emplace_back(kNobody);
    if (const std::size_t end = cycle_ends_.at(i); end < rows_.size()) asked.right = name(rows_[end].actor);
    return asked;
  }

  Question whose_wait_ends(const LaneRow& row) const {
    Question asked{.text = {}, .choices = {}, .right = name(row.actor)};
    for (const int actor : waiting_) asked.choices.push_back(name(actor));
    asked.text = fmt::format("{} wait. Whose wait ends first?", fmt::join(asked.choices, ", "));
    return asked;
  }

  Question what_comes(const LaneRow& row) const {
    Question asked{.text = {}, .choices = {kFails}, .right = {}, .any_value = row.reads};
    if (!row.reads) asked.choices.insert(asked.choices.begin(), kGoesOn);
    if (!row.waited) asked.choices.insert(asked.choices.end() - 1, kWaits);
    asked.text = row.waited ? fmt::format("{} has waited for: {}. What comes of it?", name(row.actor), row.asked)
                            : fmt::format("{}: {}. What comes of it?", name(row.actor), row.asked);
    asked.right = row.mark == Mark::wait ? kWaits : row.mark == Mark::fault ? kFails : row.seen ? *row.seen : kGoesOn;
    return asked;
  }

  void put(const Question& asked) {
    if (answers_.has_left()) return;
    const Terminal& terminal = program_.terminal;
    std::string choices = asked.any_value ? "a value (nothing: no such row), " : "";
    for (std::size_t i = 0; i < asked.choices.size(); ++i)
      choices += (i == 0 ? "" : i + 1 == asked.choices.size() ? " or " : ", ") + asked.choices[i];
    std::vector<Line> lines;
    add_paragraph(lines, terminal, Style::bold, fmt::format("? {}", ++score_.asked), asked.text);
    add_paragraph(lines, terminal, Style::dim, "", choices);
    program_.out.write(str(lines, terminal));
    for (int tries = 0; tries < kTriesMost; ++tries) {
      const std::optional<std::string> typed = answers_.ask();
      if (!typed) {
        --score_.asked;
        return;
      }
      if (typed->empty()) return;
      std::string chosen = asked.any_value && *typed == asked.right ? asked.right : choice_of(*typed, asked.choices);
      if (chosen.empty() && asked.any_value) chosen = *typed;
      if (!chosen.empty()) return tell(asked, chosen);
      std::vector<Line> again;
      add_paragraph(again, terminal, Style::dim, "", fmt::format("\"{}\" is none of these: {}", *typed, choices));
      program_.out.write(str(again, terminal));
    }
  }

  void tell(const Question& asked, const std::string& chosen) {
    const Glyphs& g = program_.terminal.glyphs();
    const bool right = chosen == asked.right;
    ++score_.answered;
    score_.right += right ? 1 : 0;
    std::vector<Line> lines;
    add_paragraph(
        lines, program_.terminal, right ? Style::good : Style::fault, right ? g.good : g.fault,
        fmt::format("{}{} ({} of {} right so far)", right ? "" : "no: ", asked.right, score_.right, score_.answered));
    program_.out.write(str(lines, program_.terminal));
  }

  void follow(const LaneRow& row) {
    if (row.actor == record::kNobody) return;
    if (row.mark == Mark::wait) {
      waiting_.insert(row.actor);
    } else {
      waiting_.erase(row.actor);
    }
  }

  Program& program_;
  Answers& answers_;
  const record::Run& run_;
  const std::vector<LaneRow> rows_;
  const LanesByRow shown_;
  std::map<std::size_t, std::size_t> cycle_ends_;  ///< of each row of a cycle: victim_row()
  std::set<int> waiting_;
  Score score_;
};

}  // namespace

std::optional<record::Verdict> ask_for_prediction(Program& program, Answers& answers, const Scenario& scenario,
                                                  const RunRequest& resolved) {
  program.out.write(question(scenario, resolved, program.terminal));
  for (int tries = 0; tries < kTriesMost; ++tries) {
    const std::optional<std::string> answer = answers.ask();
    if (!answer || answer->empty()) break;
    if (const auto verdict = record::verdict_named(*answer)) return verdict;
    if (const std::string verdict = choice_of(*answer, verdict_names()); !verdict.empty())
      return record::verdict_named(verdict);
    program.out.write(program.terminal.clean(unknown_name("verdict", *answer, verdict_names())) + "\n");
  }
  return std::nullopt;
}

Score ask_step_by_step(Program& program, Answers& answers, const record::Run& run, const LaneOptions& options) {
  if (answers.has_left() || run.ending == record::Ending::unavailable) return {};
  const Score score = StepByStep(program, answers, run, options).ask();
  program.out.write("\n");
  return score;
}

std::string prediction_lines(std::optional<record::Verdict> predicted, const Score& score, const record::Run& run,
                             const Terminal& terminal) {
  std::string text;
  if (predicted) {
    const bool right = *predicted == run.verdict;
    Line line;
    line.add(" ").add(Style::dim, "you said").to(kTextAt);
    line.add(right ? Style::good : Style::fault,
             fmt::format("{} {}", right ? terminal.glyphs().good : terminal.glyphs().fault, name_of(*predicted)));
    if (!right) line.add(fmt::format("; it was {}", name_of(run.verdict)));
    text += line.str(terminal);
  }
  if (score.asked > 0) {
    Line line;
    line.add(" ").add(Style::dim, "steps").to(kTextAt);
    line.add(fmt::format("{} of {} right", score.right, score.answered));
    if (score.asked > score.answered) line.add(fmt::format(", {} not answered", score.asked - score.answered));
    text += line.str(terminal);
  }
  return text;
}

}  // namespace lockstep::cli
