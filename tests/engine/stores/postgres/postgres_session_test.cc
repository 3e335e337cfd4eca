// postgres_session_test.cc: both kinds of sessions on a real server: every verb, what isolation does, real deadlocks,
// serialization failures and timeouts, and who waits for whom.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/session.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep {
namespace {

using postgres_testing::Client;
using postgres_testing::eventually;
using postgres_testing::open_backend;
using postgres_testing::open_client;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

/// The parameter: whether the sessions block (libpqxx) or not (libpq).
class PostgresSession : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    dsn_ = postgres_testing::test_dsn();
    if (dsn_.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  }

  /// The backend with {"a": "1", "b": "2", "c": "3"} and two clients, T1 (index 0) and T2 (index 1).
  void open(const std::string& protocol) {
    BackendOptions options = options_;
    options.protocol = protocol;
    options.dsn = dsn_;
    options.blocking = GetParam();
    backend_ = open_backend(options);
    ASSERT_NE(backend_, nullptr);
    const auto filled = backend_->set_up({{"a", "1"}, {"b", "2"}, {"c", "3"}}, {});
    ASSERT_TRUE(filled) << filled.error().message;
    t1_ = open_client(*backend_, 0);
    t2_ = open_client(*backend_, 1);
  }
  void TearDown() override {
    t1_.reset();
    t2_.reset();
  }
  void both_begin() {
    ASSERT_FALSE(t1_->fault({.verb = Verb::begin}));
    ASSERT_FALSE(t2_->fault({.verb = Verb::begin}));
  }
  static int server_pid(Client& client) {
    return dynamic_cast<postgres::PostgresSession&>(client.session()).server_pid();
  }
  State final_state() {
    auto state = backend_->final_state();
    EXPECT_TRUE(state) << state.error().message;
    return state ? *state : State();
  }

  std::string dsn_;
  BackendOptions options_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Client> t1_, t2_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, PostgresSession, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Libpqxx" : "Libpq"; });

TEST_P(PostgresSession, AnswersEveryPortableVerb) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_TRUE(t1_->session().in_transaction());
  EXPECT_EQ(t1_->read("a"), "1");
  EXPECT_EQ(t1_->read("z"), "(none)");
  EXPECT_EQ(t1_->read("b", Verb::read_for_update), "2");

  EXPECT_EQ(t1_->run({.verb = Verb::write, .key = "a", .value = "10"}).reply.rows, 1);
  EXPECT_EQ(t1_->run({.verb = Verb::write, .key = "d", .value = "it's \"4\" \\ \xc3\xa4"}).reply.rows, 1);
  EXPECT_EQ(t1_->read("d"), "it's \"4\" \\ \xc3\xa4");
  EXPECT_EQ(t1_->run({.verb = Verb::insert, .key = "e", .value = "5"}).reply.rows, 1);
  EXPECT_EQ(t1_->run({.verb = Verb::write_if, .key = "e", .value = "6", .expected = "7"}).reply.rows, 0);
  EXPECT_EQ(t1_->run({.verb = Verb::write_if, .key = "e", .value = "6", .expected = "5"}).reply.rows, 1);

  const Reply added = t1_->run({.verb = Verb::add, .key = "e", .delta = -2}).reply;
  EXPECT_THAT(added.value, Optional(std::string("4")));
  EXPECT_EQ(added.rows, 1);
  EXPECT_EQ(t1_->run({.verb = Verb::add, .key = "none", .delta = 1}).reply.rows, 0);
  EXPECT_EQ(t1_->run({.verb = Verb::add_if, .key = "e", .delta = -5, .floor = 0}).reply.rows, 0);
  EXPECT_EQ(t1_->run({.verb = Verb::add_if, .key = "e", .delta = -4, .floor = 0}).reply.rows, 1);
  EXPECT_EQ(t1_->read("e"), "0");
  EXPECT_EQ(t1_->run({.verb = Verb::erase, .key = "b"}).reply.rows, 1);
  EXPECT_EQ(t1_->run({.verb = Verb::erase, .key = "b"}).reply.rows, 0);

  EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
  EXPECT_FALSE(t1_->session().in_transaction());
  EXPECT_EQ(final_state(), (State{{"a", "10"}, {"c", "3"}, {"d", "it's \"4\" \\ \xc3\xa4"}, {"e", "0"}}));
}

