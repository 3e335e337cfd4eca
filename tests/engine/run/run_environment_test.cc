// run_environment_test.cc: a scenario that is performed again and again finds everything as new, however it ended.
#include "engine/run/run_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "engine/sync/sync.h"

namespace lockstep {
namespace {

using record::Ending;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

/// What the actors of one performance share.
struct Shelf {
  sync::Mutex one{"one"}, two{"two"};
  int touched = 0;
};

Task<> takes_ten(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await c.db.commit();
}

Task<> counts(Context& c) {
  const auto guard = co_await c.world<Shelf>().one.lock();
  ++c.world<Shelf>().touched;
}

Task<> one_then_two(Context& c) {
  const auto first = co_await c.world<Shelf>().one.lock();
  const auto second = co_await c.world<Shelf>().two.lock();
}

Task<> two_then_one(Context& c) {
  const auto first = co_await c.world<Shelf>().two.lock();
  const auto second = co_await c.world<Shelf>().one.lock();
}

Task<> notes_its_thread(Context& c, std::set<std::thread::id>* threads) {
  const auto guard = co_await c.world<Shelf>().one.lock();
  threads->insert(std::this_thread::get_id());
}

Scenario two_withdrawals() {
  Scenario made = scenario("two actors take ten each")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", takes_ten)
                      .actor("T2", takes_ten)
                      .expect("kv", "*: clean")
                      .expect("sqlite", "*: clean")
                      .holds("both got theirs", [](const Final& end) { return end.number("A") == 80; });
  made.name = "test/withdrawals";
  return made;
}

Scenario opposite_orders() {
  Scenario made = scenario("two locks in opposite order")
                      .with<Shelf>()
                      .pattern("plain", "")
                      .actor("T1", one_then_two)
                      .actor("T2", two_then_one)
                      .expect("none", "none: deadlock");
  made.name = "test/opposite";
  return made;
}

/// The request with its defaults filled in, and the environment opened.
std::unique_ptr<RunEnvironment> open(const Scenario& scenario, const RunRequest& asked,
                                     const StopSource* stop = nullptr) {
  Result<RunRequest> request = resolve(scenario, asked);
  EXPECT_TRUE(request.ok()) << (request.ok() ? "" : request.error().message);
  Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, *request, stop);
  EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message);
  return std::move(*opened);
}

Result<void> perform(RunEnvironment& environment, std::string_view order) {
  const auto schedule = std::move(*scripted(order, {"T1", "T2"}, true));
  return environment.perform(schedule.get());
}

record::Run judged(RunEnvironment& environment) {
  record::Run run;
  run.actors = {"T1", "T2"};
  environment.judge(run);
  return run;
}

class EnvironmentOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Each, EnvironmentOn, testing::Values("threads", "coroutines"),
                         [](const auto& info) { return info.param; });

TEST_P(EnvironmentOn, GivesEveryPerformanceAStoreAsNew) {
  const Scenario scenario = two_withdrawals();
  const auto environment = open(scenario, {.store = "kv", .executor = GetParam()});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(perform(*environment, "T1 T1 T1 T2 T2 T2").ok());
    const record::Run run = judged(*environment);
    EXPECT_THAT(environment->final_rows(), ElementsAre(Pair("A", "80"))) << "performance " << i + 1;
    EXPECT_EQ(run.outcomes.committed, 2U) << "counts begin anew";
    ASSERT_EQ(run.invariants.size(), 1U);
    EXPECT_TRUE(run.invariants[0].held);
    EXPECT_EQ(run.events.front().seq, 1U);
  }
}

TEST_P(EnvironmentOn, GivesEveryPerformanceAWorldAndActorsAsNew) {
  const Scenario made = scenario("counting")
                            .with<Shelf>()
                            .pattern("plain", "")
                            .actor("T1", counts)
                            .actor("T2", counts)
                            .expect("none", "none: clean")
                            .holds("two", [](const Final& end) { return end.world<Shelf>().touched == 2; });
  const auto environment = open(made, {.executor = GetParam()});
  EXPECT_EQ(environment->backend(), nullptr);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(perform(*environment, "T1 T2").ok());
    EXPECT_EQ(judged(*environment).verdict, record::Verdict::clean) << "performance " << i + 1;
    for (const auto& actor : environment->state().actors) EXPECT_EQ(actor->attempts(), 1);
  }
}

TEST_P(EnvironmentOn, KeepsTheOrderOfTheLatestPerformance) {
  const Scenario scenario = two_withdrawals();
  const auto environment = open(scenario, {.store = "kv", .executor = GetParam()});
  EXPECT_THAT(environment->taken(), IsEmpty()) << "nothing has been performed";
  ASSERT_TRUE(perform(*environment, "T1 T1 T1 T2 T2 T2").ok());
  ASSERT_TRUE(perform(*environment, "T2 T2 T2 T1 T1 T1").ok());
  EXPECT_THAT(environment->taken(), ElementsAre(Choice{1}, Choice{1}, Choice{1}, Choice{0}, Choice{0}, Choice{0}));
}

