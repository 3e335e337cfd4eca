// retries_test.cc: a body is run again after a fault that is safe to repeat, and only while it has committed nothing.
#include <gtest/gtest.h>

#include <set>

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

Task<> fails_behind_a_statement(Context& c) {
  co_await c.db.execute("insert into charges values ('T1')");
  co_await c.db.begin();
  co_await fail(Fault::version_changed, "somebody else was faster");
}

Task<> fails_behind_a_query(Context& c) {
  co_await c.db.execute("select count(*) from charges");
  co_await c.db.begin();
  co_await fail(Fault::version_changed, "somebody else was faster");
}

Task<> begins_in_sql(Context& c) {
  co_await c.db.execute("begin");
  co_await c.db.execute("insert into charges values ('T1')");
  co_await fail(Fault::version_changed, "somebody else was faster");
}

Task<> commits_in_sql(Context& c) {
  co_await c.db.execute("begin");
  co_await c.db.execute("insert into charges values ('T1')");
  co_await c.db.execute("commit");
  co_await fail(Fault::version_changed, "somebody else was faster");
}

record::Run run_in_sql(Task<> (*body)(Context&)) {
  Scenario made =
      scenario("one actor charges once")
          .pattern("plain", "")
          .ddl({"create table charges (who text)"})
          .actor("T1", body)
          .expect("sqlite", "*: abort")
          .holds("at most once", [](const Final& end) { return end.ask("select count(*) from charges") <= 1; });
  made.name = "test/charges";
  Result<record::Run> made_run = run(made, {.store = "sqlite", .executor = "coroutines", .retries = 3});
  EXPECT_TRUE(made_run.ok()) << (made_run.ok() ? "" : made_run.error().message);
  return made_run.ok() ? std::move(*made_run) : record::Run{};
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

/// Notes what it draws; the store gives it up once.
Task<> draws_and_tries_again(Context& c) {
  co_await c.db.begin();
  c.note(std::to_string(c.random()));
  co_await fail(Fault::version_changed, "somebody else was faster");
}

TEST(Retries, DrawTheSameNumbersAgain) {
  std::set<std::string> drawn;
  for (const record::Event& event : run_of(draws_and_tries_again).events) {
    if (event.kind == record::EventKind::note && event.detail.find_first_not_of("0123456789") == std::string::npos)
      drawn.insert(event.detail);
  }
  EXPECT_EQ(drawn.size(), 1U);
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

TEST(Retries, NeverRepeatAStatementThatHasCommittedByItself) {
  const record::Run result = run_in_sql(fails_behind_a_statement);
  EXPECT_EQ(result.outcomes.retries, 0U);
  EXPECT_TRUE(result.invariants.at(0).held);
  EXPECT_EQ(run_in_sql(fails_behind_a_query).outcomes.retries, 3U);
}

TEST(Retries, AskTheSessionWhetherATransactionIsOpen) {
  const record::Run begun = run_in_sql(begins_in_sql);
  EXPECT_EQ(begun.outcomes.retries, 3U) << "each try was rolled back";
  EXPECT_EQ(begun.outcomes.faults.count("invalid"), 0U);
  EXPECT_TRUE(begun.invariants.at(0).held);
  EXPECT_EQ(run_in_sql(commits_in_sql).outcomes.retries, 0U);
}

TEST(Retries, NeverRepeatWhatMayHaveHappened) { EXPECT_EQ(run_of(loses_its_answer).outcomes.retries, 0U); }

}  // namespace
}  // namespace lockstep
