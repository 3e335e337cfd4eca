// statements_test.cc: statements in the words of the store that they are sent to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/run.h"
#include "engine/scenario/scenario.h"
#include "engine/store/sql.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

TEST(Sql, IsTheSameEverywhereButWhereAStoreHasWordsOfItsOwn) {
  const Sql plain = "select 1";
  EXPECT_EQ(plain.text_on("toy"), "select 1");
  const Sql sql = Sql("select v for share").on("toy", "select v lock in share mode").on("tiny", "select v");
  EXPECT_EQ(sql.text_on("sqlite"), "select v for share");
  EXPECT_EQ(sql.text_on("toy"), "select v lock in share mode");
  EXPECT_EQ(sql.text_on("tiny"), "select v");
}

TEST(Patterns, HaveStatementsForEachStore) {
  const Scenario made =
      scenario("seats")
          .pattern("plain", "")
          .ddl({"create table seat (id text primary key)"})
          .ddl_on("toy", {"create table seat (id varchar(9) primary key)", "create index i on seat (id)"})
          .pattern("none", "");
  const Pattern& plain = made.patterns()[0];
  EXPECT_THAT(plain.ddl_on("sqlite", {}), ElementsAre("create table seat (id text primary key)"));
  EXPECT_THAT(plain.ddl_on("toy", {}),
              ElementsAre("create table seat (id varchar(9) primary key)", "create index i on seat (id)"));
  EXPECT_TRUE(plain.has_ddl());
  EXPECT_FALSE(made.patterns()[1].has_ddl());
}

Task<> takes_a_seat(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute(Sql("no statement").on("sqlite", "insert into seat values (7)"));
  co_await c.db.commit();
}

TEST(Statements, ReachTheStoreInItsOwnWords) {
  Scenario made = scenario("one takes a seat")
                      .pattern("plain", "")
                      .ddl({"no statement"})
                      .ddl_on("sqlite", {"create table seat (id integer)"})
                      .actor("T1", takes_a_seat)
                      .expect("sqlite", "*: clean")
                      .holds("one seat is taken", [](const Final& end) {
                        return end.ask(Sql("no statement").on("sqlite", "select count(*) from seat")) == 1;
                      });
  made.name = "test/takes-a-seat";
  const Result<record::Run> ran = run(made, {.executor = "coroutines"});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->verdict, record::Verdict::clean) << ran->summary;
}

}  // namespace
}  // namespace lockstep
