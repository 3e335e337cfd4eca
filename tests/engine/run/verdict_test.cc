// verdict_test.cc: what a run that is written out by hand is judged to be, and what is said of it.
#include "engine/run/verdict.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "engine/run/run.h"

namespace lockstep {
namespace {

using record::Ending;
using record::Verdict;
using testing::ElementsAre;
using testing::IsEmpty;

Task<> does_nothing(Context&) { co_return; }

Task<> loses_every_time(Context& c) {
  co_await c.db.begin();
  co_await fail(Fault::wounded, "somebody older came");
}

Task<> commits(Context& c) {
  co_await c.db.begin();
  co_await c.db.commit();
}

Scenario sample() {
  Scenario made = scenario("a sample")
                      .given({{"x", 1}})
                      .pattern("plain", "")
                      .actor("T1", does_nothing)
                      .actor("T2", does_nothing)
                      .expect("kv", "2pl-detect: deadlock, occ: anomaly")
                      .expect("sqlite", "immediate: timeout")
                      .fix("take them in one order", "ordered")
                      .pattern("ordered", "")
                      .actor("T1", does_nothing)
                      .actor("T2", does_nothing)
                      .expect("kv", "2pl-detect: clean, occ: clean")
                      .expect("sqlite", "immediate: clean")
                      .holds("x is 1", [](const Final& end) { return end.number("x") == 1; });
  made.name = "test/sample";
  return made;
}

/// What happened in a run, told to its state.
using Story = std::function<void(RunState&)>;

struct Judged {
  std::string store = "kv";
  std::string protocol = "2pl-detect";
  State rows = {{"x", "1"}};