TEST_P(PostgresSession, ScansInTheOrderOfBytes) {
  open("read-committed");
  ASSERT_TRUE(backend_->set_up({{"a", "1"}, {"B", "2"}, {"a1", "3"}, {"b", "4"}}, {}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  using Row = std::vector<std::optional<std::string>>;
  for (const Verb verb : {Verb::scan, Verb::scan_for_update}) {
    EXPECT_EQ(t1_->run({.verb = verb, .key = ""}).reply.table,
              (Table{Row{"B", "2"}, Row{"a", "1"}, Row{"a1", "3"}, Row{"b", "4"}}));
    EXPECT_EQ(t1_->run({.verb = verb, .key = "a", .upper = "b"}).reply.table, (Table{Row{"a", "1"}, Row{"a1", "3"}}));
    EXPECT_EQ(t1_->run({.verb = verb, .key = "a", .upper = "b"}).reply.rows, 2);
    EXPECT_EQ(t1_->run({.verb = verb, .key = "", .limit = 1}).reply.table, (Table{Row{"B", "2"}}));
    EXPECT_EQ(t1_->run({.verb = verb, .key = "x", .upper = "z"}).reply.rows, 0);
  }
}

TEST_P(PostgresSession, ExecutesAnySqlAndGivesTheLastStatementsRows) {
  open("read-committed");
  using Row = std::vector<std::optional<std::string>>;
  EXPECT_EQ(t1_->run({.verb = Verb::execute, .key = "select 1, null, 'x'"}).reply.table,
            (Table{Row{"1", std::nullopt, "x"}}));
  EXPECT_EQ(t1_->run({.verb = Verb::execute, .key = "update kv set v = '0' where k < 'c'"}).reply.rows, 2);
  EXPECT_EQ(t1_->run({.verb = Verb::execute, .key = "select 1; select k from kv order by k limit 2"}).reply.table,
            (Table{Row{"a"}, Row{"b"}}));
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "select nonsense"}), Fault::invalid);
  EXPECT_EQ(t1_->pending().error->code, "42703");
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = ""}), std::nullopt);
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "create table child (k text references kv)"}), std::nullopt);
  EXPECT_TRUE(backend_->query("select * from child"));
}

TEST_P(PostgresSession, SetsUpTheRunsOwnSchemaAfresh) {
  open("read-committed");
  const std::vector<std::string> ddl = {"create table seats (seat int primary key)", "insert into seats values (7)"};
  ASSERT_TRUE(backend_->set_up({{"x", "1"}}, ddl));
  EXPECT_EQ(final_state(), (State{{"x", "1"}}));
  EXPECT_EQ((*backend_->query("select seat from seats"))[0][0], "7");
  ASSERT_TRUE(backend_->set_up({}, ddl));
  EXPECT_THAT(final_state(), IsEmpty());
  const std::vector<std::string> wrong = {"create table"};
  const auto failed = backend_->set_up({}, wrong);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.fault(), Fault::invalid);
}

TEST_P(PostgresSession, LeavesNoSchemaBehind) {
  open("read-committed");
  const auto environment = backend_->environment();
  const auto schema = std::find_if(environment.begin(), environment.end(), [](auto& e) { return e.first == "schema"; });
  ASSERT_NE(schema, environment.end());
  const std::string sql = "select 1 from pg_namespace where nspname = '" + schema->second + "'";
  EXPECT_EQ(backend_->query(sql)->size(), 1U);
  // Dropped in the middle of a statement, a session holds nothing up.
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "0"}));
  postgres_testing::NoWaiter waiter;
  Pending pending;
  pending.request = {.verb = Verb::execute, .key = "select pg_sleep(100)"};
  if (!GetParam()) {
    EXPECT_FALSE(t1_->session().attempt(pending, waiter));
  }
  t1_.reset();
  t2_.reset();
  backend_.reset();
  auto other = open_backend({.protocol = "read-committed", .dsn = dsn_});
  EXPECT_EQ(other->query(sql)->size(), 0U);
}

