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
  constexpr std::size_t kAllUpTo = 100;  // of more rows: those at both ends, and those that the run has written
  std::vector<State> ends{begin, {}};
  for (std::size_t i = 0; i < right.size(); ++i) {
    const bool is_in_the_middle = right.size() > kAllUpTo && i > 20 && i + 20 < right.size();
    if (is_in_the_middle && std::find(begin.begin(), begin.end(), right[i]) != begin.end()) continue;
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
    std::vector<RunRequest> requests = requests_on(scenario, store, "coroutines");
    if (requests.empty() && scenario.has_rows_to_choose()) requests.push_back({.store = store});
    for (const RunRequest& request : requests) {
      const auto end = run_of(scenario, request);
      if (!end) continue;
      for (const record::Invariant& each : end->run.invariants) red[each.text] = red[each.text] || !each.held;
      if (right.empty()) right = end->rows;
    }
  }
  const auto is_broken = [&](const InvariantSpec& invariant, const State& end, const Counts& counts) {
    return !invariant
                .holds(
                    Final(end, nullptr, typeid(void), nullptr).with(scenario.rows(), scenario.shape_of_run(1), counts))
                .held;
  };
  for (const InvariantSpec& each : scenario.invariants()) {
    for (const State& end : wrong_ends_of(right, scenario.rows())) {
      if (red[each.text]) break;
      red[each.text] = is_broken(each, end, {});
    }
    for (std::size_t which = 0; which < Counts{}.values.size() && !red[each.text]; ++which) {
      Counts told;
      told[which] = 1'000'000;
      red[each.text] = is_broken(each, right, told);
    }
    EXPECT_TRUE(red[each.text]) << "“" << each.text << "” holds whatever happens";
  }
}

}  // namespace
}  // namespace lockstep
