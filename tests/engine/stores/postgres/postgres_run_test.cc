// postgres_run_test.cc: whole runs on a real server: the order of their events, and what they tell of locks and of the
// server's words.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/run/replay.h"
#include "engine/run/run.h"
#include "engine/scenario/scenario.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::postgres_runs {
namespace {

using record::Event;
using record::EventKind;
using testing::Contains;
using testing::HasSubstr;

Task<> transfers(Context& c, const std::string& from, const std::string& to) {
  co_await c.db.begin();
  co_await c.db.add(from, -10);
  co_await c.db.add(to, 10);
  co_await c.db.commit();
}

Task<> adds_by_itself(Context& c) { co_await c.db.execute("update kv set v = (v::int + 1)::text where k = 'A'"); }

Task<> inserts_twice(Context& c) {
  co_await c.db.execute("do $$ begin raise notice 'about to insert' using hint = 'watch'; end $$");
  co_await c.db.execute("insert into kv values ('A', '0')");
}

class PostgresRun : public testing::Test {
 protected:
  void SetUp() override {
    dsn_ = postgres_testing::test_dsn();
    if (dsn_.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  }
  record::Run must_run(const Scenario& scenario, const std::string& schedule = {}) const {
    const std::string store(backend_postgres().name);
    Result<record::Run> ran =
        run(scenario, {.store = store, .executor = "coroutines", .schedule = schedule, .dsn = dsn_});
    EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
    return ran.ok() ? std::move(*ran) : record::Run{};
  }
  std::string dsn_;
};

/// What happened, in its order, without times.
std::string story_of(const record::Run& run) {
  std::string text;
  for (const Event& event : run.events) {
    text += fmt::format("{} {} {} {} {} {} {}", event.step, event.actor, record::name_of(event.kind), event.verb,
                        event.object, event.detail, event.code);
    for (const int other : event.others) text += fmt::format(" > {}", other);
    text += "\n";
  }
  return text;
}

/// T1 has two rows that T2 and T3 wait for, and its commit lets both go on at once. (Of several sessions that wait for
/// one row that was changed, the server itself lets now this one go first and now that one.)
Scenario two_wait_for_one() {
  Scenario made = scenario("two sessions wait for a third one")
                      .given({{"A", 100}, {"B", 100}, {"C", 100}})
                      .pattern("plain", "")
                      .actor("T1", transfers, "A", "B")
                      .actor("T2", adds_by_itself)
                      .actor("T3", transfers, "B", "C")
                      .expect("postgres", "*: clean");
  made.name = "test/two-wait-for-one";
  return made;
}
constexpr const char* kOrder = "T1 T1 T1 T2 T3 T3 T1";

TEST_F(PostgresRun, HasTheSameEventsInTheSameOrderEveryTime) {
  const Scenario scenario = two_wait_for_one();
  const std::string first = story_of(must_run(scenario, kOrder));
  constexpr int kRounds = 60;
  for (int round = 1; round < kRounds; ++round) ASSERT_EQ(story_of(must_run(scenario, kOrder)), first) << round;
}

TEST_F(PostgresRun, GrantsNothingBeforeTheCommitThatGaveIt) {
  const Scenario scenario = two_wait_for_one();
  const record::Run run = must_run(scenario, kOrder);
  std::vector<std::string> order;
  for (const Event& event : run.events) {
    const bool counts =
        event.kind == EventKind::grant && (event.verb == "execute" || (event.verb == "commit" && event.actor == 0) ||
                                           (event.verb == "add" && event.object == "B"));
    if (counts) order.push_back(run.actors[static_cast<std::size_t>(event.actor)] + " " + event.verb);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"T1 add", "T1 commit", "T2 execute", "T3 add"}));
}

TEST_F(PostgresRun, TellsTheLockThatAWaitIsFor) {
  const record::Run run = must_run(two_wait_for_one(), kOrder);
  std::vector<std::string> locks;
  for (const Event& event : run.events) {
    if (event.kind == EventKind::wait) locks.emplace_back(record::fact_of(event, "lock"));
  }
  EXPECT_THAT(locks, Contains("ShareLock on the transaction that has row A of kv"));
  const auto asked = std::find_if(run.events.begin(), run.events.end(), [](const Event& event) {
    return event.kind == EventKind::request && event.verb == "add";
  });
  ASSERT_NE(asked, run.events.end());
  EXPECT_EQ(record::fact_of(*asked, "sql"), "update kv set v = (v::bigint + '-10')::text where k = 'A' returning v");
}

TEST_F(PostgresRun, NamesTheActorsInTheDetailOfADeadlock) {
  Scenario made = scenario("two rows, crosswise")
                      .given({{"A", 100}, {"B", 100}})
                      .pattern("plain", "")
                      .actor("T1", transfers, "A", "B")
                      .actor("T2", transfers, "B", "A")
                      .expect("postgres", "*: deadlock");
  made.name = "test/crosswise";
  const record::Run run = must_run(made, "T1 T1 T2 T2 T1 T2");
  EXPECT_EQ(run.verdict, record::Verdict::deadlock) << run.summary;
  const auto fault =
      std::find_if(run.events.begin(), run.events.end(), [](const Event& e) { return e.kind == EventKind::fault; });
  ASSERT_NE(fault, run.events.end());
  EXPECT_EQ(record::fact_of(*fault, "primary"), "deadlock detected");
  EXPECT_THAT(std::string(record::fact_of(*fault, "detail")), HasSubstr(" (T1) waits for ShareLock on transaction"));
  EXPECT_THAT(std::string(record::fact_of(*fault, "detail")), HasSubstr(" (T2)"));
}

TEST_F(PostgresRun, KeepsNoticesAndWhatTheServerSaid) {
  Scenario made = scenario("inserts a row that is there")
                      .given({{"A", 100}})
                      .pattern("plain", "")
                      .actor("T1", inserts_twice)
                      .expect("postgres", "*: error");
  made.name = "test/insert";
  const record::Run run = must_run(made);
  const auto find = [&run](EventKind kind) {
    return *std::find_if(run.events.begin(), run.events.end(), [kind](const Event& e) { return e.kind == kind; });
  };
  const Event notice = find(EventKind::notice);
  EXPECT_EQ(notice.verb, "NOTICE");
  EXPECT_EQ(notice.detail, "about to insert");
  EXPECT_EQ(notice.actor, 0);
  EXPECT_EQ(record::fact_of(notice, "hint"), "watch");
  const Event fault = find(EventKind::fault);
  EXPECT_EQ(record::fact_of(fault, "detail"), "Key (k)=(A) already exists.");
  EXPECT_EQ(record::fact_of(fault, "constraint"), "kv_pkey");
}

TEST_F(PostgresRun, KeepsTheServerThatWasTypedWithoutItsPassword) {
  const std::string store(backend_postgres().name);
  const auto ran = run(two_wait_for_one(), {.store = store, .dsn = dsn_ + " password=secret"});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  ASSERT_TRUE(ran->environment.contains(kDsnOption));
  EXPECT_THAT(ran->environment.at(kDsnOption), testing::Not(HasSubstr("secret")));
  EXPECT_THAT(ran->environment.at(kDsnOption), HasSubstr("host="));
}

}  // namespace
}  // namespace lockstep::postgres_runs
