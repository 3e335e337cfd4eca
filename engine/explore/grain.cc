// grain.cc: see grain.h.
#include "engine/explore/grain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <typeinfo>

#include "engine/store/backend.h"

namespace lockstep {
namespace {

constexpr std::size_t kStatementMost = 60;
constexpr std::size_t kStatementsNamed = 4;

/// "3 rows" -> 3; anything else -> 0.
int rows_in(const std::string& answer) {
  int rows = 0;
  const auto [rest, error] = std::from_chars(answer.data(), answer.data() + answer.size(), rows);
  return error == std::errc() && std::string_view(rest).starts_with(" row") ? rows : 0;
}

/// The statements that touched more than one row in a recorded run, with the most rows that each did.
std::map<std::string, int> wide_statements(const std::vector<Finding>& findings) {
  std::map<std::string, int> wide;
  for (const Finding& finding : findings) {
    for (const record::Event& event : finding.shortest.events) {
      if (event.kind != record::EventKind::grant || event.verb != "execute") continue;
      if (const int rows = rows_in(event.detail); rows > 1) wide[event.object] = std::max(wide[event.object], rows);
    }
  }
  return wide;
}

}  // namespace

std::vector<std::string> grain_of(const Scenario& scenario, const Exploration& explored, bool bodies_have_code) {
  std::vector<std::string> grain;
  const BackendKind* const kind = backend_named(explored.run.store);
  const bool has_sql = kind != nullptr && kind->traits.sql;
  grain.emplace_back(
      has_sql ? "between statements: what happens inside one, such as the order in which it locks its rows, was "
                "not searched"
      : bodies_have_code ? "between operations: what a body does from one co_await to the next is one step"
                         : "between the lines of the file: each is one step");
  if (bodies_have_code) {
    grain.emplace_back("the code before a body's first operation is no step: it runs at the start, actor after actor");
  }
  if (bodies_have_code && scenario.world_type() != typeid(void)) {
    grain.emplace_back(
        "variables that bodies share are not seen, unless they are sync::Shared<T> or stand behind a step()");
  }
  if (scenario.longest_wait() != kNever && explored.strategy == Strategy::exhaustive) {
    grain.emplace_back("how long somebody waits differs among the orders of a class, of which one was run");
  }
  std::size_t named = 0;
  for (const auto& [statement, rows] : wide_statements(explored.findings)) {
    if (++named > kStatementsNamed) break;
    grain.push_back(fmt::format("“{}{}” touches {} rows: their order inside it was not searched",
                                statement.substr(0, kStatementMost), statement.size() > kStatementMost ? "…" : "",
                                rows));
  }
  return grain;
}

}  // namespace lockstep
