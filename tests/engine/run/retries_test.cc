// retries_test.cc: a body is run again after a fault that is safe to repeat, and only while it has committed nothing.
#include <gtest/gtest.h>

#include "engine/run/run.h"

namespace lockstep {
namespace {

Task<> fails_before_its_commit(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await fail(Fault::version_changed, "somebody else was faster");
}

Task<> fails_behind_its_commit(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await c.db.commit();
  co_await fail(Fault::version_changed, "somebody else was faster");
}

Task<> loses_its_answer(Context& c) {
  co_await c.db.begin();
  co_await fail(Fault::outcome_unknown, "the answer was lost");
}

record::Run run_of(Task<> (*body)(Context&)) {
  Scenario made = scenario("one actor takes ten")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", body)
                      .expect("kv", "2pl-detect: clean")
                      .holds("at most once", [](const Final& end) { return end.total() >= 90; });
  made.name = "test/takes-ten";
  Result<record::Run> made_run = run(made, {.executor = "coroutines", .retries = 3});
  EXPECT_TRUE(made_run.ok()) << (made_run.ok() ? "" : made_run.error().message);
  return made_run.ok() ? std::move(*made_run) : record::Run{};
}

TEST(Retries, RepeatABodyThatHasCommittedNothing) {
  const record::Run result = run_of(fails_before_its_commit);
  EXPECT_EQ(result.outcomes.retries, 3U);
  EXPECT_EQ(result.outcomes.committed, 0U);
}

TEST(Retries, NeverRepeatACommit) {
  const record::Run result = run_of(fails_behind_its_commit);
  EXPECT_EQ(result.outcomes.retries, 0U);
  EXPECT_EQ(result.outcomes.committed, 1U);
  ASSERT_EQ(result.invariants.size(), 1U);
  EXPECT_TRUE(result.invariants[0].held) << result.invariants[0].detail;
}

TEST(Retries, NeverRepeatWhatMayHaveHappened) { EXPECT_EQ(run_of(loses_its_answer).outcomes.retries, 0U); }

}  // namespace
}  // namespace lockstep