TEST_P(PostgresSession, RollsBackToASavepointAndGoesOn) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::savepoint, .key = "S 1"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "b", .value = "20"}));
  EXPECT_EQ(t1_->fault({.verb = Verb::insert, .key = "a", .value = "x"}), Fault::constraint);
  EXPECT_FALSE(t1_->fault({.verb = Verb::rollback_to, .key = "S 1"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::release, .key = "S 1"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
  EXPECT_EQ(final_state(), (State{{"a", "10"}, {"b", "2"}, {"c", "3"}}));
}

TEST_P(PostgresSession, AbortLeavesNothing) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::abort})) << "nothing to abort is no error";
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::abort}));
  EXPECT_FALSE(t1_->session().in_transaction());
  EXPECT_EQ(final_state()[0].second, "1");
}

TEST_P(PostgresSession, RefusesWhatMakesNoSense) {
  open("read-committed");
  EXPECT_EQ(t1_->fault({.verb = Verb::commit}), Fault::invalid);
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_EQ(t1_->fault({.verb = Verb::begin}), Fault::invalid);
  EXPECT_EQ(t1_->fault({.verb = Verb::write, .key = "a", .value = std::string_view("x\0y", 3)}), Fault::invalid);
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "word"}));
  EXPECT_EQ(t1_->fault({.verb = Verb::add, .key = "a", .delta = 1}), Fault::invalid);
  EXPECT_EQ(t1_->pending().error->code, "22P02");
}

TEST_P(PostgresSession, ReportsACommitThatTheServerTurnedIntoARollback) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_EQ(t1_->fault({.verb = Verb::insert, .key = "b", .value = "x"}), Fault::constraint);
  EXPECT_EQ(t1_->pending().error->code, "23505");
  EXPECT_TRUE(t1_->session().in_transaction());
  EXPECT_EQ(t1_->fault({.verb = Verb::read, .key = "a"}), Fault::invalid);
  EXPECT_EQ(t1_->pending().error->code, "25P02");
  EXPECT_EQ(t1_->fault({.verb = Verb::commit}), Fault::constraint);
  EXPECT_THAT(t1_->pending().error->message, HasSubstr("nothing was committed"));
  EXPECT_FALSE(t1_->session().in_transaction());
  EXPECT_EQ(final_state()[0].second, "1");
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin})) << "the session is usable again";
}

TEST_P(PostgresSession, FollowsATransactionThatSqlBeginsAndEnds) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = " /* x */ START transaction"}));
  EXPECT_TRUE(t1_->session().in_transaction());
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "savepoint s"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "rollback to s"}));
  EXPECT_TRUE(t1_->session().in_transaction());
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "rollback"}));
  EXPECT_FALSE(t1_->session().in_transaction());
}

