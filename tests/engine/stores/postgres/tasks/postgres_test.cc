// postgres_test.cc: tasks on loops against a real PostgreSQL: statements, pipelines, cancels, the pool, and servers and
// sessions that are killed in the middle.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "engine/runtime/runtime.h"
#include "engine/stores/postgres/tasks/pipeline.h"
#include "engine/stores/postgres/tasks/pool.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::runtime {
namespace {

using postgres_testing::eventually;
using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr PgStatement kStatements[] = {
    {.name = "balance", .sql = "select v from account where k = $1", .only_reads = true},
    {.name = "add", .sql = "update account set v = v + $2 where k = $1"},
    {.name = "echo", .sql = "select $1::text, $2::text", .only_reads = true},
    {.name = "nap", .sql = "select pg_sleep($1::float8)", .only_reads = true},
    {.name = "divide", .sql = "select 1 / $1::int", .only_reads = true},
    {.name = "big", .sql = "select repeat('x', $1::int) from generate_series(1, 100)", .only_reads = true},
    {.name = "length", .sql = "select length($1::text)", .only_reads = true},
    {.name = "slow add", .sql = "update account set v = v + 1 where k = 1 returning pg_sleep($1::float8)"},
    {.name = "kill",
     .sql = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1::int and wait_event = 'PgSleep'"},
};
constexpr const PgStatement &kBalance = kStatements[0], &kAdd = kStatements[1], &kEcho = kStatements[2],
                            &kNap = kStatements[3], &kDivide = kStatements[4], &kBig = kStatements[5],
                            &kLength = kStatements[6], &kSlowAdd = kStatements[7], &kKill = kStatements[8];

PgOptions options_for(const std::string& dsn, const std::string& setup = {}) {
  auto parsed = postgres::Dsn::parse(dsn);
  EXPECT_TRUE(parsed.ok());
  return {.dsn = std::move(parsed).value(),
          .application = fmt::format("tasks {}", ::getpid()),  // other tests use the same server
          .setup = setup,
          .statements = kStatements,
          .drain_max = 20s};  // a machine at work on other tests
}

/// A schema of its own with accounts 1 … 4 of 100 each, on the server of the test run.
class PgTasks : public testing::Test {
 protected:
  void SetUp() override {
    const std::string dsn = postgres_testing::test_dsn();
    if (dsn.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
    set_up_on(dsn);
  }
  void set_up_on(const std::string& dsn) {
    schema_ = fmt::format("tasks_{}", ::getpid());
    options_ = options_for(dsn, fmt::format("set search_path = {}", schema_));
    ask(
        fmt::format("drop schema if exists {0} cascade; create schema {0}; create table {0}.account (k int primary key,"
                    " v bigint); insert into {0}.account select k, 100 from generate_series(1, 4) k",
                    schema_));
  }
  void TearDown() override {
    if (!schema_.empty()) ask(fmt::format("drop schema if exists {} cascade", schema_));
  }
  /// Beside the tasks; the first column of the first row.
  std::string ask(const std::string& sql) {
    auto connection = postgres::connect(options_.dsn, "test", 20s);
    if (!connection.ok()) return "no connection";
    const auto answer = postgres::ask(connection->get(), sql, {}, 20s);
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    const auto table = answer.ok() ? postgres::table_of(answer->get()) : Table();
    return table.empty() ? "" : table[0][0].value_or("NULL");
  }
  std::string balance(int account) {
    return ask(fmt::format("select v from {}.account where k = {}", schema_, account));
  }

  PgOptions options_{};
  std::string schema_;
};

Task<> opened(PgConnection* connection) {
  const Result<void> open = co_await connection->open();
  if (!open.ok()) co_await fail(open.error());
}

// -- statements --

Task<> prepared_and_text(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);

  const Result<PgRows> echoed = co_await connection.execute(kEcho, -7, nullptr);
  EXPECT_EQ(echoed->size(), 1);
  EXPECT_EQ(echoed->number(0, 0), -7);
  EXPECT_EQ(echoed->text(0, 1), std::nullopt);

  const Result<PgRows> begun = co_await connection.query("begin");
  EXPECT_TRUE(begun.ok() && connection.in_transaction());
  const Result<PgRows> added = co_await connection.execute(kAdd, 1, 5);
  EXPECT_EQ(added->touched(), 1);
  const Result<PgRows> read = co_await connection.execute(kBalance, 1);
  EXPECT_EQ(read->number(0, 0), 105);
  const Result<PgRows> ended = co_await connection.query("rollback");
  EXPECT_EQ(ended->tag(), "ROLLBACK");

  const Result<PgRows> last = co_await connection.query("select 1; select 2");
  EXPECT_EQ(last->number(0, 0), 2);
}
TEST_F(PgTasks, SendPreparedStatementsAndTexts) {
  const Result<void> ended = run(prepared_and_text(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_EQ(balance(1), "100");
}

// More than a socket's buffers hold, both ways: what libpq could not send at once goes as the socket becomes writable.
Task<> large_texts(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  const std::string large(6'000'000, 'y');
  const Result<PgRows> length = co_await connection.execute(kLength, large);
  EXPECT_EQ(length->number(0, 0), 6'000'000);
  const Result<PgRows> rows = co_await connection.execute(kBig, 100'000);
  EXPECT_EQ(rows->size(), 100);
  EXPECT_EQ(rows->text(99, 0)->size(), 100'000U);
}
TEST_F(PgTasks, SendAndReceiveMoreThanTheSocketHolds) {
  const Result<void> ended = run(large_texts(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

Task<> failures(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  const Result<PgRows> unopened = co_await connection.query("select 1");
  EXPECT_EQ(unopened.fault(), Fault::unavailable);
  co_await opened(&connection);

  const Result<PgRows> divided = co_await connection.execute(kDivide, 0);
  EXPECT_EQ(divided.fault(), Fault::constraint);
  EXPECT_EQ(divided.error().code, "22012");
  EXPECT_THAT(divided.error().message, HasSubstr("division by zero"));
  const std::string with_zero("a\0b", 3);
  const Result<PgRows> zero = co_await connection.execute(kLength, with_zero);
  EXPECT_EQ(zero.fault(), Fault::invalid);

  // A transaction that has failed answers its commit with the failure.
  const Result<PgRows> begun = co_await connection.query("begin");
  const Result<PgRows> failed = co_await connection.execute(kDivide, 0);
  EXPECT_TRUE(begun.ok() && !failed.ok());
  const Result<PgRows> committed = co_await connection.query("commit");
  EXPECT_EQ(committed.error().code, "22012");
  EXPECT_THAT(committed.error().message, HasSubstr("nothing was committed"));

  const Result<PgRows> copied = co_await connection.query("copy account to stdout");
  EXPECT_EQ(copied.fault(), Fault::unsupported);
  EXPECT_EQ(connection.state(), PgConnection::State::closed);
  co_await opened(&connection);
  const Result<PgRows> again = co_await connection.execute(kBalance, 1);
  EXPECT_EQ(again->number(0, 0), 100);
}
TEST_F(PgTasks, AreToldWhatFailedAndGoOn) {
  const Result<void> ended = run(failures(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

Task<> open_only(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
}
TEST_F(PgTasks, AreToldWhyAConnectionCannotBeOpened) {
  const PgOptions nowhere = options_for("host=/nonexistent dbname=x");
  const Result<void> refused = run(open_only(&nowhere));
  EXPECT_EQ(refused.fault(), Fault::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("/nonexistent"));

  PgOptions misspelt = options_;
  misspelt.setup = "set lock_timeot = 1";
  EXPECT_THAT(run(open_only(&misspelt)).error().message, HasSubstr("lock_timeot"));
}

// -- what is left open when a session is killed --

Task<> note_fault(PgConnection* connection, const PgStatement* statement, Fault* fault) {
  const Result<PgRows> rows = co_await connection->execute(*statement, 3600);
  EXPECT_FALSE(rows.ok());
  if (!rows.ok()) *fault = rows.fault();
}
Task<> kill_in_its_sleep(PgConnection* killer, int pid) {
  for (;;) {
    const Result<PgRows> killed = co_await killer->execute(kKill, pid);
    if (!killed.ok()) co_await fail(killed.error());
    if (killed->size() == 1) co_return;
    co_await sleep_for(1ms);
  }
}
Task<> killed_in(const PgOptions* options, const PgStatement* statement, bool in_transaction, Fault* fault) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options), killer(self.loop(), *options);
  co_await opened(&connection);
  co_await opened(&killer);
  if (in_transaction) {
    const Result<PgRows> begun = co_await connection.query("begin");
    EXPECT_TRUE(begun.ok());
  }
  std::vector<Task<>> both;
  both.push_back(note_fault(&connection, statement, fault));
  both.push_back(kill_in_its_sleep(&killer, connection.server_pid()));
  co_await when_all(std::move(both));
  EXPECT_EQ(connection.state(), PgConnection::State::closed);
}
TEST_F(PgTasks, AreToldWhenItIsUnknownWhetherAStatementTookEffect) {
  const struct {
    const PgStatement& statement;
    bool in_transaction;
    Fault expected;
  } cases[] = {{kNap, false, Fault::unavailable},           // only reads
               {kSlowAdd, true, Fault::unavailable},        // rolled back with its transaction
               {kSlowAdd, false, Fault::outcome_unknown}};  // its own commit may have happened
  for (const auto& each : cases) {
    Fault fault = Fault::internal;
    const Result<void> ended = run(killed_in(&options_, &each.statement, each.in_transaction, &fault));
    EXPECT_TRUE(ended.ok()) << ended.error().message;
    EXPECT_EQ(fault, each.expected) << each.statement.sql;
  }
}

// -- pipelines --

Task<> pipelines(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  PgPipeline pipeline(connection);
  for (int k = 1; k <= 4; ++k) {
    const std::string text = std::to_string(k);  // taken over by add()
    pipeline.add(kAdd, text, k);
    pipeline.add(kBalance, k);
  }
  {
    const Result<std::span<const PgRows>> rows = co_await pipeline.run();
    EXPECT_EQ(rows->size(), 8U);
    for (std::size_t k = 1; k <= 4; ++k) EXPECT_EQ((*rows)[2 * k - 1].number(0, 0), 100 + static_cast<int>(k));
  }
  // One transaction: the first failure takes back what came before it, and is what is told.
  pipeline.clear();
  pipeline.add(kAdd, 1, 1000);
  pipeline.add(kDivide, 0);
  pipeline.add(kAdd, 2, 1000);
  {
    const Result<std::span<const PgRows>> rows = co_await pipeline.run();
    EXPECT_EQ(rows.error().code, "22012");
    EXPECT_THAT(rows.error().message, HasSubstr("select 1 / $1"));
  }
  const Result<PgRows> after = co_await connection.execute(kBalance, 1);
  EXPECT_EQ(after->number(0, 0), 101);
}
TEST_F(PgTasks, SendSeveralStatementsInOneTripAsOneTransaction) {
  const Result<void> ended = run(pipelines(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_EQ(balance(2), "102");
}

// 4,000 statements with answers of 1 MB and more: the server stops reading until we read.
Task<> long_pipeline(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  PgPipeline pipeline(connection);
  const std::string text(1'000, 'z');
  for (int i = 0; i < 4'000; ++i) pipeline.add(kEcho, text, i);
  const Result<std::span<const PgRows>> rows = co_await pipeline.run();
  EXPECT_EQ(rows->size(), 4'000U);
  EXPECT_EQ(rows->back().number(0, 1), 3'999);
}
TEST_F(PgTasks, SendAPipelineLongerThanTheSocketHolds) {
  const Result<void> ended = run(long_pipeline(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

// -- cancels --

Task<> update_then_nap(PgConnection* connection) {
  const Result<PgRows> begun = co_await connection->query("begin");
  const Result<PgRows> added = co_await connection->execute(kAdd, 1, 1);
  EXPECT_TRUE(begun.ok() && added.ok());
  const Result<PgRows> napped = co_await connection->execute(kNap, 3600);
  ADD_FAILURE() << "it was not cancelled";
}
Task<> cancel_in_mid_transaction(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  const int pid = connection.server_pid();
  const Result<void> ended = co_await tried(within(200ms, update_then_nap(&connection)));
  EXPECT_EQ(ended.fault(), Fault::statement_timeout);
  EXPECT_EQ(connection.state(), PgConnection::State::draining);
  // It is cancelled in the server, answered and rolled back: the same session, and the row is free.
  co_await opened(&connection);
  EXPECT_EQ(connection.server_pid(), pid);
  EXPECT_FALSE(connection.in_transaction());
  PgConnection other(self.loop(), *options);
  co_await opened(&other);
  const Result<PgRows> added =
      co_await other.query("set statement_timeout = '10s'; update account set v = 7 where k = 1");
  EXPECT_TRUE(added.ok()) << added.error().message;
  const Result<PgRows> read = co_await connection.execute(kBalance, 1);
  EXPECT_EQ(read->number(0, 0), 7);
}
TEST_F(PgTasks, GiveBackTheirRowsWhenCancelledInMidTransaction) {
  const Result<void> ended = run(cancel_in_mid_transaction(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

Task<> nap(PgConnection* connection) {
  const Result<PgRows> napped = co_await connection->execute(kNap, 3600);
  ADD_FAILURE() << "it was not cancelled";
}
Task<> stopped_server(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  const int pid = connection.server_pid();
  ::kill(pid, SIGSTOP);
  const Result<void> ended = co_await tried(within(10ms, nap(&connection)));
  EXPECT_EQ(ended.fault(), Fault::statement_timeout);
  const Result<void> drained = co_await connection.open();  // dropped: the session does not answer
  ::kill(pid, SIGCONT);
  EXPECT_THAT(drained.error().message, HasSubstr("did not end within 50 ms"));
  co_await opened(&connection);
  EXPECT_NE(connection.server_pid(), pid);
}
TEST_F(PgTasks, DropAConnectionThatDoesNotDrain) {
  PgOptions options = options_;
  options.drain_max = 50ms;
  const Result<void> ended = run(stopped_server(&options));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

// However the cancel falls, before, during or after the statement: it never meets a later one.
Task<> one_quick(PgConnection* connection) {
  const Result<PgRows> napped = co_await connection->execute(kNap, "0.0005");
  if (!napped.ok()) ADD_FAILURE() << napped.error().message;
}
Task<> many_cancels(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  for (int i = 0; i < 25; ++i) {
    (void)co_await tried(within(std::chrono::microseconds(80 * i), one_quick(&connection)));
    co_await opened(&connection);
    const Result<PgRows> read = co_await connection.execute(kBalance, 2);
    if (!read.ok()) ADD_FAILURE() << "after cancel " << i << ": " << read.error().message;
  }
}
TEST_F(PgTasks, AreNeverMetByTheCancelOfAnEarlierStatement) {
  const Result<void> ended = run(many_cancels(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

// -- the pool --

struct Bank {
  PgPool* pool = nullptr;
  std::vector<int> order{};
  int done = 0, lost = 0, unknown = 0;
  AsyncSemaphore more_done{0}, more_lost{0};  // a permit for each that nobody has waited for
  bool over = false;
};

Task<> turn(Bank* bank, int number) {
  const Result<PgPool::Lease> lease = co_await bank->pool->acquire();
  if (!lease.ok()) co_await fail(lease.error());
  bank->order.push_back(number);
  const Result<PgRows> read = co_await (*lease)->execute(kBalance, 1);
  if (!read.ok()) co_await fail(read.error());
}
Task<> turns(Group& group, Bank* bank) {
  for (int i = 0; i < 6; ++i) group.spawn(turn(bank, i));
  co_return;
}
Task<> first_come_first_served(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgPool pool(self.loop(), {.connection = *options, .connections_max = 1});
  Bank bank{.pool = &pool};
  co_await with_group(turns, &bank);
  EXPECT_THAT(bank.order, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(pool.counts().connected, 1);
  EXPECT_EQ(pool.counts().waiting_most, 6U);
}
TEST_F(PgTasks, HaveConnectionsOfAPoolInTheOrderInWhichTheyCame) {
  const Result<void> ended = run(first_come_first_served(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

Task<> hold(PgPool* pool) {
  const Result<PgPool::Lease> lease = co_await pool->acquire();
  ADD_FAILURE() << "there was no connection left";
}
Task<> leave_in_transaction(PgPool* pool) {
  const Result<PgPool::Lease> lease = co_await pool->acquire();
  const Result<PgRows> added = co_await (*lease)->query("begin; update account set v = 0 where k = 3");
  EXPECT_TRUE(added.ok()) << added.error().message;
}
Task<> cancelled_waiters(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgPool pool(self.loop(), {.connection = *options, .connections_max = 1});
  Bank bank{.pool = &pool};
  co_await pool.open();
  {
    const Result<PgPool::Lease> lease = co_await pool.acquire();
    const Result<void> waited = co_await tried(within(5ms, hold(&pool)));
    EXPECT_EQ(waited.fault(), Fault::statement_timeout);
    EXPECT_EQ(pool.counts().waiting, 0U);
  }
  co_await turn(&bank, 1);
  // What is left behind is rolled back before the next one has the connection.
  co_await leave_in_transaction(&pool);
  const Result<PgPool::Lease> lease = co_await pool.acquire();
  const Result<PgRows> read = co_await (*lease)->execute(kBalance, 3);
  EXPECT_EQ(read->number(0, 0), 100);
  EXPECT_FALSE((*lease)->in_transaction());
  EXPECT_EQ(pool.counts().lost, 0U);
}
TEST_F(PgTasks, LeaveTheLineOfAPoolWhenCancelledAndLeaveNothingBehind) {
  const Result<void> ended = run(cancelled_waiters(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

Task<> too_many(const PgOptions* options) {
  Strand& self = co_await this_strand();
  PgConnection connection(self.loop(), *options);
  co_await opened(&connection);
  co_await need_connections(connection, 1);
  const Result<void> refused = co_await tried(need_connections(connection, 1'000'000));
  EXPECT_EQ(refused.fault(), Fault::invalid);
  EXPECT_THAT(refused.error().message, HasSubstr("1000000 connections are asked for; the server admits"));
}
TEST_F(PgTasks, AreToldHowManyConnectionsTheServerAdmits) {
  const Result<void> ended = run(too_many(&options_));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

/// Moves 1 from an account to the next, again and again; whatever is lost is counted and tried anew.
Task<Result<void>> move_one(PgPool* pool, int from) {
  const Result<PgPool::Lease> lease = co_await pool->acquire();
  if (!lease.ok()) co_return Result<void>(lease.error());
  PgPipeline pipeline(**lease);
  pipeline.add(kAdd, from, -1);
  pipeline.add(kAdd, from + 1, 1);
  const Result<std::span<const PgRows>> moved = co_await pipeline.run();
  if (!moved.ok()) co_return Result<void>(moved.error());
  co_return Result<void>();
}
Task<> mover(Bank* bank, int number) {
  while (!bank->over) {
    const Result<void> moved = co_await move_one(bank->pool, 1 + 2 * (number % 2));
    if (moved.ok()) {
      ++bank->done;
      bank->more_done.release();
    } else if (moved.fault() == Fault::outcome_unknown) {
      ++bank->unknown;
      bank->more_lost.release();
    } else {
      EXPECT_EQ(moved.fault(), Fault::unavailable) << moved.error().message;
      ++bank->lost;
      bank->more_lost.release();
    }
  }
}
/// The next so many, from now on.
Task<> until(AsyncSemaphore* more, int count) {
  (void)more->try_acquire(more->available());
  co_await more->acquire(count);
}
Task<> killed_sessions(Group& group, Bank* bank, const PgOptions* options) {
  for (int i = 0; i < 20; ++i) group.spawn(mover(bank, i));
  Strand& self = co_await this_strand();
  PgConnection killer(self.loop(), *options);
  co_await opened(&killer);
  const std::string kill = fmt::format(
      "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'tasks {}'", ::getpid());
  for (int round = 0; round < 5; ++round) {
    co_await until(&bank->more_done, 20);
    const Result<PgRows> killed = co_await killer.query(kill);
    EXPECT_TRUE(killed.ok()) << killed.error().message;
  }
  co_await until(&bank->more_done, 20);
  bank->over = true;
}
Task<> pool_under_fire(const PgOptions* options, const PgOptions* killers, Bank* bank) {
  Strand& self = co_await this_strand();
  PgPool pool(self.loop(), {.connection = *options, .connections_max = 4});
  bank->pool = &pool;
  co_await with_group(killed_sessions, bank, killers);
  EXPECT_GE(pool.counts().reconnects, 5U);
}
TEST_F(PgTasks, GoOnWhenTheirSessionsAreKilled) {
  PgOptions killers = options_;
  killers.application = "killer";
  Bank bank;
  const Result<void> ended = run(pool_under_fire(&options_, &killers, &bank));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_GT(bank.lost + bank.unknown, 0);
  // Nothing is half done, and what was answered is there.
  EXPECT_EQ(ask(fmt::format("select sum(v) from {}.account", schema_)), "400");
  const int moved = 2 * 100 - std::stoi(balance(1)) - std::stoi(balance(3));
  EXPECT_GE(moved, bank.done);
  EXPECT_LE(moved, bank.done + bank.unknown);
}

// -- a server that goes away --

Task<> server_restarts(Group& group, Bank* bank, server::PrivateServer* cluster) {
  for (int i = 0; i < 20; ++i) group.spawn(mover(bank, i));
  co_await until(&bank->more_done, 50);
  // The postmaster ends every session and starts anew when one of them was killed.
  int victim = 0;
  {
    const Result<PgPool::Lease> lease = co_await bank->pool->acquire();
    victim = (*lease)->server_pid();
  }
  ::kill(victim, SIGKILL);
  co_await until(&bank->more_lost, 1);  // the postmaster takes its time, and transfers go on until then
  co_await until(&bank->more_done, 50);
  EXPECT_TRUE(cluster->alive());
  EXPECT_GT(bank->lost + bank->unknown, 0);
  // Then it is gone for good: those who wait are told.
  ::kill(cluster->server_pid(), SIGKILL);
  co_await until(&bank->more_lost, 20);
  bank->over = true;
}
Task<> pool_on_a_dying_server(const PgOptions* options, server::PrivateServer* cluster) {
  Strand& self = co_await this_strand();
  PgPool pool(self.loop(), {.connection = *options, .connections_max = 4, .give_up_after = 300ms});
  Bank bank{.pool = &pool};
  co_await pool.open();
  co_await with_group(server_restarts, &bank, cluster);
}

class PgServers : public PgTasks {
 protected:
  void SetUp() override {
    if (!postgres_testing::has_server_programs()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed";
    auto cluster = postgres::start_private_cluster();
    ASSERT_TRUE(cluster) << cluster.error().message;
    cluster_ = std::move(cluster).value();
    set_up_on(cluster_->dsn());
  }
  void TearDown() override {}
  std::unique_ptr<server::PrivateServer> cluster_;
};

TEST_F(PgServers, ThatCrashAreComeBackToAndThoseThatAreGoneAreToldOf) {
  const Result<void> ended = run(pool_on_a_dying_server(&options_, cluster_.get()));
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

}  // namespace
}  // namespace lockstep::runtime
