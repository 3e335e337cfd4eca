// shared_test.cc: variables with accesses that are steps, and steps of plain code.
#include "engine/sync/shared.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/actor/step.h"
#include "engine/explore/explore.h"
#include "tests/engine/sync/sync_runs.h"

namespace lockstep::sync {
namespace {

using record::Verdict;

struct Counter {
  Shared<int> shared{"counter", 0};
  int plain = 0;
};

Task<> adds_by_load_and_store(Context& c) {
  Shared<int>& counter = c.world<Counter>().shared;
  const int seen = co_await counter.load();
  co_await counter.store(seen + 1);
}

Task<> adds_at_once(Context& c) { co_await c.world<Counter>().shared.fetch_add(1); }

Task<> adds_by_exchange(Context& c) {
  Shared<int>& counter = c.world<Counter>().shared;
  for (;;) {
    const int seen = co_await counter.load();
    const bool won = co_await counter.compare_exchange(seen, seen + 1);
    if (won) co_return;
  }
}

Task<> adds_in_plain_code(Context& c) {
  co_await step("reads");
  const int seen = c.world<Counter>().plain;
  co_await step("writes");
  c.world<Counter>().plain = seen + 1;
}

Scenario two_who_add(Task<> (*body)(Context&), bool plain = false) {
  return scenario("two add one")
      .with<Counter>()
      .pattern("plain", "")
      .actor("T1", body)
      .actor("T2", body)
      .expect("none", "*: clean")
      .holds("both count", [plain](const Final& end) {
        const auto& world = end.world<Counter>();
        return (plain ? world.plain : world.shared.value()) == 2;
      });
}

Exploration explored(const Scenario& scenario, Strategy strategy = Strategy::exhaustive) {
  Result<Exploration> found = explore(scenario, {.strategy = strategy, .fewest_preemptions = false});
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
  return found.ok() ? std::move(*found) : Exploration{};
}

TEST(Shared, ShowsTheLostUpdateOfALoadAndAStore) {
  const Exploration lost = explored(two_who_add(adds_by_load_and_store));
  EXPECT_TRUE(lost.complete);
  EXPECT_EQ(lost.interleavings, 6);
  EXPECT_GT(lost.share_ending(Verdict::anomaly), 0.6);
  EXPECT_EQ(lost.share_ending(Verdict::anomaly),
            explored(two_who_add(adds_by_load_and_store), Strategy::unreduced).share_ending(Verdict::anomaly));
}

TEST(Shared, LosesNothingInOneStep) {
  EXPECT_EQ(explored(two_who_add(adds_at_once)).share_ending(Verdict::clean), 1);
  EXPECT_EQ(explored(two_who_add(adds_by_exchange)).share_ending(Verdict::clean), 1);
}

TEST(Shared, RecordsWhatWasSeen) {
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(two_who_add(adds_by_exchange), place);
    EXPECT_EQ(run.verdict, Verdict::clean) << testing::story(run);
    // Who of the two loads first is open, where nobody decides it.
    EXPECT_THAT(testing::told(run),
                ::testing::Contains(::testing::AnyOf("T1 grant load counter [0]", "T2 grant load counter [0]")));
  }
}

TEST(PlainStep, LetsTheCodeAfterItBeSearched) {
  const Exploration lost = explored(two_who_add(adds_in_plain_code, true));
  EXPECT_TRUE(lost.complete);
  EXPECT_EQ(lost.interleavings, 6);
  EXPECT_GT(lost.share_ending(Verdict::anomaly), 0.6);
}

}  // namespace
}  // namespace lockstep::sync