TEST_P(PostgresSession, ReadCommittedSeesWhatOthersCommitMeanwhile) {
  open("read-committed");
  both_begin();
  EXPECT_EQ(t1_->read("a"), "1");
  EXPECT_FALSE(t2_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_EQ(t1_->read("a"), "1") << "a dirty read";
  EXPECT_FALSE(t2_->fault({.verb = Verb::commit}));
  EXPECT_EQ(t1_->read("a"), "10");
}

TEST_P(PostgresSession, RepeatableReadKeepsItsSnapshotAndTheFirstUpdaterWins) {
  open("repeatable-read");
  both_begin();
  EXPECT_EQ(t1_->read("a"), "1");
  EXPECT_FALSE(t2_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_FALSE(t2_->fault({.verb = Verb::commit}));
  EXPECT_EQ(t1_->read("a"), "1");
  EXPECT_EQ(t1_->fault({.verb = Verb::write, .key = "a", .value = "11"}), Fault::serialization_failure);
  EXPECT_EQ(t1_->pending().error->code, "40001");
  EXPECT_TRUE(is_retry_safe(t1_->pending().error->fault));
  EXPECT_FALSE(t1_->fault({.verb = Verb::abort}));
  EXPECT_EQ(final_state()[0].second, "10");
}

/// Two doctors go off call: each reads both rows and writes one. The commits' faults.
std::vector<std::optional<Fault>> write_skew(Client& t1, Client& t2) {
  std::vector<std::optional<Fault>> faults;
  for (Client* client : {&t1, &t2}) {
    EXPECT_FALSE(client->fault({.verb = Verb::begin}));
    EXPECT_EQ(client->read("a"), "1");
    EXPECT_EQ(client->read("b"), "2");
  }
  faults.push_back(t1.fault({.verb = Verb::write, .key = "a", .value = "0"}));
  faults.push_back(t2.fault({.verb = Verb::write, .key = "b", .value = "0"}));
  for (Client* client : {&t1, &t2}) faults.push_back(client->fault({.verb = Verb::commit}));
  faults.erase(std::remove(faults.begin(), faults.end(), std::nullopt), faults.end());
  return faults;
}

TEST_P(PostgresSession, RepeatableReadLetsWriteSkewThrough) {
  open("repeatable-read");
  EXPECT_THAT(write_skew(*t1_, *t2_), IsEmpty());
  EXPECT_EQ(final_state(), (State{{"a", "0"}, {"b", "0"}, {"c", "3"}}));
}

TEST_P(PostgresSession, SerializableAbortsOneOfAWriteSkew) {
  open("serializable");
  // The statement that is refused, and where it was not the commit, the commit that then answers ROLLBACK.
  for (const auto& fault : write_skew(*t1_, *t2_)) EXPECT_EQ(fault, Fault::serialization_failure);
  const State state = final_state();
  EXPECT_NE(state[0].second == "0", state[1].second == "0");
}

TEST_P(PostgresSession, SerializableSparesDisjointRowsOfASmallTable) {
  open("serializable");
  if ((*backend_->query("select current_setting('max_pred_locks_per_page')::int < 26"))[0][0] == "t") {
    GTEST_SKIP() << "skipped: this server locks a page after a few of its rows (max_pred_locks_per_page)";
  }
  // Short values: all rows on one page, which the planner would rather read whole once it knows; long ones: a full
  // page, off which an update would have to move its row. Neither page, table nor index may be locked for it.
  for (const std::size_t length : {1, 600}) {
    SCOPED_TRACE(length);
    const std::string before(length, '0'), after(length, '1');
    State rows;
    for (char key = 'a'; key <= 'z'; ++key) rows.emplace_back(std::string(1, key), before);
    ASSERT_TRUE(backend_->set_up(rows, {}));
    ASSERT_TRUE(backend_->query("analyze kv"));
    both_begin();
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) EXPECT_EQ(t1_->read(key), before);
    for (const char* key : {"u", "v", "w", "x", "y", "z"}) EXPECT_EQ(t2_->read(key), before);
    EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = after}));
    EXPECT_FALSE(t2_->fault({.verb = Verb::write, .key = "u", .value = after}));
    EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
    EXPECT_FALSE(t2_->fault({.verb = Verb::commit}));
    if (HasFailure()) return;
  }
}

TEST_P(PostgresSession, SaysWhoIsWaitedForAndOnWhat) {
  open("read-committed");
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  t2_->start({.verb = Verb::add, .key = "a", .delta = 5});
  const auto blockers = t2_->blocked();
  ASSERT_EQ(blockers.size(), 1U);
  EXPECT_EQ(blockers[0].actor, 0);
  EXPECT_EQ(blockers[0].object, "a");
  EXPECT_THAT(blockers[0].what, HasSubstr("transaction "));
  EXPECT_FALSE(t2_->finished());
  EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
  EXPECT_THAT(t2_->end().reply.value, Optional(std::string("15")));
  EXPECT_THAT(t2_->session().blockers(t2_->pending()), IsEmpty());
}

TEST_P(PostgresSession, NamesTheRowTheTableAndTheAdvisoryLockThatSqlWaitsFor) {
  open("read-committed");
  const auto object = [this](std::string_view held, std::string_view wanted) {
    both_begin();
    EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = held}));
    t2_->start({.verb = Verb::execute, .key = wanted});
    const auto blockers = t2_->blocked();
    EXPECT_EQ(blockers.size(), 1U);
    EXPECT_FALSE(t1_->fault({.verb = Verb::abort}));
    EXPECT_FALSE(t2_->end().error);
    EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
    return blockers.empty() ? std::string() : blockers[0].object;
  };
  EXPECT_EQ(object("update kv set v = '0' where k = 'b'", "select * from kv where k = 'b' for update"), "b");
  EXPECT_EQ(object("lock table kv", "select * from kv"), "kv");
  // Advisory locks belong to the database, which other test processes use too: keys of this process alone.
  const auto advisory = [&](const std::string& keys) {
    const std::string lock = fmt::format("select pg_advisory_xact_lock({})", keys);
    return object(lock, lock);
  };
  EXPECT_EQ(advisory(fmt::format("-{}", ::getpid())), fmt::format("advisory -{}", ::getpid()));
  EXPECT_EQ(advisory(fmt::format("{}, -4", ::getpid())), fmt::format("advisory ({}, -4)", ::getpid()));
  EXPECT_EQ(advisory("'kv'::regclass::int, 7"), "advisory (kv, 7)");
  EXPECT_THAT(object("insert into kv values ('n', '')", "insert into kv values ('n', '')"), HasSubstr("transaction "));
}