TEST_P(EnvironmentOn, PerformsAnewAfterADeadlockThatNobodyBroke) {
  const Scenario scenario = opposite_orders();
  const auto environment = open(scenario, {.executor = GetParam()});
  ASSERT_TRUE(perform(*environment, "T1 T2 T1 T2").ok());
  const record::Run stuck = judged(*environment);
  EXPECT_EQ(stuck.ending, Ending::stuck);
  EXPECT_EQ(stuck.verdict, record::Verdict::deadlock);
  ASSERT_TRUE(perform(*environment, "T1 T1 T2 T2").ok());
  const record::Run whole = judged(*environment);
  EXPECT_EQ(whole.ending, Ending::complete) << "no lock of the former performance is left";
  EXPECT_THAT(whole.cycles, IsEmpty());
}

TEST_P(EnvironmentOn, PerformsAnewAfterAScheduleThatCouldNotBeFollowed) {
  const Scenario scenario = opposite_orders();
  const auto environment = open(scenario, {.executor = GetParam()});
  const Result<void> refused = perform(*environment, "T1 T2 T1 T1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault(), Fault::invalid);
  for (const auto& actor : environment->state().actors) EXPECT_TRUE(actor->has_finished()) << actor->name;
  ASSERT_TRUE(perform(*environment, "T1 T1 T2 T2").ok());
  EXPECT_EQ(judged(*environment).ending, Ending::complete);
}

TEST_P(EnvironmentOn, ReadsNoRowsOfARunThatWasInterrupted) {
  const Scenario scenario = two_withdrawals();
  StopSource stop;
  const auto environment = open(scenario, {.store = "kv", .executor = GetParam()}, &stop);
  stop.request();
  ASSERT_TRUE(perform(*environment, "T1 T2").ok());
  const record::Run run = judged(*environment);
  EXPECT_EQ(run.ending, Ending::interrupted);
  EXPECT_THAT(environment->final_rows(), IsEmpty());
  EXPECT_THAT(run.invariants, IsEmpty());
}

TEST_P(EnvironmentOn, PerformsWithoutASchedule) {
  const Scenario scenario = two_withdrawals();
  const auto environment = open(scenario, {.store = "kv", .executor = GetParam(), .schedule = "free"});
  EXPECT_FALSE(environment->is_in_virtual_time());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(environment->perform(nullptr).ok());
    EXPECT_EQ(judged(*environment).outcomes.committed, 2U);
    EXPECT_THAT(environment->taken(), IsEmpty());
  }
}

TEST(RunEnvironment, KeepsItsThreadsWhenAskedTo) {
  std::set<std::thread::id> threads;
  const Scenario made = scenario("threads")
                            .with<Shelf>()
                            .pattern("plain", "")
                            .actor("T1", notes_its_thread, &threads)
                            .actor("T2", notes_its_thread, &threads)
                            .expect("none", "none: clean");
  const auto environment = open(made, {.executor = "threads"});
  environment->keep_threads();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(perform(*environment, "T1 T2").ok());
  EXPECT_EQ(threads.size(), 2U);
  EXPECT_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST(RunEnvironment, OffloadsTheCallsOfAStoreThatBlocksOnFreeCoroutinesAlone) {
  const Scenario scenario = two_withdrawals();
  const auto offloads = [&](std::string store, std::string executor, std::string schedule) {
    return open(scenario, {.store = store, .executor = executor, .schedule = schedule})->offloads_calls();
  };
  EXPECT_TRUE(offloads("sqlite", "coroutines", "free"));
  EXPECT_FALSE(offloads("sqlite", "threads", "free"));
  EXPECT_FALSE(offloads("sqlite", "coroutines", ""));
  EXPECT_FALSE(offloads("kv", "coroutines", "free")) << "kv never blocks";
}

TEST(RunEnvironment, IsInVirtualTimeUnderAScheduleWhereWaitsEndInTheProcess) {
  EXPECT_TRUE(open(two_withdrawals(), {.store = "kv"})->is_in_virtual_time());
  EXPECT_TRUE(open(opposite_orders(), {})->is_in_virtual_time());
}

TEST(RunEnvironment, SaysWhyAStoreCannotBeOpened) {
  const Scenario scenario = two_withdrawals();
  Result<RunRequest> request = resolve(scenario, {.store = "kv"});
  ASSERT_TRUE(request.ok());
  request->protocol = "no-such";
  EXPECT_FALSE(RunEnvironment::open(scenario, *request, nullptr).ok());
}

}  // namespace
}  // namespace lockstep
