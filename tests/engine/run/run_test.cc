// run_test.cc: whole runs of small scenarios: verdicts, order, limits, stops, and the joint wait-for graph.
#include "engine/run/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/thread/thread.hpp>

#include "engine/actor/pause.h"
#include "engine/sync/sync.h"

namespace lockstep {
namespace {

using record::EventKind;
using record::Verdict;
using testing::ElementsAre;
using testing::HasSubstr;

Task<> transfer(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  const std::int64_t a = co_await c.db.read_for_update(from);
  const std::int64_t b = co_await c.db.read_for_update(to);
  co_await c.db.write(from, a - 10);
  co_await c.db.write(to, b + 10);
  co_await c.db.commit();
}

Task<> loses_ten(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await c.db.commit();
}

Task<> leaves_open(Context& c) {
  co_await c.db.begin();
  co_await c.db.write("A", 0);
  co_await fail(Fault::refused, "changed its mind");
}

struct Desk {
  sync::Mutex mutex{"desk"};
};

Task<> desk_then_row(Context& c) {
  const auto guard = co_await c.world<Desk>().mutex.lock();
  co_await c.db.begin();
  co_await c.db.write("A", 1);
  co_await c.db.commit();
}

Task<> row_then_desk(Context& c) {
  co_await c.db.begin();
  co_await c.db.write("A", 2);
  const auto guard = co_await c.world<Desk>().mutex.lock();
  co_await c.db.commit();
}

Task<> waits_for_ever(Context& c) {
  const auto guard = co_await c.world<Desk>().mutex.lock();
  co_await pause(std::chrono::hours(10));
}

Scenario two_transfers() {
  Scenario made = scenario("two transfers in opposite order")
                      .given({{"A", 100}, {"B", 100}})
                      .pattern("plain", "each locks its source first")
                      .actor("T1", transfer, "A", "B")
                      .actor("T2", transfer, "B", "A")
                      .schedule("T1 T1 T2 T2 T1 T2")
                      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout")
                      .holds("money is conserved", [](const Final& end) { return end.total() == 200; });
  made.name = "test/two-transfers";
  return made;
}

Scenario through_a_mutex_and_a_row() {
  Scenario made = scenario("a mutex and a row")
                      .given({{"A", 0}})
                      .with<Desk>()
                      .pattern("plain", "opposite orders")
                      .actor("T1", desk_then_row)
                      .actor("T2", row_then_desk)
                      .schedule("T1 T2 T2 T1 T1 T2")
                      .expect("kv", "2pl-detect: deadlock");
  made.name = "test/cross";
  return made;
}

std::string story_of(const record::Run& run) {
  std::string text;
  for (const record::Event& event : run.events) {
    text += fmt::format("{} {} {} {} {} {} {} {}\n", event.seq, event.at_ns, event.actor, event.step,
                        name_of(event.kind), event.verb, event.object, event.detail);
  }
  return text;
}

record::Run must_run(const Scenario& scenario, const RunRequest& request, const StopSource* stop = nullptr) {
  Result<record::Run> result = run(scenario, request, stop);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? std::move(*result) : record::Run{};
}

TEST(Run, AScenarioThatNamesNoStoreRunsOnTheDefaultOne) {
  const Scenario made = scenario("expects nothing").given({{"A", 1}}).pattern("plain", "").actor("T1", loses_ten);
  const record::Run on_default = must_run(made, {});
  EXPECT_EQ(on_default.store, default_backend().name);
  EXPECT_EQ(on_default.verdict, Verdict::clean);
  EXPECT_FALSE(on_default.expected.has_value());
  const Result<record::Run> elsewhere = run(made, {.store = "sqlite"});
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_THAT(elsewhere.error().message, HasSubstr("it runs on: kv"));
}

class OnEachExecutor : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Run, OnEachExecutor, testing::Values("threads", "coroutines"));

TEST_P(OnEachExecutor, FindsBreaksAndRetriesADeadlock) {
  const record::Run result = must_run(two_transfers(), {.executor = GetParam()});
  EXPECT_EQ(result.verdict, Verdict::deadlock);
  EXPECT_TRUE(result.as_expected());
  EXPECT_THAT(result.cycles, ElementsAre(ElementsAre("T1", "T2")));
  EXPECT_THAT(result.victims, ElementsAre("T2"));
  EXPECT_EQ(result.outcomes.committed, 2U);
  EXPECT_EQ(result.outcomes.aborted, 1U);
  EXPECT_EQ(result.outcomes.retries, 1U);
  EXPECT_EQ(result.outcomes.faults.at("deadlock"), 1U);
}

TEST_P(OnEachExecutor, NumbersEventsWithoutGaps) {
  const record::Run result = must_run(two_transfers(), {.executor = GetParam()});
  for (std::size_t i = 0; i < result.events.size(); ++i) EXPECT_EQ(result.events[i].seq, i + 1);
}

TEST_P(OnEachExecutor, TimesOutInVirtualTimeWithoutWaiting) {
  const record::Run result = must_run(two_transfers(), {.protocol = "2pl-timeout", .executor = GetParam()});
  EXPECT_EQ(result.verdict, Verdict::timeout);
  EXPECT_TRUE(result.virtual_time);
  EXPECT_GE(result.events.back().at_ns, std::chrono::nanoseconds(std::chrono::milliseconds(50)).count());
}

TEST_P(OnEachExecutor, FindsTheCycleThroughAMutexAndARow) {
  const record::Run result = must_run(through_a_mutex_and_a_row(), {.executor = GetParam()});
  EXPECT_EQ(result.verdict, Verdict::deadlock);
  EXPECT_EQ(result.ending, record::Ending::stuck);
  EXPECT_THAT(result.cycles, ElementsAre(ElementsAre("T1", "T2")));
  EXPECT_TRUE(result.victims.empty());
}

TEST_P(OnEachExecutor, FindsTheSameCycleUnderTheFreeScheduleOrRunsClean) {
  const record::Run result = must_run(through_a_mutex_and_a_row(), {.executor = GetParam(), .schedule = "free"});
  EXPECT_TRUE(result.verdict == Verdict::deadlock || result.verdict == Verdict::clean) << name_of(result.verdict);
}

TEST_P(OnEachExecutor, RunsFreelyManyTimesWithMoneyConserved) {
  for (int i = 0; i < 50; ++i) {
    const record::Run result = must_run(two_transfers(), {.executor = GetParam(), .schedule = "free"});
    EXPECT_NE(result.verdict, Verdict::anomaly);
    EXPECT_NE(result.verdict, Verdict::hung);
    EXPECT_EQ(result.outcomes.committed, 2U);
  }
}

TEST_P(OnEachExecutor, CallsABrokenInvariantAnAnomalyAndShowsTheValues) {
  Scenario made = scenario("loses money")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", loses_ten)
                      .expect("kv", "2pl-detect: clean")
                      .holds("money is conserved", [](const Final& end) { return end.total() == 100; });
  const record::Run result = must_run(made, {.executor = GetParam()});
  EXPECT_EQ(result.verdict, Verdict::anomaly);
  EXPECT_FALSE(result.as_expected());
  ASSERT_EQ(result.invariants.size(), 1U);
  EXPECT_EQ(result.invariants[0].detail, "A=90");
}

TEST_P(OnEachExecutor, RollsBackWhatABodyLeavesOpen) {
  Scenario made = scenario("changes its mind")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", leaves_open)
                      .expect("kv", "2pl-detect: clean")
                      .holds("nothing happened", [](const Final& end) { return end["A"] == "100"; });
  const record::Run result = must_run(made, {.executor = GetParam()});
  EXPECT_EQ(result.verdict, Verdict::error);  // nobody handles the refusal
  EXPECT_EQ(result.outcomes.aborted, 1U);
  EXPECT_EQ(result.outcomes.retries, 0U);
}

TEST_P(OnEachExecutor, EndsAWaitBeyondTheLimitAsHung) {
  Scenario made = scenario("waits for ever")
                      .with<Desk>()
                      .pattern("plain", "")
                      .actor("T1", waits_for_ever)
                      .actor("T2", waits_for_ever)
                      .expect("none", "*: hung");
  made.name = "test/hung";
  // Of virtual time the limit costs nothing; of real time it is long enough for both to come to the desk.
  for (const auto& [schedule, limit] :
       {std::pair{"", std::chrono::seconds(20)}, std::pair{"free", std::chrono::seconds(1)}}) {
    const record::Run result = must_run(made, {.executor = GetParam(), .schedule = schedule, .limit = limit});
    EXPECT_EQ(result.verdict, Verdict::hung) << schedule;
    EXPECT_TRUE(std::any_of(result.events.begin(), result.events.end(), [](const record::Event& e) {
      return e.kind == EventKind::wait && e.object == "desk" && e.others == std::vector<int>{1 - e.actor};
    })) << "the wait-for graph must show who waits for whom";
  }
}

TEST_P(OnEachExecutor, StopsOnRequestAndKeepsWhatHappened) {
  Scenario made = scenario("waits for ever")
                      .with<Desk>()
                      .pattern("plain", "")
                      .actor("T1", waits_for_ever)
                      .expect("none", "*: hung");
  StopSource stop;
  stop.request();
  const record::Run result = must_run(made, {.executor = GetParam(), .schedule = "free"}, &stop);
  EXPECT_EQ(result.ending, record::Ending::interrupted);
  EXPECT_FALSE(result.events.empty());
}

TEST_P(OnEachExecutor, RefusesAScheduleThatCannotBeFollowed) {
  const auto refused = run(two_transfers(), {.executor = GetParam(), .schedule = "T1 T1 T2 T2 T1 T1"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault(), Fault::invalid);
  EXPECT_THAT(refused.error().message, HasSubstr("position 6: T1 waits and cannot go; allowed here: T2"));
}

TEST(Run, GivesTheSameEventsOnThreadsAndCoroutines) {
  const std::string threads = story_of(must_run(two_transfers(), {.executor = "threads"}));
  const std::string coroutines = story_of(must_run(two_transfers(), {.executor = "coroutines"}));
  EXPECT_EQ(threads, coroutines);
}

TEST(Run, NamesTheFixForTheSameProtocolAndOnlyWhereItRuns) {
  Scenario made = two_transfers()
                      .fix("one order", "ordered")
                      .pattern("ordered", "the same order")
                      .actor("T1", transfer, "A", "B")
                      .actor("T2", transfer, "A", "B")
                      .schedule("T1 T2")
                      .expect("kv", "2pl-timeout: clean");
  made.name = "test/two-transfers";
  const auto fix_on = [&made](const std::string& protocol) {
    return must_run(made, {.protocol = protocol, .pattern = "plain"}).fix_command;
  };
  EXPECT_EQ(fix_on("2pl-timeout"), "lockstep run test/two-transfers --protocol 2pl-timeout --pattern ordered");
  EXPECT_EQ(fix_on("2pl-detect"), "");
}

TEST(Run, RefusesUnknownCoordinatesWithTheNearestNameOrTheList) {
  const auto message = [](const RunRequest& request) {
    const auto refused = resolve(two_transfers(), request);
    return refused.ok() ? std::string("accepted") : refused.error().message;
  };
  EXPECT_THAT(message({.store = "kw"}), HasSubstr("did you mean \"kv\"?"));
  EXPECT_THAT(message({.store = "sqlite"}), HasSubstr("it runs on: kv"));
  EXPECT_THAT(message({.protocol = "2pl-detct"}), HasSubstr("did you mean \"2pl-detect\"?"));
  EXPECT_THAT(message({.protocol = "occ"}), HasSubstr("it runs with: 2pl-detect, 2pl-timeout"));
  EXPECT_THAT(message({.pattern = "plane"}), HasSubstr("did you mean \"plain\"?"));
  EXPECT_THAT(message({.executor = "fibres"}), HasSubstr("no executor \"fibres\""));
}

}  // namespace
}  // namespace lockstep