TEST_P(PostgresSession, SaysWhichLockIsAwaitedInTheServersWords) {
  open("read-committed");
  ASSERT_TRUE(
      backend_->set_up({{"a", "1"}}, std::vector<std::string>{"create table seats (seat int primary key, who text)",
                                                              "insert into seats values (1, ''), (2, '')"}));
  const auto lock = [this](std::string_view held, const Request& wanted) {
    both_begin();
    EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = held}));
    t2_->start(wanted);
    const auto blockers = t2_->blocked();
    EXPECT_FALSE(t1_->fault({.verb = Verb::abort}));
    EXPECT_FALSE(t2_->end().error);
    EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
    return blockers.empty() ? std::string() : blockers[0].lock;
  };
  EXPECT_EQ(lock("update kv set v = '2' where k = 'a'", {.verb = Verb::add, .key = "a", .delta = 1}),
            "ShareLock on the transaction that has row a of kv");
  EXPECT_EQ(lock("update seats set who = 'x' where seat = 2",
                 {.verb = Verb::execute, .key = "delete from seats where seat = 2"}),
            "ShareLock on the transaction that has row (0,2) of seats");
  EXPECT_EQ(lock("lock table seats", {.verb = Verb::execute, .key = "select * from seats"}),
            "AccessShareLock on table seats");
  EXPECT_EQ(lock("lock table seats in share mode", {.verb = Verb::execute, .key = "update seats set who = 'y'"}),
            "RowExclusiveLock on table seats");
}

TEST_P(PostgresSession, ShowsWhatTheSessionsHold) {
  open("read-committed");
  ASSERT_TRUE(backend_->set_up({{"a", "1"}, {"b", "2"}},
                               std::vector<std::string>{"create table seats (seat int primary key, who text)",
                                                        "insert into seats values (1, ''), (2, '')"}));
  const auto held = [this] {
    std::vector<std::string> all;
    for (const Blocker& each : backend_->holders())
      all.push_back(fmt::format("T{} {}: {}", each.actor + 1, each.object, each.what));
    return all;
  };
  EXPECT_THAT(held(), IsEmpty());
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_FALSE(t2_->fault({.verb = Verb::execute, .key = "update seats set who = 'x' where seat = 2"}));
  const auto now = held();
  EXPECT_THAT(
      now, testing::IsSupersetOf(
               {std::string("T1 kv: RowExclusiveLock"), std::string("T1 row a of kv: changed or locked"),
                std::string("T2 seats: RowExclusiveLock"), std::string("T2 row (0,2) of seats: changed or locked")}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
  EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_P(PostgresSession, GivesEveryResultOfSeveralStatementsWithItsColumns) {
  if (GetParam()) GTEST_SKIP() << "libpqxx gives the last result alone";
  open("read-committed");
  const Reply reply = t1_->run({.verb = Verb::execute,
                                .key = "select 1 as one, null as none; update kv set v = v; select 2 where false"})
                          .reply;
  ASSERT_EQ(reply.results.size(), 3U);
  EXPECT_EQ(reply.results[0].columns, (std::vector<std::string>{"one", "none"}));
  EXPECT_EQ(reply.results[0].rows, (Table{{"1", std::nullopt}}));
  EXPECT_EQ(reply.results[1].tag, "UPDATE 3");
  EXPECT_TRUE(reply.results[1].columns.empty());
  EXPECT_EQ(reply.results[2].columns.size(), 1U);
  EXPECT_TRUE(reply.results[2].rows.empty());
  // Up to the first that fails.
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "select 1; select 1 / 0; select 3"}), Fault::constraint);
  const auto& results = t1_->pending().reply.results;
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].error->code, "22012");
}

