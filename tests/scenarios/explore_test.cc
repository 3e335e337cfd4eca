// explore_test.cc: the reduced search finds on every small scenario exactly what all its interleavings show.
#include "engine/explore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;

/// By verdict and what: how many interleavings end so.
std::map<std::string, double> ends_of(const Exploration& explored) {
  std::map<std::string, double> ends;
  for (const Finding& each : explored.findings)
    ends[std::string(record::name_of(each.verdict)) + " " + each.what] = each.interleavings;
  return ends;
}

Exploration must_explore(const Scenario& scenario, const ExploreRequest& request) {
  Result<Exploration> explored = explore(scenario, request);
  EXPECT_TRUE(explored.ok()) << explored.error().message;
  return explored.ok() ? std::move(*explored) : Exploration{};
}

/// The parameter: a scenario that runs on kv or on in-process locks.
class Explore : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Catalogue, Explore, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(Explore, FindsWhatEveryInterleavingShows) {
  constexpr std::uint64_t kMost = 3'000;
  const Scenario& scenario = *scenarios::find(GetParam());
  int compared = 0;
  for (const char* store : {"kv", "none"}) {
    for (const RunRequest& coordinates : requests_on(scenario, store, "coroutines")) {
      SCOPED_TRACE(place_of(scenario, coordinates));
      RunRequest run = coordinates;
      run.schedule.clear();
      run.retries = 0;
      const Exploration every = must_explore(scenario, {.run = run, .strategy = Strategy::unreduced, .most_runs = kMost});
      const Exploration reduced = must_explore(scenario, {.run = run, .most_runs = kMost});
      EXPECT_FALSE(every.complete && !reduced.complete);
      if (!every.complete) continue;
      ++compared;
      EXPECT_EQ(ends_of(reduced), ends_of(every));
      EXPECT_EQ(reduced.interleavings, every.interleavings);
      EXPECT_LE(reduced.runs + reduced.pruned, every.runs);
    }
  }
  RecordProperty("compared", compared);
}

}  // namespace
}  // namespace lockstep
