// invariants_test.cc: no invariant of the catalogue is vacuous. Each is seen red once: in a run of the catalogue, or
// else in an end that is none of a right run (nothing has happened, a row is gone, a row holds something else).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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
  }
  return ends;
}

std::optional<record::Run> run_of(const Scenario& scenario, const RunRequest& request) {
  Result<record::Run> ran = run(scenario, request);
  return ran ? std::optional(std::move(*ran)) : std::nullopt;
}

class Invariants : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, Invariants, testing::ValuesIn(scenarios_on({"kv", "sqlite", "none", "postgres"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(Invariants, AreSeenRedOnce) {
  const Scenario& scenario = *scenarios::find(GetParam());
  std::map<std::string, bool> red;
  for (const InvariantSpec& each : scenario.invariants()) red[each.text] = false;
  for (const char* store : {"kv", "none", "sqlite"}) {
    for (const RunRequest& request : requests_on(scenario, store, "coroutines")) {
      const auto ran = run_of(scenario, request);
      if (!ran) continue;
      for (const record::Invariant& each : ran->invariants) red[each.text] = red[each.text] || !each.held;
    }
  }
  const std::shared_ptr<void> world = scenario.make_world();
  for (const InvariantSpec& each : scenario.invariants()) {
    for (const State& end : wrong_ends_of(scenario.rows(), scenario.rows())) {
      if (red[each.text]) break;
      red[each.text] = !each.holds(Final(end, nullptr, scenario.world_type(), world.get()));
    }
    EXPECT_TRUE(red[each.text]) << "“" << each.text << "” holds whatever happens";
  }
}

}  // namespace
}  // namespace lockstep