TEST_P(PostgresSession, KeepsWhatTheServerSaidPartByPart) {
  if (GetParam()) GTEST_SKIP() << "libpqxx gives a text alone";
  open("read-committed");
  const auto fact = [](const Facts& facts, std::string_view name) {
    for (const auto& [each, value] : facts) {
      if (each == name) return value;
    }
    return std::string("(none)");
  };
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "insert into kv values ('a', '')"}), Fault::constraint);
  const Facts said = t1_->pending().error->facts;
  EXPECT_EQ(fact(said, "primary"), "duplicate key value violates unique constraint \"kv_pkey\"");
  EXPECT_EQ(fact(said, "detail"), "Key (k)=(a) already exists.");
  EXPECT_EQ(fact(said, "table"), "kv");
  EXPECT_EQ(fact(said, "constraint"), "kv_pkey");
  t1_->run({.verb = Verb::execute,
            .key = "do $$ begin raise notice 'three %', 3 using detail = 'more', hint = 'less'; end $$"});
  ASSERT_EQ(t1_->pending().notices.size(), 1U);
  EXPECT_EQ(t1_->pending().notices[0].severity, "NOTICE");
  EXPECT_EQ(t1_->pending().notices[0].text, "three 3");
  EXPECT_EQ(fact(t1_->pending().notices[0].facts, "detail"), "more");
  EXPECT_EQ(fact(t1_->pending().notices[0].facts, "hint"), "less");
}

TEST_P(PostgresSession, StandsBareInADatabaseOfItsOwn) {
  options_.own = {{"bare", "my-case"}};
  options_.protocol = "repeatable-read";
  options_.dsn = dsn_;
  options_.blocking = GetParam();
  backend_ = open_backend(options_);
  ASSERT_NE(backend_, nullptr);
  const std::vector<std::string> ddl = {"create table seats (seat int primary key)", "insert into seats values (7)"};
  std::string database;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(backend_->set_up({}, ddl));
    t1_ = open_client(*backend_, 0);
    t2_ = open_client(*backend_, 1);
    const auto shown = [this](const std::string& sql) {
      return t1_->run({.verb = Verb::execute, .key = sql}).reply.table.at(0).at(0).value_or("");
    };
    EXPECT_EQ(shown("select seat from seats"), "7");
    EXPECT_EQ(shown("show application_name"), "my-case/T1");
    EXPECT_EQ(shown("show transaction_isolation"), "repeatable read");
    EXPECT_EQ(shown("show enable_seqscan"), "on");
    EXPECT_EQ(shown("select count(*) from pg_class where relname = 'kv'"), "0");
    database = shown("select current_database()");
    EXPECT_EQ(database.substr(0, 9), "lockstep_");
    // Who waits for somebody else than these sessions is not blocked; who waits for these is.
    EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "begin; update seats set seat = 8"}));
    t2_->start({.verb = Verb::execute, .key = "update seats set seat = 9"});
    EXPECT_EQ(t2_->blocked()[0].lock, "ShareLock on the transaction that has row (0,1) of seats");
    EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "rollback"}));
    EXPECT_FALSE(t2_->end().error);
    t1_.reset();
    t2_.reset();
  }
  backend_.reset();
  auto dsn = postgres::Dsn::parse(dsn_);
  auto stranger = postgres::connect(*dsn, "stranger", 5s);
  ASSERT_TRUE(stranger) << stranger.error().message;
  const auto left = postgres::ask(
      stranger->get(), fmt::format("select count(*) from pg_database where datname = '{}'", database), {}, 5s);
  ASSERT_TRUE(left);
  EXPECT_STREQ(::PQgetvalue(left->get(), 0, 0), "0") << "the database is dropped with the run";
}

TEST_P(PostgresSession, SaysWhatIsSentForAPortableVerb) {
  open("read-committed");
  EXPECT_EQ(t1_->session().statement_of({.verb = Verb::add, .key = "it's", .delta = -5}),
            "update kv set v = (v::bigint + '-5')::text where k = E'it''s' returning v");
  EXPECT_EQ(t1_->session().statement_of({.verb = Verb::begin}), "begin isolation level read committed");
}

