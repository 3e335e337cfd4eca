// came.cc: what a file says must come, held against what came; and the file with what came written into it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "engine/script/bodies.h"
#include "engine/script/script.h"
#include "engine/store/statement_text.h"

namespace lockstep::script {
namespace {

/// A row as `=>` writes it: columns by " | ".
std::string line_of(const std::vector<std::optional<std::string>>& row) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line += " | ";
    if (!row[i]) {
      line += "null";
    } else if (row[i]->empty()) {
      line += "''";
    } else {
      for (const char c : *row[i])
        line += c == '\n' ? std::string("\\n") : c == '\r' ? std::string() : std::string(1, c);
    }
  }
  return line;
}

/// Without the blanks beside `|` and at both ends.
std::string without_padding(std::string_view line) {
  std::string text;
  while (true) {
    const std::size_t end = std::min(line.find('|'), line.size());
    std::string_view column = line.substr(0, end);
    while (!column.empty() && column.front() == ' ') column.remove_prefix(1);
    while (!column.empty() && column.back() == ' ') column.remove_suffix(1);
    text += column;
    if (end == line.size()) return text;
    text += '|';
    line.remove_prefix(end + 1);
  }
}

struct Waited {
  bool at_all = false;
  std::set<std::string> others;
};

Waited wait_of(const record::Run& run, int actor, std::uint32_t number) {
  Waited waited;
  for (const record::Event& event : run.events) {
    if (event.kind != record::EventKind::wait || event.actor != actor || event.step != number) continue;
    waited.at_all = true;
    for (const int other : event.others)
      waited.others.insert(other < 0 ? std::string("somebody outside") : run.actors[static_cast<std::size_t>(other)]);
  }
  return waited;
}

/// True for a step of which "0 rows" says something.
bool gives_rows(const spec::Step& step) {
  return step.operation ? step.operation->verb == spec::PortableVerb::scan : tells_rows(step.text);
}

/// What came of a step in the words of `=>`, one line each; empty: nothing worth a line.
std::vector<std::string> words_of_answer(const spec::Step& step, const StepAnswer& answer, const Waited& waited) {
  std::vector<std::string> lines;
  if (answer.error) {
    lines.emplace_back(name_of(answer.error->fault));
  } else if (!answer.table.empty()) {
    for (const auto& row : answer.table) lines.push_back(line_of(row));
  } else if (answer.rows > 0 || gives_rows(step)) {
    lines.push_back(fmt::format("{} row{}", answer.rows, answer.rows == 1 ? "" : "s"));
  }
  if (!waited.at_all) return lines;
  std::string waits = "waits";
  if (!waited.others.empty()) waits += fmt::format(" {}", fmt::join(waited.others, ", "));
  if (lines.empty()) return {waits};
  lines.front() = fmt::format("{}, then {}", waits, lines.front());
  return lines;
}

bool came_as_said(const spec::Expected& expected, const StepAnswer& answer, const Waited& waited) {
  if (expected.waits && !waited.at_all) return false;
  std::set<std::string> said_to_be_waited_for;
  for (const std::string& session : expected.waits_for) said_to_be_waited_for.insert(actor_name(session));
  if (!expected.waits_for.empty() && said_to_be_waited_for != waited.others) return false;
  if (expected.count) return !answer.error && answer.rows == *expected.count;
  if (expected.rows.empty()) return true;
  if (answer.error) return names_fault(expected, *answer.error);
  return std::equal(
      expected.rows.begin(), expected.rows.end(), answer.table.begin(), answer.table.end(),
      [](const std::string& said, const auto& row) { return without_padding(said) == without_padding(line_of(row)); });
}

/// As it is written, lines joined.
std::string said_by(const spec::Expected& expected) {
  std::vector<std::string> parts = expected.rows;
  if (expected.count)
    parts.insert(parts.begin(), fmt::format("{} row{}", *expected.count, *expected.count == 1 ? "" : "s"));
  std::string text = fmt::format("{}", fmt::join(parts, "; "));
  if (!expected.waits) return text;
  const std::string waits =
      expected.waits_for.empty() ? "waits" : fmt::format("waits {}", fmt::join(expected.waits_for, ", "));
  return text.empty() ? waits : waits + ", then " + text;
}

}  // namespace

