// determinism_test.cc: a scripted run is the same run every time, on threads and on coroutines alike.
#include <gtest/gtest.h>

#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;

std::string story(const Scenario& scenario, RunRequest request) {
  const Result<record::Run> result = run(scenario, request);
  EXPECT_TRUE(result) << result.error().message;
  if (!result) return {};
  return "verdict " + std::string(name_of(result->verdict)) + ", schedule " + result->schedule + "\n" +
         story_of(*result);
}

TEST(Determinism, TheTwoLocksDeadlockTheSameWayAThousandTimes) {
  const Scenario& scenario = *scenarios::find("deadlock/two-lock");
  for (const auto* protocol : {"2pl-detect", "2pl-timeout", "2pl-banker"}) {
    SCOPED_TRACE(protocol);
    RunRequest request;
    request.store = "kv";
    request.protocol = protocol;
    request.pattern = "plain";
    request.executor = "coroutines";
    const std::string first = story(scenario, request);
    for (int i = 0; i < kRepetitions; ++i) ASSERT_EQ(story(scenario, request), first) << "coroutines, run " << i;
    request.executor = "threads";
    for (int i = 0; i < kRepetitions; ++i) ASSERT_EQ(story(scenario, request), first) << "threads, run " << i;
  }
}

class DeterminismOf : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Catalogue, DeterminismOf, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(DeterminismOf, EveryRunTellsTheSameStoryOnThreadsAndCoroutines) {
  const Scenario& scenario = *scenarios::find(GetParam());
  for (const auto* store : {"kv", "none"}) {
    for (RunRequest& request : requests_on(scenario, store, "coroutines")) {
      SCOPED_TRACE(place_of(scenario, request));
      const std::string first = story(scenario, request);
      for (int i = 0; i < 10; ++i) ASSERT_EQ(story(scenario, request), first) << "coroutines, run " << i;
      request.executor = "threads";
      for (int i = 0; i < 10; ++i) ASSERT_EQ(story(scenario, request), first) << "threads, run " << i;
    }
  }
}

}  // namespace
}  // namespace lockstep
