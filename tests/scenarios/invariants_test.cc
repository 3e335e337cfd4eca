// invariants_test.cc: no invariant on rows is vacuous. Each is seen red once: in a run of the catalogue, or else in an
// end that is none of a right run (nothing has happened, a row is gone, a row holds something else). Invariants on
// objects of a scenario's own are not changed from outside: here only their runs count.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/run/run_environment.h"
#include "engine/schedule/schedule.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;

/// The ends in which a right run never stands: the rows as they were at first, without one of them, with one changed.
std::vector<State> wrong_ends_of(const State& right, const State& begin) {
  std::vector<State> ends{begin, {}};
  for (std::size_t i = 0; i < right.size(); ++i) {
    State without = right;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    ends.push_back(std::move(without));
    for (const char* value : {"-1000000", "1000000", "0", "off", "free", "lockstep"}) {
      State other = right;
      other[i].second = value;
      ends.push_back(std::move(other));
    }
    State doubled = right;
    doubled.emplace_back(right[i].first + "~", right[i].second);
    ends.push_back(std::move(doubled));
    State alike = right;
    for (auto& row : alike) row.second = right[i].second;
    ends.push_back(std::move(alike));
  }
  return ends;
}

struct RowsAtEnd {
  record::Run run;
  State rows;
};

std::optional<RowsAtEnd> run_of(const Scenario& scenario, const RunRequest& request) {
  const Result<RunRequest> resolved = resolve(scenario, request);
  if (!resolved) return std::nullopt;
  const Pattern& pattern = *scenario.pattern_named(resolved->pattern);
  std::vector<std::string> names;
  for (const ActorSpec& actor : pattern.actors) names.push_back(actor.name);
  Result<std::unique_ptr<RunEnvironment>> environment = RunEnvironment::open(scenario, *resolved, nullptr);
  Result<std::unique_ptr<Schedule>> schedule = scripted(pattern.schedule, names, false);
  if (!environment || !schedule || !(*environment)->perform(schedule->get())) return std::nullopt;
  RowsAtEnd end;
  end.run.store = resolved->store;
  end.run.protocol = resolved->protocol;
  end.run.actors = names;
  (*environment)->judge(end.run);
  end.rows = (*environment)->final_rows();
  return end;
}

std::vector<std::string> scenarios_on_rows() {
  std::vector<std::string> names = scenarios_on({"kv", "sqlite"});
  std::erase_if(names, [](const std::string& name) { return scenarios::find(name)->world_type() != typeid(void); });
  return names;
}

class Invariants : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, Invariants, testing::ValuesIn(scenarios_on_rows()),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(Invariants, AreSeenRedOnce) {
  const Scenario& scenario = *scenarios::find(GetParam());
  std::map<std::string, bool> red;
  for (const InvariantSpec& each : scenario.invariants()) red[each.text] = false;
  State right;
  for (const char* store : {"kv", "sqlite"}) {
    for (const RunRequest& request : requests_on(scenario, store, "coroutines")) {
      const auto end = run_of(scenario, request);
      if (!end) continue;
      for (const record::Invariant& each : end->run.invariants) red[each.text] = red[each.text] || !each.held;
      if (right.empty()) right = end->rows;
    }
  }
  for (const InvariantSpec& each : scenario.invariants()) {
    for (const State& end : wrong_ends_of(right, scenario.rows())) {
      if (red[each.text]) break;
      red[each.text] = !each.holds(Final(end, nullptr, typeid(void), nullptr).with(scenario.rows(), {}, {})).held;
    }
    EXPECT_TRUE(red[each.text]) << "“" << each.text << "” holds whatever happens";
  }
}

}  // namespace
}  // namespace lockstep
