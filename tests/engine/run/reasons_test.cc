// reasons_test.cc: what a run amounts to: errors that nobody handles, waits that nobody ends, waits that are too long,
// and what is said of why and of what mends it.
#include "engine/run/verdict.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>

#include "engine/actor/pause.h"
#include "engine/run/remedy.h"
#include "engine/run/run.h"
#include "engine/sync.h"

namespace lockstep::reasons {
namespace {

using namespace std::chrono_literals;
using record::Verdict;
using testing::HasSubstr;
using testing::IsEmpty;

record::Run must_run(const Scenario& scenario, const RunRequest& request = {}) {
  Result<record::Run> ran = run(scenario, request);
  EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
  return ran.ok() ? std::move(*ran) : record::Run{};
}

Scenario of_one(Task<> (*body)(Context&), const std::string& expected) {
  Scenario made =
      scenario("one actor").given({{"A", 100}}).pattern("plain", "").actor("T1", body).expect("kv", expected);
  made.name = "test/one";
  return made;
}

Task<> is_refused(Context& c) {
  co_await c.db.begin();
  co_await c.db.write("A", 0);
  co_await fail(Fault::refused, "no coffee left");
}

Task<> handles_its_refusal(Context& c) { co_await handled(c, is_refused(c)); }

Task<> inserts_what_is_there(Context& c) {
  co_await c.db.begin();
  co_await c.db.insert("A", 1);
  co_await c.db.commit();
}

Task<> commits_twice(Context& c) {
  co_await c.db.begin();
  co_await c.db.commit();
  co_await c.db.commit();
}

TEST(Verdict, OfAnErrorOfTheApplicationThatNobodyHandles) {
  const record::Run refused = must_run(of_one(is_refused, "2pl-detect: clean"));
  EXPECT_EQ(refused.verdict, Verdict::error);
  EXPECT_FALSE(refused.as_expected());
  EXPECT_THAT(refused.summary, HasSubstr("T1 refused: no coffee left"));
  EXPECT_THAT(refused.why, HasSubstr("nobody handled"));
  const record::Run there = must_run(of_one(inserts_what_is_there, "2pl-detect: error"));
  EXPECT_EQ(there.verdict, Verdict::error);
  EXPECT_TRUE(there.as_expected());
}

TEST(Verdict, OfARefusalThatIsHandledIsNoError) {
  const record::Run run = must_run(of_one(handles_its_refusal, "2pl-detect: clean"));
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
  EXPECT_EQ(run.outcomes.aborted, 1U) << "what it had written is taken back";
}

TEST(Verdict, OfAMistakeInTheProgramIsNeverAsExpected) {
  for (const char* expected : {"2pl-detect: error", "2pl-detect: abort"}) {
    const record::Run run = must_run(of_one(commits_twice, expected));
    EXPECT_EQ(run.verdict, Verdict::error);
    EXPECT_FALSE(run.as_expected()) << expected;
  }
}

struct Signal {
  sync::Semaphore never{"never", 0};
  sync::Mutex mutex{"mutex"};
};

Task<> waits_for_nothing(Context& c) { co_await c.world<Signal>().never.acquire(); }
Task<> ends_at_once(Context&) { co_return; }

TEST(Verdict, OfWhoWaitsForNobodyComesAtOnceUnderEverySchedule) {
  const Scenario made = scenario("a signal that never comes")
                            .with<Signal>()
                            .pattern("plain", "")
                            .actor("T1", waits_for_nothing)
                            .actor("T2", ends_at_once)
                            .expect("none", "*: hung");
  for (const char* executor : {"threads", "coroutines"}) {
    for (const char* schedule : {"", "free"}) {
      const record::Run run = must_run(made, {.executor = executor, .schedule = schedule, .limit = 60s});
      EXPECT_EQ(run.verdict, Verdict::hung);
      EXPECT_LT(run.wall_ms, 20'000) << executor << " " << schedule;
      EXPECT_THAT(run.summary, HasSubstr("T1 wants never, which nobody is left to give"));
    }
  }
}

Task<> holds_for_long(Context& c) {
  const sync::Guard guard = co_await c.world<Signal>().mutex.lock();
  co_await pause(80ms);
}

Task<> wants_it_too(Context& c) { const sync::Guard guard = co_await c.world<Signal>().mutex.lock(); }

Scenario with_a_wait_of_80_ms(Nanos most) {
  return scenario("a pile-up")
      .with<Signal>()
      .pattern("plain", "")
      .actor("T1", holds_for_long)
      .actor("T2", wants_it_too)
      .schedule("T1 T1 T2")
      .expect("none", "*: clean")
      .waits_at_most(most);
}

TEST(Verdict, OfAWaitThatIsLongerThanStated) {
  const record::Run run = must_run(with_a_wait_of_80_ms(50ms));
  EXPECT_EQ(run.verdict, Verdict::anomaly);
  EXPECT_THAT(run.summary, HasSubstr("nobody waits longer than 50 ms"));
  EXPECT_THAT(run.summary, HasSubstr("T2 waited 80 ms for mutex"));
  EXPECT_EQ(must_run(with_a_wait_of_80_ms(100ms)).verdict, Verdict::clean);
}

Task<> moves_money(Context& c, std::string from, std::string to) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  const std::int64_t a = co_await c.db.read_for_update(from);
  const std::int64_t b = co_await c.db.read_for_update(to);
  co_await c.db.write(from, a - 10);
  co_await c.db.write(to, b + 10);
  co_await c.db.commit();
}

Scenario two_transfers() {
  Scenario made = scenario("two transfers in opposite order")
                      .given({{"A", 100}, {"B", 100}})
                      .pattern("plain", "each locks its source first")
                      .actor("T1", moves_money, "A", "B")
                      .actor("T2", moves_money, "B", "A")
                      .schedule("T1 T1 T2 T2 T1 T2")
                      .expect("kv", "2pl-detect: deadlock, occ: abort, 2pl-no-wait: abort")
                      .why("Each has what the other one wants.")
                      .why("Nobody waits: who meets a lock gives up.", "no_wait_conflict")
                      .fix("one order", "ordered")
                      .pattern("ordered", "both lock A first")
                      .actor("T1", moves_money, "A", "B")
                      .actor("T2", moves_money, "A", "B")
                      .schedule("T1 T1 T2 T2 T1 T2")
                      .expect("kv", "2pl-detect: clean, occ: abort, 2pl-no-wait: abort")
                      .why("The second one waits with empty hands.");
  made.name = "test/two-transfers";
  return made;
}

TEST(Why, BelongsToWhatHappened) {
  const Scenario made = two_transfers();
  EXPECT_EQ(must_run(made, {.protocol = "2pl-detect"}).why, "Each has what the other one wants.");
  EXPECT_EQ(must_run(made, {.protocol = "2pl-no-wait"}).why, "Nobody waits: who meets a lock gives up.");
  EXPECT_THAT(must_run(made, {.protocol = "occ"}).why, HasSubstr("commit is refused (validation_failure)"));
}

TEST(Why, IsMadeFromTheEventsUnderAnotherSchedule) {
  const record::Run run = must_run(two_transfers(), {.protocol = "2pl-detect", .schedule = "T2 T2 T1 T1 T2 T1"});
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_THAT(run.why, HasSubstr("T2 wants A, which T1 has"));
  EXPECT_THAT(run.why, HasSubstr("T1 wants B, which T2 has"));
}

Task<> deposits(Context& c) {
  co_await c.db.begin();
  const std::int64_t balance = co_await c.db.read("A");
  co_await c.db.write("A", balance + 10);
  co_await c.db.commit();
}

Task<> goes_on_whatever_comes(Context& c) {
  const Result<void> ended = co_await tried(deposits(c));
  (void)ended;
}

TEST(Why, NamesWhatWasRefusedWhereItIsMissingAtTheEnd) {
  Scenario made = scenario("two deposits")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", goes_on_whatever_comes)
                      .actor("T2", goes_on_whatever_comes)
                      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
                      .holds("both deposits are there", [](const Final& end) { return end.number("A") == 120; })
                      .expect("kv", "occ: anomaly");
  made.name = "test/deposits";
  const record::Run run = must_run(made, {.protocol = "occ"});
  EXPECT_EQ(run.verdict, Verdict::anomaly);
  EXPECT_EQ(run.why,
            "At the end “both deposits are there” does not hold: A=110. T2: commit is refused (validation_failure): T2 "
            "gave up: A was changed by another transaction after T2 had read it; a retry is safe.");
}

TEST(Fix, IsNamedOnlyWhereItMends) {
  const Scenario made = two_transfers();
  const record::Run deadlock = must_run(made, {.protocol = "2pl-detect"});
  EXPECT_EQ(deadlock.fix, "one order");
  EXPECT_EQ(deadlock.fix_command, "lockstep run test/two-transfers --pattern ordered");
  // In one order a validation fails all the same: to run it again is what helps.
  const record::Run refused = must_run(made, {.protocol = "occ"});
  EXPECT_THAT(refused.fix, HasSubstr("run the transaction again"));
  EXPECT_EQ(refused.fix_command, "lockstep run test/two-transfers --protocol occ --pattern plain");
  const record::Run spent = must_run(made, {.protocol = "occ", .retries = 0});
  EXPECT_EQ(spent.fix_command, "lockstep run test/two-transfers --protocol occ --pattern plain --retries 10");
  EXPECT_THAT(must_run(made, {.protocol = "2pl-detect", .pattern = "ordered"}).fix, IsEmpty());
}

TEST(Fix, MendsByACleanEndOrARetryThatSucceeds) {
  EXPECT_TRUE(is_mended(Verdict::clean, false));
  EXPECT_TRUE(is_mended(Verdict::avoided, false));
  EXPECT_TRUE(is_mended(Verdict::abort, false));
  EXPECT_FALSE(is_mended(Verdict::abort, true));
  for (const Verdict bad : {Verdict::deadlock, Verdict::hung, Verdict::anomaly, Verdict::timeout, Verdict::error})
    EXPECT_FALSE(is_mended(bad, false)) << name_of(bad);
}

struct Blocked {
  std::binary_semaphore gate{0};
};

Task<> blocks_its_thread(Context& c) {
  co_await pause(1ms);
  c.world<Blocked>().gate.acquire();
}

Task<> shows_the_world(Context& c, std::atomic<Blocked*>* shown) {
  shown->store(&c.world<Blocked>());
  co_return;
}

TEST(OwnCode, IsToldOfAndNotWaitedForInSilence) {
  for (const char* executor : {"threads", "coroutines"}) {
    for (const char* schedule : {"", "free"}) {
      std::atomic<Blocked*> world = nullptr;
      const Scenario made = scenario("a body that blocks its thread")
                                .with<Blocked>()
                                .pattern("plain", "")
                                .actor("T1", blocks_its_thread)
                                .actor("T2", shows_the_world, &world)
                                .own_code_at_most(200ms)
                                .expect("none", "*: clean");
      std::string summary;
      Nanos span{0};
      RunRequest request{.executor = executor, .schedule = schedule};
      request.on_own_code = [&](const OwnCode& found, record::Run& run) {
        summary = run.summary;
        span = found.span;
        EXPECT_EQ(found.actor, 0);
        EXPECT_EQ(run.verdict, Verdict::hung);
        EXPECT_THAT(run.why, HasSubstr("gdb -p"));
        world.load()->gate.release();
      };
      EXPECT_EQ(must_run(made, request).verdict, Verdict::clean);
      EXPECT_GE(span, 200ms) << executor << " " << schedule;
      const double seconds = std::chrono::duration<double>(span).count();
      EXPECT_THAT(summary, HasSubstr(fmt::format("T1 has been in its own code for {:.1f} s since", seconds)))
          << executor << " " << schedule;
      if (*schedule == '\0') {
        EXPECT_THAT(summary, HasSubstr("reasons_test.cc:"));
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::reasons