TEST_P(PostgresSession, SaysThatSomebodyOutsideTheRunIsWaitedFor) {
  open("read-committed");
  auto dsn = postgres::Dsn::parse(dsn_);
  auto stranger = postgres::connect(*dsn, "stranger", 5s);
  ASSERT_TRUE(stranger) << stranger.error().message;
  const std::string lock = fmt::format("select pg_advisory_xact_lock({})", ::getpid());
  ASSERT_TRUE(postgres::ask(stranger->get(), "begin; " + lock, {}, 5s));
  t1_->start({.verb = Verb::execute, .key = lock});
  const auto blockers = t1_->blocked();
  ASSERT_EQ(blockers.size(), 1U);
  EXPECT_EQ(blockers[0].actor, -1);
  stranger->reset();
  EXPECT_FALSE(t1_->end().error);
}

TEST_P(PostgresSession, DeadlockHasOneVictimWithinTheDeadlockTimeout) {
  options_.deadlock_timeout = 1s;  // both waits are seen before the server looks at one of them
  open("read-committed");
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::add, .key = "a", .delta = 1}));
  EXPECT_FALSE(t2_->fault({.verb = Verb::add, .key = "b", .delta = 1}));
  t1_->start({.verb = Verb::add, .key = "b", .delta = 1});
  const auto blockers_of_t1 = t1_->blocked();
  ASSERT_EQ(blockers_of_t1.size(), 1U);
  EXPECT_EQ(blockers_of_t1[0].actor, 1);
  const auto begin = std::chrono::steady_clock::now();
  t2_->start({.verb = Verb::add, .key = "a", .delta = 1});
  const auto blockers_of_t2 = t2_->blocked();
  ASSERT_EQ(blockers_of_t2.size(), 1U);
  EXPECT_EQ(blockers_of_t2[0].actor, 0);
  ASSERT_TRUE(eventually([this] { return t1_->finished() || t2_->finished(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  Client& victim = t1_->finished() && t1_->pending().error ? *t1_ : *t2_;
  Client& other = &victim == t1_.get() ? *t2_ : *t1_;
  ASSERT_TRUE(victim.end().error);
  EXPECT_EQ(victim.pending().error->fault, Fault::deadlock);
  EXPECT_EQ(victim.pending().error->code, "40P01");
  EXPECT_TRUE(victim.session().in_transaction());
  // Its locks are free already; the abort only tells the server that the client knows.
  EXPECT_FALSE(other.end().error);
  EXPECT_FALSE(other.fault({.verb = Verb::commit}));
  EXPECT_FALSE(victim.fault({.verb = Verb::abort}));
  EXPECT_FALSE(victim.session().in_transaction());
  const State state = final_state();
  EXPECT_TRUE(state[0].second == "2" && state[1].second == "3");
}

TEST_P(PostgresSession, ALockTimeoutIsNotADeadlock) {
  options_.lock_timeout = 50ms;
  open("read-committed");
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  EXPECT_EQ(t2_->fault({.verb = Verb::write, .key = "a", .value = "11"}), Fault::lock_timeout);
  EXPECT_EQ(t2_->pending().error->code, "55P03");
  EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
  EXPECT_EQ(t2_->fault({.verb = Verb::execute, .key = "select * from kv where k = 'a' for update nowait"}),
            Fault::lock_timeout);
}

TEST_P(PostgresSession, EndsAStatementThatTakesTooLong) {
  options_.statement_timeout = 500ms;  // enough for the last statement
  open("read-committed");
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "select pg_sleep(100)"}), Fault::statement_timeout);
  EXPECT_EQ(t1_->pending().error->code, "57014");
  EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "select 1"}), std::nullopt);
}

TEST_P(PostgresSession, CancelEndsAWaitWithTheReasonGiven) {
  open("read-committed");
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  for (const Fault why : {Fault::cancelled, Fault::hung}) {
    t2_->start({.verb = Verb::write, .key = "a", .value = "11"});
    t2_->blocked();
    t2_->session().cancel(t2_->pending(), why);
    EXPECT_EQ(t2_->end().error->fault, why);
    EXPECT_EQ(t2_->pending().error->code, "57014");
    EXPECT_TRUE(t2_->session().in_transaction());
    EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
    EXPECT_FALSE(t2_->fault({.verb = Verb::begin}));
  }
}