std::vector<Checked> check(const Script& script, const record::Run& run, const AnswersOfRun& answers) {
  std::vector<Checked> all;
  const spec::SpecPattern& pattern = script.pattern_named(run.pattern);
  for (std::size_t s = 0; s < pattern.sessions.size(); ++s) {
    const auto own = answers.actors.find(static_cast<int>(s));
    const std::vector<spec::Step>& steps = pattern.sessions[s].steps;
    for (const std::size_t i : script.steps_in(run.pattern, s)) {
      const spec::Expected* const expected = expected_at(script.file(), steps[i], run.store, run.protocol);
      if (expected == nullptr) continue;
      Checked checked{.line = expected->lines.front(), .said = said_by(*expected), .came = "the step was not reached"};
      if (own != answers.actors.end()) {
        const auto answer = std::find_if(own->second.begin(), own->second.end(),
                                         [i](const StepAnswer& each) { return each.step == i; });
        if (answer != own->second.end()) {
          const Waited waited = wait_of(run, static_cast<int>(s), answer->number);
          const std::vector<std::string> lines = words_of_answer(steps[i], *answer, waited);
          checked.came = lines.empty() ? "nothing" : fmt::format("{}", fmt::join(lines, "; "));
          checked.held = came_as_said(*expected, *answer, waited);
        }
      }
      all.push_back(std::move(checked));
    }
  }
  for (const auto& [index, said] : answers.failed_queries) {
    const spec::SpecInvariant& invariant = script.file().invariants[index];
    all.push_back(
        {.line = invariant.line, .held = false, .said = fmt::format("holds \"{}\"", invariant.text), .came = said});
  }
  std::stable_sort(all.begin(), all.end(), [](const Checked& a, const Checked& b) { return a.line < b.line; });
  return all;
}

std::string blessed(const Script& script, const record::Run& run, const AnswersOfRun& answers) {
  struct Place {
    const spec::Step* step = nullptr;
    std::set<std::vector<std::string>> came = {};
  };
  std::map<int, Place> places;  // by the line of the step
  const spec::SpecPattern& pattern = script.pattern_named(run.pattern);
  for (const auto& [actor, list] : answers.actors) {
    std::set<std::size_t> seen;  // a body that was run again says nothing new: it is in another order
    for (const StepAnswer& answer : list) {
      if (!seen.insert(answer.step).second) continue;
      const spec::Step& step = pattern.sessions[static_cast<std::size_t>(actor)].steps[answer.step];
      Place& place = places[step.line];
      place.step = &step;
      place.came.insert(words_of_answer(step, answer, wait_of(run, actor, answer.number)));
    }
  }
  std::set<int> gone;                             // lines
  std::map<int, std::vector<std::string>> below;  // by the line that they come after
  for (const auto& [line, place] : places) {
    if (place.came.size() != 1) continue;
    const spec::Expected* const expected = expected_at(script.file(), *place.step, run.store, run.protocol);
    std::string scope = speaks_of(script.file(), run.store, run.protocol) ? "" : fmt::format("[{}] ", run.protocol);
    if (expected != nullptr) {
      gone.insert(expected->lines.begin(), expected->lines.end());
      if (!expected->protocols.empty()) scope = fmt::format("[{}] ", fmt::join(expected->protocols, ", "));
    }
    for (const std::string& words : *place.came.begin())
      below[place.step->last_line].push_back(fmt::format("=> {}{}", scope, words));
  }
  std::string text;
  std::string_view rest = script.file().text;
  std::string_view indent;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view content = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!gone.contains(line)) text.append(content) += '\n';
    if (places.contains(line)) indent = content.substr(0, std::min(content.find_first_not_of(" \t"), content.size()));
    if (const auto lines = below.find(line); lines != below.end()) {
      for (const std::string& each : lines->second) text.append(indent).append(each) += '\n';
    }
  }
  return text;
}

}  // namespace lockstep::script
