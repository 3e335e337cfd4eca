// checks.cc: see checks.h.
#include "engine/spec/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "engine/base/suggest.h"
#include "engine/spec/portable.h"

namespace lockstep::spec {
namespace {

/// In the order of the names, as isolationtester finds them.
std::optional<Complaint> fault_in_step_names(const SpecPattern& pattern) {
  std::map<std::string_view, int> lines;
  std::map<std::string_view, std::pair<int, int>> twice;
  for (const SpecSession& session : pattern.sessions) {
    if (session.is_copy) continue;
    for (const Step& step : session.steps) {
      if (step.name.empty()) continue;
      if (const auto [first, is_new] = lines.emplace(step.name, step.line); !is_new)
        twice.emplace(step.name, std::pair(first->second, step.line));
    }
  }
  if (twice.empty()) return std::nullopt;
  const auto& [name, where] = *twice.begin();
  return Complaint{where.second,
                   fmt::format("line {} has a step {} already; a name stands for one step", where.first, name),
                   fmt::format("duplicate step name: {}", name)};
}

using Owners = std::unordered_map<std::string_view, const SpecSession*>;

std::optional<Complaint> fault_in_markers(const PermutationStep& step, const std::set<std::string_view>& present,
                                          const Owners& owners, int line) {
  for (const Marker& marker : step.markers) {
    if (marker.kind == Marker::Kind::once) continue;
    if (!present.contains(marker.step)) {
      return Complaint{
          line, fmt::format("{} waits for {}, which is no step of this permutation", step.step, marker.step),
          fmt::format("undefined blocking step \"{}\" referenced in permutation step \"{}\"", marker.step, step.step)};
    }
    if (owners.at(marker.step) != owners.at(step.step)) continue;
    return Complaint{line,
                     fmt::format("{} waits for {}, a step of its own session {}, which is over by then anyway",
                                 step.step, marker.step, owners.at(step.step)->name),
                     fmt::format("permutation step \"{}\" cannot block on its own session", step.step)};
  }
  return std::nullopt;
}

std::optional<Complaint> fault_in_permutations(const SpecPattern& pattern) {
  if (pattern.permutations.empty()) return std::nullopt;
  Owners owners;
  std::vector<std::string> names;
  for (const SpecSession& session : pattern.sessions) {
    for (const Step& step : session.steps) {
      if (step.name.empty()) continue;
      if (!session.is_copy) names.push_back(step.name);
      owners.emplace(step.name, &session);
    }
  }
  for (const Permutation& permutation : pattern.permutations) {
    std::set<std::string_view> present;
    for (const PermutationStep& step : permutation.steps) {
      present.insert(step.step);
      if (owners.contains(step.step)) continue;
      return Complaint{permutation.line, unknown_name("step", step.step, names),
                       fmt::format("undefined step \"{}\" specified in permutation", step.step)};
    }
    for (const PermutationStep& step : permutation.steps) {
      if (auto found = fault_in_markers(step, present, owners, permutation.line)) return found;
    }
  }
  return std::nullopt;
}

std::optional<Complaint> fault_in_expected(const SpecPattern& pattern) {
  std::vector<std::string> sessions;
  for (const SpecSession& session : pattern.sessions) sessions.push_back(session.name);
  const std::set<std::string> known(sessions.begin(), sessions.end());
  for (const SpecSession& session : pattern.sessions) {
    for (const Step& step : session.steps) {
      for (const Expected& expected : step.expected) {
        for (const std::string& name : expected.waits_for) {
          if (known.contains(name)) continue;
          return Complaint{expected.lines.front(),
                           unknown_name("session", name, sessions) + "; `=> waits T1, then …` says what comes then",
                           {}};
        }
      }
    }
  }
  return std::nullopt;
}

/// Names in expressions and keys of a portable file have a value before.
std::optional<Complaint> fault_in_names(const SpecSession& session, std::vector<std::string> known) {
  std::string_view unknown;
  const auto look = [&known, &unknown](const auto& names) {
    for (const auto& name : names) {
      if (unknown.empty() && std::find(known.begin(), known.end(), name) == known.end()) unknown = name;
    }
  };
  for (const Step& step : session.steps) {
    const Operation& operation = *step.operation;
    look(operation.value.names());
    look(operation.compared.names());
    look(names_in_key(operation.key));
    look(names_in_key(operation.upper));
    if (!unknown.empty()) {
      return Complaint{
          step.line,
          unknown_name("name", unknown, known) + fmt::format("; {} names an answer by `-> name`", session.name),
          {}};
    }
    for (const std::string& name : step.captures) {
      if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
    }
  }
  return std::nullopt;
}

std::optional<Complaint> fault_in_names(const SpecPattern& pattern) {
  for (const SpecSession& session : pattern.sessions) {
    if (auto found = fault_in_names(session, {"me"})) return found;
  }
  for (const SpecLoad& load : pattern.loads) {
    std::vector<std::string> known{"me", "rows"};
    known.insert(known.end(), load.chosen.begin(), load.chosen.end());
    if (auto found = fault_in_names(load.session, std::move(known))) return found;
  }
  return std::nullopt;
}

std::optional<Complaint> fault_in_loads(const SpecFile& file, const SpecPattern& pattern) {
  int percent = 0;
  bool leaves_rest = pattern.loads.empty();
  for (const SpecLoad& load : pattern.loads) {
    percent += load.percent;
    leaves_rest = leaves_rest || load.percent == 0;
    if (load.session.steps.empty())
      return Complaint{load.line, fmt::format("the load {} has no step; write `step {{ … }}`", load.name), {}};
    if (file.rows == 0 && !load.chosen.empty())
      return Complaint{load.line, "`choose` needs to know among how many: write `rows 1000`", {}};
    if (static_cast<std::int64_t>(load.chosen.size()) > std::max<std::int64_t>(file.rows, 1))
      return Complaint{load.line, fmt::format("{} different rows of {}", load.chosen.size(), file.rows), {}};
    const auto& steps = load.session.steps;
    if (const auto named = std::find_if(steps.begin(), steps.end(), [](const Step& s) { return !s.name.empty(); });
        named != steps.end())
      return Complaint{named->line, "steps of a load have no names: no permutation speaks of them", {}};
  }
  if (leaves_rest ? percent < 100 : percent == 100) return std::nullopt;
  return Complaint{pattern.loads.front().line,
                   fmt::format("the shares of the loads add up to {} %{}", percent,
                               leaves_rest ? ", which leaves nothing for the one without a share" : ", not to 100"),
                   {}};
}

}  // namespace

std::optional<Complaint> fault_in(const SpecFile& file) {
  std::vector<std::string> patterns;
  for (const SpecPattern& each : file.patterns) patterns.push_back(each.name);
  for (const SpecPattern& each : file.patterns) {
    if (auto found = fault_in_step_names(each)) return found;
    if (auto found = fault_in_permutations(each)) return found;
    if (auto found = fault_in_expected(each)) return found;
    if (auto found = file.portable ? fault_in_names(each) : std::nullopt) return found;
    if (auto found = file.is_load() ? fault_in_loads(file, each) : std::nullopt) return found;
    if (each.fix && std::find(patterns.begin(), patterns.end(), each.fix->pattern) == patterns.end())
      return Complaint{each.fix->line, unknown_name("pattern", each.fix->pattern, patterns), {}};
  }
  return std::nullopt;
}

}  // namespace lockstep::spec
