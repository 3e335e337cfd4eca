// cells.cc: expands expectations into cells.
#include "cli/args/cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "engine/base/suggest.h"
#include "engine/run/run.h"
#include "engine/scenario/runs_only.h"
#include "engine/store/backend.h"

namespace lockstep::cli {
namespace {

bool wanted(const Scenario& scenario, const CellFilter& filter) {
  const std::string theme = scenario.name.substr(0, scenario.name.find('/'));
  return filter.names.empty() || contains(filter.names, scenario.name) || contains(filter.names, theme);
}

std::vector<std::string> protocols_of(std::string_view store) {
  const BackendKind* const kind = backend_named(store);
  return kind == nullptr ? std::vector<std::string>{std::string(record::kNoProtocol)} : kind->protocol_names();
}

bool runs_at(const Pattern& pattern, const std::string& store, const std::string& protocol) {
  const BackendKind* const kind = backend_named(store);
  if (kind == nullptr) return pattern.expected(store, protocol).has_value();
  return pattern.runs_on(*kind, *kind->protocol_named(protocol));
}

}  // namespace

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::vector<Cell> cells_of(std::span<const Scenario> scenarios, const CellFilter& filter) {
  std::vector<std::string> stores;
  for (const BackendKind& kind : backends()) stores.emplace_back(kind.name);
  std::erase_if(stores,
                [&](const std::string& store) { return !filter.stores.empty() && !contains(filter.stores, store); });
  stores.emplace_back(record::kNoStore);
  std::vector<Cell> cells;
  for (const std::string& store : stores) {
    for (const std::string& executor :
         filter.executors.empty() ? std::vector<std::string>{"threads"} : filter.executors) {
      for (const Scenario& scenario : scenarios) {
        if (!wanted(scenario, filter)) continue;
        for (const Pattern& pattern : scenario.patterns()) {
          if (filter.first_pattern && &pattern != &scenario.patterns().front()) continue;
          for (const std::string& protocol : protocols_of(store)) {
            if (!runs_at(pattern, store, protocol)) continue;
            Cell cell;
            cell.scenario = &scenario;
            cell.store = store;
            cell.protocol = protocol;
            cell.pattern = pattern.name;
            cell.executor = executor;
            cell.expected = pattern.expected(store, protocol);
            cells.push_back(std::move(cell));
          }
        }
      }
    }
  }
  return cells;
}

std::vector<Cell> told_of(std::vector<Cell> cells) {
  std::vector<Cell> told;
  for (Cell& cell : cells) {
    const Pattern& pattern = *cell.scenario->pattern_named(cell.pattern);
    const std::vector<std::string> stores = pattern.stores();
    const bool judged = std::any_of(pattern.expectations.begin(), pattern.expectations.end(),
                                    [](const Expectation& each) { return each.protocol != kRunsOnly; });
    const BackendKind* const kind = backend_named(cell.store);
    const bool first = kind != nullptr && cell.store == stores.front() && cell.protocol == kind->protocols.front().name;
    if (judged ? cell.expected.has_value() : first) told.push_back(std::move(cell));
  }
  return told;
}

std::string apply_expectation(const std::string& text, std::vector<Cell>& cells) {
  constexpr const char* kForm = "NAME STORE PROTOCOL PATTERN=VERDICT";
  std::istringstream words(text);
  std::string name, store, protocol, last, rest;
  const std::size_t equals = text.rfind('=');
  if (!(words >> name >> store >> protocol >> last) || words >> rest || equals == std::string::npos) {
    return fmt::format("--expect \"{}\": expected \"{}\"", text, kForm);
  }
  const std::string pattern = last.substr(0, last.find('='));
  const std::string verdict_name = text.substr(equals + 1);
  const auto verdict = record::verdict_named(verdict_name);
  if (!verdict) {
    std::vector<std::string> names;
    for (int v = 0; v <= static_cast<int>(record::kLastVerdict); ++v) {
      names.emplace_back(record::name_of(static_cast<record::Verdict>(v)));
    }
    return fmt::format("--expect \"{}\": {}", text, unknown_name("verdict", verdict_name, names));
  }
  std::size_t found = 0;
  for (Cell& cell : cells) {
    if (cell.scenario->name != name || cell.pattern != pattern) continue;
    if ((store != "*" && cell.store != store) || (protocol != "*" && cell.protocol != protocol)) continue;
    cell.expected = *verdict;
    ++found;
  }
  if (found == 0) return fmt::format("--expect \"{}\": no such cell is checked here", text);
  return {};
}

}  // namespace lockstep::cli