  record::Run after(const Story& story) const {
    const Scenario scenario = sample();
    RunState state(/*virtual_time=*/true, /*recording=*/true, std::chrono::seconds(1), nullptr);
    story(state);
    record::Run run;
    run.scenario = scenario.name;
    run.store = store;
    run.protocol = protocol;
    run.actors = {"T1", "T2"};
    judge(scenario, *scenario.pattern_named("plain"), Final(rows, nullptr, typeid(void), nullptr),
          scenario.longest_wait(), state, run);
    return run;
  }
};

Story fault(Fault what) {
  return [what](RunState& state) { state.count_fault(what); };
}

void close_a_cycle(RunState& state) { state.note_cycle({0, 1}, "nobody will break it"); }

TEST(Verdict, OfARunWithoutFaultsIsClean) {
  const record::Run run = Judged().after([](RunState& state) { state.committed = 2; });
  EXPECT_EQ(run.verdict, Verdict::clean);
  EXPECT_EQ(run.summary, "2 committed, 0 aborted");
  EXPECT_EQ(run.fix, "");
  EXPECT_EQ(run.fix_command, "");
}

TEST(Verdict, IsCalledAfterTheFault) {
  const std::vector<std::pair<Fault, Verdict>> expected{
      {Fault::deadlock, Verdict::deadlock},
      {Fault::lock_timeout, Verdict::timeout},
      {Fault::statement_timeout, Verdict::timeout},
      {Fault::idle_timeout, Verdict::timeout},
      {Fault::unsafe_claim, Verdict::avoided},
      {Fault::claim_exceeded, Verdict::avoided},
      {Fault::serialization_failure, Verdict::abort},
      {Fault::validation_failure, Verdict::abort},
      {Fault::certification_failure, Verdict::abort},
      {Fault::wounded, Verdict::abort},
      {Fault::died, Verdict::abort},
      {Fault::no_wait_conflict, Verdict::abort},
      {Fault::busy, Verdict::abort},
      {Fault::busy_snapshot, Verdict::abort},
      {Fault::version_changed, Verdict::abort},
      {Fault::invalid, Verdict::abort},
      {Fault::unsupported, Verdict::abort},
      {Fault::internal, Verdict::abort},
      {Fault::refused, Verdict::clean},
      {Fault::constraint, Verdict::clean},
  };
  for (const auto& [what, verdict] : expected) {
    const record::Run run = Judged().after(fault(what));
    EXPECT_EQ(run.verdict, verdict) << name_of(what);
    EXPECT_EQ(run.outcomes.faults.at(std::string(name_of(what))), 1U);
  }
}

TEST(Verdict, PrefersWhatSaysMoreOfWhy) {
  const auto of = [](std::initializer_list<Fault> faults) {
    return Judged()
        .after([&](RunState& state) {
          for (const Fault each : faults) state.count_fault(each);
        })
        .verdict;
  };
  EXPECT_EQ(of({Fault::wounded, Fault::deadlock}), Verdict::deadlock);
  EXPECT_EQ(of({Fault::lock_timeout, Fault::deadlock}), Verdict::deadlock);
  EXPECT_EQ(of({Fault::wounded, Fault::lock_timeout}), Verdict::timeout);
  EXPECT_EQ(of({Fault::wounded, Fault::unsafe_claim}), Verdict::avoided);
}

TEST(Verdict, TakesACycleThatNoStoreBrokeForBrokenByATimeOut) {
  const record::Run run = Judged().after([](RunState& state) {
    close_a_cycle(state);
    state.aborted = 1;
  });
  EXPECT_EQ(run.verdict, Verdict::timeout);
  EXPECT_THAT(run.cycles, ElementsAre(ElementsAre("T1", "T2")));
  EXPECT_EQ(run.summary, "a deadlock that only a time-out ended: 1 transaction given up, 0 retries");
}

TEST(Verdict, CountsAWaitThatPassedItsDeadlineAsATimeOut) {
  EXPECT_EQ(Judged().after([](RunState& state) { state.timeouts = 1; }).verdict, Verdict::timeout);
}

TEST(Verdict, IsAvoidedWhenARequestWaitedForSafetyAlone) {
  const record::Run run = Judged().after([](RunState& state) { state.avoidances = 1; });
  EXPECT_EQ(run.verdict, Verdict::avoided);
  EXPECT_EQ(run.fix, "") << "there is nothing to mend";
}

TEST(Verdict, CountsVictimsAndRetriesOfADeadlock) {
  const record::Run run = Judged().after([](RunState& state) {
    close_a_cycle(state);
    state.count_fault(Fault::deadlock);
    state.add_victim(1);
    state.retries = 1;
  });
  EXPECT_THAT(run.victims, ElementsAre("T2"));
  EXPECT_EQ(run.summary, "found and broken: 1 victim, 1 retry");
}

TEST(Verdict, IsAnAnomalyWhenAnInvariantIsBrokenWhateverElseHappened) {
  const record::Run run = Judged{.rows = {{"x", "2"}, {"y", "7"}}}.after(fault(Fault::deadlock));
  EXPECT_EQ(run.verdict, Verdict::anomaly);
  ASSERT_EQ(run.invariants.size(), 1U);
  EXPECT_FALSE(run.invariants[0].held);
  EXPECT_EQ(run.invariants[0].detail, "x=2 y=7");
  EXPECT_EQ(run.summary, "broken: x is 1 (x=2 y=7)");
  ASSERT_FALSE(run.events.empty());
  EXPECT_EQ(run.events.back().kind, record::EventKind::invariant);
  EXPECT_EQ(run.events.back().detail, "broken: x=2 y=7");
}

TEST(Verdict, OfARunThatGotStuckIsADeadlockWithACycleAndElseHung) {
  const Judged broken{.rows = {{"x", "2"}}};
  const record::Run deadlock = broken.after([](RunState& state) {
    close_a_cycle(state);
    state.end_as(Ending::stuck);
  });
  EXPECT_EQ(deadlock.verdict, Verdict::deadlock) << "what is promised of the end cannot hold when there was none";
  EXPECT_EQ(deadlock.summary, "nobody breaks it: every actor of the cycle waits for ever");
  EXPECT_EQ(broken.after([](RunState& state) { state.end_as(Ending::stuck); }).verdict, Verdict::hung);
}

TEST(Verdict, ExplainsNoWaitAtTheEndByACycleThatWasBroken) {
  const record::Run run = Judged().after([](RunState& state) {
    close_a_cycle(state);
    state.forget_cycles_of(0);
    state.end_as(Ending::stuck);
  });
  EXPECT_THAT(run.cycles, IsEmpty());
  EXPECT_EQ(run.verdict, Verdict::hung);
}

TEST(Verdict, ChecksNoInvariantOfARunThatWasCutOff) {
  for (const Ending ending : {Ending::interrupted, Ending::unavailable}) {
    const record::Run run = Judged{.rows = {{"x", "2"}}}.after([ending](RunState& state) { state.end_as(ending); });
    EXPECT_THAT(run.invariants, IsEmpty()) << name_of(ending);
    EXPECT_EQ(run.ending, ending);
  }
}

TEST(Verdict, TakesTheExpectationFromThePatternForFindingsOnly) {
  EXPECT_EQ(Judged().after(fault(Fault::deadlock)).expected, std::nullopt) << "the run's coordinates say it";
  const record::Run broken = Judged{.protocol = "occ", .rows = {{"x", "2"}}}.after([](RunState&) {});
  EXPECT_EQ(broken.expected, Verdict::anomaly);
}

TEST(Verdict, NamesTheFixAtTheSameStoreAndProtocol) {
  const record::Run plain = Judged().after(fault(Fault::deadlock));
  EXPECT_EQ(plain.fix, "take them in one order");
  EXPECT_EQ(plain.fix_command, "lockstep run test/sample --pattern ordered") << "the defaults go without saying";
  EXPECT_EQ(Judged{.protocol = "occ"}.after(fault(Fault::validation_failure)).fix_command,
            "lockstep run test/sample --protocol occ --pattern ordered");
  EXPECT_EQ(Judged({.store = "sqlite", .protocol = "immediate"}).after(fault(Fault::busy)).fix_command,
            "lockstep run test/sample --store sqlite --protocol immediate --pattern ordered");
  EXPECT_EQ(Judged{.protocol = "wait-die"}.after(fault(Fault::died)).fix_command, "")
      << "the mended pattern says nothing of it";
}

TEST(Verdict, IsStarvedWhenAnActorLostEveryAttemptWhileAnotherGotDone) {
  const auto run_of = [](bool somebody_commits) {
    Scenario made = scenario("one loses every time")
                        .given({{"x", 1}})
                        .pattern("plain", "")
                        .actor("T1", loses_every_time)
                        .actor("T2", somebody_commits ? commits : loses_every_time)
                        .expect("kv", "2pl-detect: starved")
                        .holds("everybody got done", [](const Final&) { return false; });
    made.name = "test/starved";
    Result<record::Run> result = run(made, {.executor = "coroutines", .retries = 2});
    EXPECT_TRUE(result.ok());
    return result.ok() ? std::move(*result) : record::Run{};
  };
  const record::Run starved = run_of(true);
  EXPECT_EQ(starved.verdict, Verdict::starved) << "what is promised of everybody's success stands beside it";
  EXPECT_EQ(starved.summary, "T1 never got done, run again or not; others did");
  EXPECT_EQ(run_of(false).verdict, Verdict::anomaly) << "where nobody got done nobody starved";
}

TEST(ScheduleText, NamesActorsAndDeadlines) {
  EXPECT_EQ(schedule_text({{0}, {1}, {0, true}}, {"T1", "T2"}), "T1 T2 T1:timeout");
  EXPECT_EQ(schedule_text({}, {"T1"}), "");
}

}  // namespace
}  // namespace lockstep