TEST_P(PostgresSession, ACancelThatComesTooLateHitsNothing) {
  open("read-committed");
  for (int round = 0; round < 50; ++round) {
    t1_->start({.verb = Verb::execute, .key = "select 1"});
    t1_->session().cancel(t1_->pending(), Fault::cancelled);
    const Pending& done = t1_->end();
    if (done.error) {
      EXPECT_EQ(done.error->fault, Fault::cancelled);
    }
    EXPECT_EQ(t1_->fault({.verb = Verb::execute, .key = "select 2"}), std::nullopt) << "round " << round;
  }
}

TEST_P(PostgresSession, ASessionEndedWhileItIdledSaysSo) {
  open("read-committed");
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "begin; update kv set v = '10' where k = 'a'"}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::execute, .key = "set idle_in_transaction_session_timeout = 100"}));
  const std::string count_of_t1 = fmt::format("select count(*) from pg_stat_activity where pid = {}", server_pid(*t1_));
  ASSERT_TRUE(eventually([&] { return (*backend_->query(count_of_t1))[0][0] == "0"; }));
  EXPECT_EQ(t1_->fault({.verb = Verb::commit}), Fault::idle_timeout) << t1_->pending().error->message;
  EXPECT_EQ(t1_->pending().error->code, "25P03");
  EXPECT_FALSE(t1_->session().in_transaction());
  EXPECT_EQ(t1_->fault({.verb = Verb::read, .key = "a"}), Fault::unavailable);
  EXPECT_FALSE(t1_->fault({.verb = Verb::abort})) << "nothing is left to abort";
  EXPECT_EQ(final_state()[0].second, "1");
}

TEST_P(PostgresSession, TheNonblockingKindNeverBlocksItsThread) {
  if (GetParam()) GTEST_SKIP() << "skipped: this kind blocks";
  open("read-committed");
  both_begin();
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
  postgres_testing::NoWaiter waiter;
  Pending pending;
  pending.request = {.verb = Verb::write, .key = "a", .value = "11"};
  // In this one thread: neither the attempt nor those after it may wait for T1, which this thread must commit.
  ASSERT_FALSE(t2_->session().attempt(pending, waiter));
  EXPECT_GE(pending.waiting.fd, 0);
  EXPECT_NE(pending.waiting.events & POLLIN, 0);
  EXPECT_TRUE(pending.waiting.external);
  ASSERT_TRUE(eventually([&] { return !t2_->session().blockers(pending).empty(); }));
  EXPECT_FALSE(t2_->session().attempt(pending, waiter));
  EXPECT_FALSE(t1_->fault({.verb = Verb::commit}));
  EXPECT_TRUE(eventually([&] { return t2_->session().attempt(pending, waiter); }));
  EXPECT_FALSE(pending.error);
  EXPECT_FALSE(t2_->fault({.verb = Verb::abort}));
}

TEST_P(PostgresSession, CarriesAStatementOfAMegabyte) {
  open("read-committed");
  const std::string large(1'000'000, 'x');
  EXPECT_FALSE(t1_->fault({.verb = Verb::begin}));
  EXPECT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = large}));
  EXPECT_EQ(t1_->read("a"), large);
}

TEST_P(PostgresSession, SaysWhatItRunsOn) {
  open("repeatable-read");
  EXPECT_THAT(backend_->capabilities().version, testing::StartsWith("PostgreSQL "));
  EXPECT_EQ(backend_->protocol().name, "repeatable-read");
  EXPECT_EQ(backend_->capabilities().nonblocking, !GetParam());
  const auto environment = backend_->environment();
  const std::map<std::string, std::string> facts(environment.begin(), environment.end());
  EXPECT_EQ(facts.at("isolation"), "repeatable read");
  EXPECT_EQ(facts.count("fsync"), 1U);
  EXPECT_EQ(t1_->run({.verb = Verb::begin}).error, std::nullopt);
  EXPECT_EQ(t1_->run({.verb = Verb::execute, .key = "show transaction_isolation"}).reply.table[0][0],
            "repeatable read");
}

}  // namespace
}  // namespace lockstep
