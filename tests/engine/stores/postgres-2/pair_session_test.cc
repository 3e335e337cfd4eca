// pair_session_test.cc: a session on two servers: its branches, its commit, what it waits for, and what recovery ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/postgres-2/outcome_log.h"
#include "engine/stores/postgres/backend.h"
#include "engine/stores/postgres/cluster.h"
#include "tests/engine/stores/driver.h"
#include "tests/engine/stores/eventually.h"

namespace lockstep {
BackendKind backend_postgres_2();

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class PairOfServers : public ::testing::Test {
 protected:
  void SetUp() override {
    const BackendKind kind = backend_postgres_2();
    if (const auto here = kind.available({}); !here) GTEST_SKIP() << here.error().message;
    open({});
  }

  void open(std::vector<std::pair<std::string, std::string>> own, const std::string& dsn = {}) {
    sessions_.clear();
    backend_.reset();
    BackendOptions options;
    options.protocol = "read-committed";
    options.clock = &clock_;
    options.dsn = dsn;
    options.lock_timeout = 10s;
    options.own = std::move(own);
    auto opened = backend_postgres_2().open(options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    backend_ = std::move(opened).value();
    const auto ready = backend_->set_up({{"A", "100"}, {"B", "100"}}, {});
    ASSERT_TRUE(ready.ok()) << ready.error().message;
  }

  Session& session(std::size_t actor) {
    while (sessions_.size() <= actor) {
      const int index = static_cast<int>(sessions_.size());
      auto opened = backend_->open_session(index, "T" + std::to_string(index + 1));
      EXPECT_TRUE(opened.ok()) << opened.error().message;
      sessions_.push_back(std::move(opened).value());
    }
    return *sessions_[actor];
  }

  Pending run(std::size_t actor, const Request& request) {
    Call call(session(actor), request);
    EXPECT_TRUE(call.finish()) << name_of(request.verb) << " never ends";
    return std::move(call.pending);
  }
  Reply does(std::size_t actor, const Request& request) {
    Pending done = run(actor, request);
    EXPECT_FALSE(done.error) << name_of(request.verb) << ": " << done.error->message;
    return std::move(done.reply);
  }
  void begin(std::size_t actor) { does(actor, {.verb = Verb::begin}); }
  void add(std::size_t actor, std::string_view key, std::int64_t delta) {
    does(actor, {.verb = Verb::add, .key = key, .delta = delta});
  }
  Reply sql(std::size_t actor, std::string_view text) { return does(actor, {.verb = Verb::execute, .key = text}); }

  State committed() { return backend_->final_state().value(); }
  std::string one(const std::string& query) {
    const auto table = backend_->query(query);
    EXPECT_TRUE(table.ok()) << query << ": " << table.error().message;
    return table.ok() && !table->empty() ? (*table)[0][0].value_or("") : std::string();
  }
  std::string prepared_on(int server) {
    return one(fmt::format("@{} select count(*) from pg_prepared_xacts where database = current_database()", server));
  }
  std::string environment(const std::string& name) const {
    for (const auto& [key, value] : backend_->environment()) {
      if (key == name) return value;
    }
    return {};
  }

  RealClock clock_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

TEST_F(PairOfServers, KeepTheRowsApart) {
  EXPECT_EQ(one("@1 select string_agg(k, ' ') from kv"), "A");
  EXPECT_EQ(one("@2 select string_agg(k, ' ') from kv"), "B");
  EXPECT_EQ(one("select string_agg(k, ' ') from kv"), "A") << "without a name the first server answers";
  EXPECT_EQ(committed(), (State{{"A", "100"}, {"B", "100"}}));
}

TEST_F(PairOfServers, StatementsOfASetUpGoToTheServersThatTheyName) {
  const std::vector<std::string> ddl{"create table everywhere (n int)", "@2 create table second (n int)"};
  ASSERT_TRUE(backend_->set_up({}, ddl).ok());
  EXPECT_EQ(one("@1 select count(*) from everywhere"), "0");
  EXPECT_EQ(one("@2 select count(*) from everywhere"), "0");
  EXPECT_EQ(one("@2 select count(*) from second"), "0");
  EXPECT_FALSE(backend_->query("@1 select count(*) from second").ok());
  EXPECT_EQ(one("@1 select count(*) from coordinator_log"), "0");
}

TEST_F(PairOfServers, ABranchBeginsWithTheFirstRequestForItsServer) {
  const std::string open =
      "select count(*) from pg_stat_activity where application_name = 'lockstep T1' and xact_start "
      "is not null and state like 'idle in transaction%'";
  begin(0);
  EXPECT_EQ(one("@1 " + open), "0");
  add(0, "B", 1);
  EXPECT_EQ(one("@1 " + open), "0");
  EXPECT_EQ(one("@2 " + open), "1");
  does(0, {.verb = Verb::commit});
  EXPECT_EQ(one("select count(*) from coordinator_log"), "0") << "one branch needs no vote";
  EXPECT_EQ(committed()[1].second, "101");
}

TEST_F(PairOfServers, TwoBranchesCommitInTwoPhases) {
  begin(0);
  add(0, "A", -30);
  add(0, "B", 30);
  EXPECT_EQ(
      session(0).statement_of({.verb = Verb::commit}),
      "@1 prepare transaction 'T1-1'; @2 prepare transaction 'T1-1'; @1 insert into coordinator_log (name) values "
      "('T1-1'); @1 commit prepared 'T1-1'; @2 commit prepared 'T1-1'");
  does(0, {.verb = Verb::commit});
  EXPECT_FALSE(session(0).in_transaction());
  EXPECT_EQ(committed(), (State{{"A", "70"}, {"B", "130"}}));
  EXPECT_EQ(one("select string_agg(name, ' ') from coordinator_log"), "T1-1");
  EXPECT_EQ(prepared_on(1) + prepared_on(2), "00");
}

TEST_F(PairOfServers, ABranchThatFailedTakesTheOtherOneWithIt) {
  begin(0);
  add(0, "A", -30);
  EXPECT_EQ(run(0, {.verb = Verb::insert, .key = "B", .value = "1"}).error->fault, Fault::constraint);
  const Pending commit = run(0, {.verb = Verb::commit});
  ASSERT_TRUE(commit.error);
  EXPECT_EQ(commit.error->fault, Fault::constraint);
  EXPECT_THAT(commit.error->message, HasSubstr("nothing was committed"));
  EXPECT_FALSE(session(0).in_transaction());
  EXPECT_EQ(committed(), (State{{"A", "100"}, {"B", "100"}}));
}

TEST_F(PairOfServers, ARollbackToASavepointMendsBothBranches) {
  begin(0);
  add(0, "A", -30);
  does(0, {.verb = Verb::savepoint, .key = "s"});
  EXPECT_TRUE(run(0, {.verb = Verb::insert, .key = "B", .value = "1"}).error);
  does(0, {.verb = Verb::rollback_to, .key = "s"});
  add(0, "B", 30);
  does(0, {.verb = Verb::commit});
  EXPECT_EQ(committed(), (State{{"A", "70"}, {"B", "130"}}));
}

const std::vector<std::string> kRefusesAtTheEnd{
    "@2 create table payee (id int primary key)",
    "@2 create table payment (payee int references payee deferrable initially deferred)"};

TEST_F(PairOfServers, AServerThatRefusesToPrepareUndoesTheOther) {
  ASSERT_TRUE(backend_->set_up({{"A", "100"}}, kRefusesAtTheEnd).ok());
  begin(0);
  add(0, "A", -30);
  sql(0, "@2 insert into payment values (7)");
  const Pending commit = run(0, {.verb = Verb::commit});
  ASSERT_TRUE(commit.error);
  EXPECT_EQ(commit.error->fault, Fault::constraint) << commit.error->message;
  EXPECT_THAT(commit.error->message, HasSubstr("server 2"));
  EXPECT_EQ(committed()[0].second, "100");
  EXPECT_EQ(prepared_on(1) + prepared_on(2), "00");
}

TEST_F(PairOfServers, CommittingInTurnLeavesHalfOfIt) {
  open({{"commit", "in-turn"}});
  ASSERT_TRUE(backend_->set_up({{"A", "100"}}, kRefusesAtTheEnd).ok());
  begin(0);
  add(0, "A", -30);
  sql(0, "@2 insert into payment values (7)");
  const Pending commit = run(0, {.verb = Verb::commit});
  ASSERT_TRUE(commit.error);
  EXPECT_EQ(commit.error->fault, Fault::outcome_unknown);
  EXPECT_THAT(commit.error->message, HasSubstr("server 1 has committed and server 2 has not"));
  EXPECT_EQ(committed()[0].second, "70");
}

TEST_F(PairOfServers, ADeadlockThatNoServerSeesIsNamedOnceDeadlockTimeoutHasPassed) {
  begin(0);
  begin(1);
  add(0, "A", 1);
  add(1, "B", 1);
  Call first(session(0), {.verb = Verb::add, .key = "B", .delta = 1});
  ASSERT_TRUE(first.blocks());
  Call second(session(1), {.verb = Verb::add, .key = "A", .delta = 1});
  const auto started = std::chrono::steady_clock::now();
  ASSERT_FALSE(second.attempt());
  ASSERT_TRUE(second.finish());
  const auto took = std::chrono::steady_clock::now() - started;
  EXPECT_EQ(second.fault(), Fault::deadlock) << "who closes the cycle is the victim";
  EXPECT_THAT(second.text(), HasSubstr("T1 waits for T2 on server 2, T2 waits for T1 on server 1"));
  EXPECT_GE(took, 45ms) << "not before deadlock_timeout";
  does(1, {.verb = Verb::abort});
  ASSERT_TRUE(first.finish());
  EXPECT_TRUE(first.ok()) << first.text();
  does(0, {.verb = Verb::commit});
  EXPECT_EQ(committed(), (State{{"A", "101"}, {"B", "101"}}));
}

TEST_F(PairOfServers, WithoutTheJointGraphOnlyATimeOutEndsIt) {
  open({{"joint-graph", "off"}});
  sql(0, "@2 set lock_timeout = '300ms'");
  begin(0);
  begin(1);
  add(0, "A", 1);
  add(1, "B", 1);
  Call first(session(0), {.verb = Verb::add, .key = "B", .delta = 1});
  ASSERT_TRUE(first.blocks());
  Call second(session(1), {.verb = Verb::add, .key = "A", .delta = 1});
  ASSERT_TRUE(second.blocks());
  ASSERT_TRUE(first.finish());
  EXPECT_EQ(first.fault(), Fault::lock_timeout);
  does(0, {.verb = Verb::abort});
  ASSERT_TRUE(second.finish());
  EXPECT_TRUE(second.ok()) << second.text();
}

TEST_F(PairOfServers, AWaitForAPreparedTransactionNamesWhoPreparedIt) {
  begin(0);
  add(0, "A", 1);
  sql(0, "@1 prepare transaction 'mine'");
  EXPECT_FALSE(session(0).in_transaction());
  begin(1);
  Call waits(session(1), {.verb = Verb::add, .key = "A", .delta = 1});
  ASSERT_TRUE(waits.blocks());
  const auto blockers = waits.blockers();
  ASSERT_EQ(blockers.size(), 1U);
  EXPECT_EQ(blockers[0].actor, 0);
  EXPECT_EQ(blockers[0].object, "A");
  EXPECT_THAT(blockers[0].what, HasSubstr("(prepared), on server 1"));
  sql(0, "@1 rollback prepared 'mine'");
  ASSERT_TRUE(waits.finish());
  EXPECT_TRUE(waits.ok()) << waits.text();
}

TEST_F(PairOfServers, RecoveryCommitsWhatTheLogHasAndRollsTheRestBack) {
  for (const char* name : {"decided", "undecided"}) {
    const std::string key = name == std::string("decided") ? "A" : "B";
    begin(0);
    add(0, key, 1);
    const std::string prepare = fmt::format("@{} prepare transaction '{}'", key == "A" ? 1 : 2, name);
    sql(0, prepare);
  }
  sql(0, "@1 insert into coordinator_log (name) values ('decided')");
  const auto dsn = [](postgres::PrivateCluster which) {
    return *postgres::Dsn::parse(*postgres::private_cluster_dsn(postgres::Durable::no, which));
  };
  const auto first = postgres::Monitor::open(dsn(postgres::PrivateCluster::first), 5s).value();
  const auto second = postgres::Monitor::open(dsn(postgres::PrivateCluster::second), 5s).value();
  const std::vector<postgres::Monitor*> monitors{first.get(), second.get()};
  const auto of_the_living = postgres_2::resolve_of_dead_runs(monitors, postgres::kLockClass);
  ASSERT_TRUE(of_the_living.ok()) << of_the_living.error().message;
  EXPECT_TRUE(of_the_living->empty()) << "the run lives";
  const auto resolved = postgres_2::resolve_prepared(monitors, environment("schema"));
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  ASSERT_EQ(resolved->size(), 2U);
  EXPECT_TRUE((*resolved)[0].committed);
  EXPECT_EQ((*resolved)[0].name, "decided");
  EXPECT_FALSE((*resolved)[1].committed);
  EXPECT_EQ(committed(), (State{{"A", "101"}, {"B", "100"}}));
  EXPECT_EQ(postgres_2::resolve_prepared(monitors, environment("schema"))->size(), 0U);
}

TEST_F(PairOfServers, WhatADeadRunHasPreparedIsEndedAtTheNextStart) {
  const std::string run = "lockstep_1_0badcafe";  // nobody holds its lock
  for (const int server : {1, 2}) {
    for (const char* statement : {"create schema {0}", "create table {0}.coordinator_log (name text primary key)",
                                  "create table {0}.kept (n int)", "insert into {0}.coordinator_log values ('yes')"}) {
      ASSERT_TRUE(backend_->query(fmt::format("@{} ", server) + fmt::format(fmt::runtime(statement), run)).ok());
    }
    for (const char* name : {"yes", "no"}) {
      ASSERT_TRUE(backend_->query(fmt::format("@{} begin", server)).ok());
      ASSERT_TRUE(backend_->query(fmt::format("@{} insert into {}.kept values (1)", server, run)).ok());
      ASSERT_TRUE(backend_->query(fmt::format("@{} prepare transaction '{}/{}'", server, run, name)).ok());
    }
  }
  EXPECT_EQ(prepared_on(1) + prepared_on(2), "22");
  const auto dsn = [](postgres::PrivateCluster which) {
    return *postgres::private_cluster_dsn(postgres::Durable::no, which);
  };
  open({}, dsn(postgres::PrivateCluster::first) + ";" + dsn(postgres::PrivateCluster::second));
  EXPECT_EQ(prepared_on(1) + prepared_on(2), "00");
  EXPECT_EQ(environment("recovered"), "4");
  EXPECT_EQ(one("select count(*) from pg_namespace where nspname = '" + run + "'"), "0") << "and then its schema goes";
}

TEST_F(PairOfServers, WhatARunLeavesPreparedIsGoneAtTheNextSetUp) {
  begin(0);
  add(0, "A", 1);
  add(0, "B", 1);
  sql(0, "@1 prepare transaction 'left'");
  sql(0, "@2 prepare transaction 'left'");
  sessions_.clear();
  ASSERT_TRUE(backend_->set_up({{"A", "5"}}, {}).ok());
  EXPECT_EQ(prepared_on(1) + prepared_on(2), "00");
  EXPECT_EQ(committed(), (State{{"A", "5"}}));
}

TEST_F(PairOfServers, AServerThatPreparesNothingIsRefusedInOneSentence) {
  postgres::ClusterOptions options;
  options.settings = {"max_prepared_transactions=0"};
  auto bare = postgres::start_private_cluster(options);
  ASSERT_TRUE(bare.ok()) << bare.error().message;
  BackendOptions with_bare;
  with_bare.protocol = "read-committed";
  with_bare.dsn = *postgres::private_cluster_dsn() + ";" + (*bare)->dsn();
  const auto opened = backend_postgres_2().open(with_bare);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.fault(), Fault::unavailable);
  EXPECT_THAT(opened.error().message,
              HasSubstr("server 2 cannot prepare transactions: max_prepared_transactions is 0"));
}

TEST_F(PairOfServers, OneDsnIsNotEnough) {
  BackendOptions options;
  options.protocol = "read-committed";
  options.dsn = "host=/nowhere";
  const auto opened = backend_postgres_2().open(options);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.fault(), Fault::invalid);
  EXPECT_THAT(opened.error().message, HasSubstr("two DSNs with a semicolon"));
}

}  // namespace
}  // namespace lockstep
