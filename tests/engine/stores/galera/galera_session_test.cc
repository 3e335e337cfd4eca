// galera_session_test.cc: what a conflict of nodes is called and what a deadlock, what is left of the transaction, and
// what the other nodes show after a commit. The tests of a process share one cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/store/backend.h"
#include "tests/engine/stores/driver.h"
#include "tests/engine/stores/eventually.h"

namespace lockstep {
BackendKind backend_galera();

namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kActors = 6;  // two on each node

class GaleraSession : public testing::Test {
 protected:
  void open(const std::string& protocol) {
    const BackendKind kind = backend_galera();
    if (const auto here = kind.available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
    BackendOptions options;
    options.protocol = protocol;
    options.clock = &clock_;
    auto opened = kind.open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    backend_ = std::move(*opened);
    const auto ready = backend_->set_up({{"A", "100"}, {"B", "200"}}, {});
    ASSERT_TRUE(ready) << ready.error().message;
    for (int i = 0; i < kActors; ++i) {
      auto session = backend_->open_session(i, "T" + std::to_string(i + 1));
      ASSERT_TRUE(session) << session.error().message;
      (void)(*session)->arrival();  // one session works at a time, as under a schedule
      sessions_.push_back(std::move(*session));
    }
  }

  Session& session(int actor) { return *sessions_[static_cast<std::size_t>(actor)]; }

  Pending run(int actor, const Request& request) {
    Call call(session(actor), request);
    EXPECT_TRUE(call.finish()) << name_of(request.verb) << " never ends";
    return std::move(call.pending);
  }
  Reply does(int actor, const Request& request) {
    Pending done = run(actor, request);
    EXPECT_FALSE(done.error) << done.error->message;
    return std::move(done.reply);
  }
  Error fails(int actor, const Request& request) {
    const Pending done = run(actor, request);
    EXPECT_TRUE(done.error) << name_of(request.verb) << " succeeds";
    return done.error.value_or(Error{});
  }
  void begin(int actor) { does(actor, {.verb = Verb::begin}); }
  void commit(int actor) { does(actor, {.verb = Verb::commit}); }
  void write(int actor, std::string_view key, std::string_view value) {
    does(actor, {.verb = Verb::write, .key = key, .value = value});
  }
  std::string read(int actor, std::string_view key) {
    begin(actor);
    const std::string value = does(actor, {.verb = Verb::read, .key = key}).value.value_or("(none)");
    commit(actor);
    return value;
  }
  State committed() {
    auto state = backend_->final_state();
    EXPECT_TRUE(state) << state.error().message;
    return state ? std::move(*state) : State{};
  }
  /// Actors 0 and 1, on two nodes, have written A; that of 0 is committed.
  void let_first_win(std::string_view value = "1") {
    begin(0);
    begin(1);
    write(0, "A", value);
    write(1, "A", "2");
    commit(0);
  }
  /// Actors 0 and 3, on one node, lock crosswise. Gives what 3 is told.
  Error let_deadlock() {
    begin(0);
    begin(3);
    write(0, "A", "1");
    write(3, "B", "2");
    Call waits(session(0), {.verb = Verb::write, .key = "B", .value = "1"});
    EXPECT_TRUE(waits.blocks());
    const Error error = fails(3, {.verb = Verb::write, .key = "A", .value = "2"});
    EXPECT_TRUE(waits.finish());
    commit(0);
    return error;
  }

  RealClock clock_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

#define LOCKSTEP_OPEN(...) \
  open(__VA_ARGS__);       \
  if (sessions_.size() < kActors) return

TEST_F(GaleraSession, ConflictOfNodesIsNoDeadlock) {
  LOCKSTEP_OPEN("repeatable-read");
  let_first_win();
  const Error error = fails(1, {.verb = Verb::commit});
  EXPECT_EQ(error.fault, Fault::certification_failure);
  EXPECT_EQ(error.code, "1213");
  EXPECT_THAT(error.message, AllOf(HasSubstr("on n2"), HasSubstr("goes first")));
  EXPECT_FALSE(session(1).in_transaction());
  EXPECT_EQ(read(2, "A"), "1");
}

TEST_F(GaleraSession, ConflictIsToldAtTheNextRequestWhateverItIs) {
  LOCKSTEP_OPEN("repeatable-read");
  let_first_win();
  EXPECT_EQ(fails(1, {.verb = Verb::read, .key = "B"}).fault, Fault::certification_failure);
  EXPECT_FALSE(session(1).in_transaction());
  let_first_win("3");  // another one: what changes nothing is no conflict
  EXPECT_EQ(fails(1, {.verb = Verb::execute, .key = "select 1"}).fault, Fault::certification_failure);
  EXPECT_FALSE(session(1).in_transaction());
}

TEST_F(GaleraSession, RollbackOfWhatTheClusterHasUndoneSucceeds) {
  LOCKSTEP_OPEN("repeatable-read");
  let_first_win();
  does(1, {.verb = Verb::abort});
  EXPECT_FALSE(session(1).in_transaction());
  EXPECT_EQ(read(1, "A"), "1");
}

TEST_F(GaleraSession, DeadlockOnOneNodeIsOne) {
  LOCKSTEP_OPEN("repeatable-read");
  EXPECT_EQ(let_deadlock().fault, Fault::deadlock);
  EXPECT_FALSE(session(3).in_transaction());
}

TEST_F(GaleraSession, ConflictAfterADeadlockIsStillNone) {
  LOCKSTEP_OPEN("repeatable-read");
  // The story of actor 3's deadlock is the latest that its node can tell.
  EXPECT_EQ(let_deadlock().fault, Fault::deadlock);
  begin(3);
  begin(1);
  write(3, "A", "3");
  write(1, "A", "4");
  commit(1);
  EXPECT_EQ(fails(3, {.verb = Verb::read, .key = "B"}).fault, Fault::certification_failure);
  EXPECT_EQ(let_deadlock().fault, Fault::deadlock) << "the next one is told again";
}

TEST_F(GaleraSession, WhatIsCommittedUnderAScheduleIsSeenOnEveryNode) {
  LOCKSTEP_OPEN("repeatable-read");
  for (int i = 0; i < 60; ++i) {
    const int writer = i % 3;
    const std::string value = std::to_string(i);
    begin(writer);
    write(writer, "A", value);
    commit(writer);
    for (const int reader : {3, 4, 5}) ASSERT_EQ(read(reader, "A"), value) << "node " << reader % 3 + 1;
    const std::string statement = "update kv set v = '" + value + "' where k = 'B'";
    EXPECT_TRUE(does(writer, {.verb = Verb::execute, .key = statement}).autocommitted);
    for (const int reader : {3, 4, 5}) ASSERT_EQ(read(reader, "B"), value) << "node " << reader % 3 + 1;
  }
}

TEST_F(GaleraSession, CommitThatIsUnderWayWaitsForNobody) {
  LOCKSTEP_OPEN("repeatable-read");
  const std::vector<int> servers = backend_->server_processes();
  ASSERT_EQ(servers.size(), 3U);
  begin(0);
  write(0, "A", "1");
  // Without the third node nothing is delivered.
  ASSERT_EQ(::kill(servers[2], SIGSTOP), 0);
  Call commit(session(0), {.verb = Verb::commit});
  EXPECT_FALSE(commit.attempt());
  EXPECT_TRUE(session(0).blockers(commit.pending).empty());
  EXPECT_FALSE(session(0).arrival().complete);
  ASSERT_EQ(::kill(servers[2], SIGCONT), 0);
  EXPECT_TRUE(commit.finish());
  EXPECT_TRUE(commit.ok());
  EXPECT_EQ(read(1, "A"), "1");
}

TEST_F(GaleraSession, NodeThatTakesNoStatementsIsUnavailable) {
  LOCKSTEP_OPEN("repeatable-read");
  does(2, {.verb = Verb::execute, .key = "set global wsrep_reject_queries = 'all'"});
  begin(1);
  const Error error = fails(2, {.verb = Verb::execute, .key = "select v from kv"});
  does(5, {.verb = Verb::execute, .key = "set global wsrep_reject_queries = 'none'"});
  EXPECT_EQ(error.fault, Fault::unavailable);
  EXPECT_EQ(error.code, "1047");
  commit(1);
}

TEST_F(GaleraSession, SerializableLetsAReaderGoWhenItsRowChanges) {
  LOCKSTEP_OPEN("serializable");
  begin(1);
  EXPECT_EQ(does(1, {.verb = Verb::read, .key = "A"}).value, "100");
  begin(0);
  write(0, "A", "1");
  commit(0);
  EXPECT_EQ(fails(1, {.verb = Verb::commit}).fault, Fault::certification_failure);
}

TEST_F(GaleraSession, DefinitionsEndTheTransactionsOfOtherNodes) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(1);
  write(1, "A", "2");
  does(0, {.verb = Verb::execute, .key = "alter table kv add column w int"});
  EXPECT_EQ(fails(1, {.verb = Verb::commit}).fault, Fault::certification_failure);
}

TEST_F(GaleraSession, CommitsThatAreUnderWayPassEachOtherByAtSerializable) {
  LOCKSTEP_OPEN("serializable");
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(backend_->set_up({{"A", "on"}, {"B", "on"}}, {}));
    begin(0);
    begin(1);
    EXPECT_EQ(does(0, {.verb = Verb::read, .key = "B"}).value, "on");
    EXPECT_EQ(does(1, {.verb = Verb::read, .key = "A"}).value, "on");
    write(0, "A", "off");
    write(1, "B", "off");
    for (const int actor : {0, 1}) does(actor, {.verb = Verb::execute, .key = "send commit"});
    EXPECT_TRUE(session(0).in_transaction());
    EXPECT_EQ(fails(0, {.verb = Verb::read, .key = "A"}).fault, Fault::invalid) << "only its answer is left";
    for (const int actor : {1, 0}) commit(actor);
    EXPECT_EQ(committed(), (State{{"A", "off"}, {"B", "off"}}));
  }
}

TEST_F(GaleraSession, OfCommitsOfOneRowThatAreUnderWayOneGoesThrough) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  begin(1);
  write(0, "A", "1");
  write(1, "A", "2");
  for (const int actor : {0, 1}) does(actor, {.verb = Verb::execute, .key = "send commit"});
  int refused = 0;
  for (const int actor : {0, 1}) {
    const Pending done = run(actor, {.verb = Verb::commit});
    if (!done.error) continue;
    ++refused;
    EXPECT_EQ(done.error->fault, Fault::certification_failure);
  }
  EXPECT_EQ(refused, 1);
}

TEST_F(GaleraSession, CommitThatIsHeldGoesOnWithTheNextOne) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  write(0, "A", "1");
  does(0, {.verb = Verb::execute, .key = "send commit"});
  EXPECT_EQ(read(3, "B"), "200") << "a commit of its own node's";
  does(1, {.verb = Verb::execute, .key = "update kv set v = '2' where k = 'B'"});
  commit(0);
  EXPECT_EQ(committed(), (State{{"A", "1"}, {"B", "2"}}));
  // A session that goes with its commit on the way leaves nobody standing.
  begin(0);
  write(0, "A", "5");
  does(0, {.verb = Verb::execute, .key = "send commit"});
  sessions_.front().reset();
  EXPECT_EQ(read(1, "B"), "2");
}

TEST_F(GaleraSession, MinorityThatIsCutOffTakesNoStatementsAndComesBack) {
  LOCKSTEP_OPEN("repeatable-read");
  const Request look{.verb = Verb::execute, .key = "select v from kv where k = 'A'"};
  begin(2);
  write(2, "B", "cut off");
  does(5, {.verb = Verb::execute, .key = "set global wsrep_provider_options = 'gmcast.isolate = 1'"});
  EXPECT_TRUE(testing_support::eventually([&] {
    const Pending done = run(5, look);
    return done.error && done.error->fault == Fault::unavailable && done.error->code == "1047";
  })) << "a read, too";
  EXPECT_THAT(fails(2, {.verb = Verb::commit}).fault, testing::AnyOf(Fault::unavailable, Fault::outcome_unknown));
  EXPECT_FALSE(session(2).in_transaction());
  begin(0);
  write(0, "A", "1");
  commit(0);
  EXPECT_EQ(read(1, "A"), "1") << "the majority goes on";
  does(5, {.verb = Verb::execute, .key = "set global wsrep_provider_options = 'gmcast.isolate = 0'"});
  EXPECT_TRUE(testing_support::eventually([&] {
    const Pending done = run(5, look);
    return !done.error && done.reply.table == Table{{"1"}};
  })) << "and gets what it has missed";
  EXPECT_EQ(read(1, "B"), "200") << "what was not acknowledged is not there";
}

/// What an actor was told of its additions to a row of its own.
struct Told {
  std::int64_t acknowledged = 0, unknown = 0;
  Fault ended_by = Fault::internal;  ///< of an actor whose node has gone
};

/// Adds until `enough` or until its node has gone.
void add_until(Session& session, const std::string& row, const std::function<bool()>& enough, Told& told,
               std::atomic<int>& all) {
  while (!enough()) {
    for (const Request& request :
         {Request{.verb = Verb::begin}, {.verb = Verb::add, .key = row, .delta = 1}, {.verb = Verb::commit}}) {
      Call call(session, request);
      ASSERT_TRUE(call.finish(nullptr, std::chrono::seconds(60)));
      if (!call.pending.error) continue;
      told.unknown += call.pending.error->fault == Fault::outcome_unknown ? 1 : 0;
      told.ended_by = call.pending.error->fault;
      return;
    }
    ++told.acknowledged;
    ++all;
  }
}

TEST_F(GaleraSession, NodeThatIsKilledLosesNoCommitThatWasAcknowledged) {
  LOCKSTEP_OPEN("repeatable-read");
  constexpr int kBefore = 120, kAfter = 20;
  State rows;
  for (int i = 0; i < kActors; ++i) rows.emplace_back("row/" + std::to_string(i), "0");
  ASSERT_TRUE(backend_->set_up(rows, {}));
  std::vector<Told> told(kActors);
  std::atomic<int> all{0};
  std::atomic<int> at_kill{-1};
  const auto enough = [&] { return at_kill >= 0 && all - at_kill >= kAfter; };
  std::vector<std::thread> threads;
  for (int i = 0; i < kActors; ++i) {
    threads.emplace_back([&, i] { add_until(session(i), rows[i].first, enough, told[i], all); });
  }
  EXPECT_TRUE(testing_support::eventually([&] { return all >= kBefore; }));
  ::kill(backend_->server_processes()[2], SIGKILL);
  at_kill = all.load();
  for (std::thread& each : threads) each.join();

  const auto state = backend_->final_state();
  ASSERT_TRUE(state) << state.error().message;
  for (int i = 0; i < kActors; ++i) {
    const std::int64_t there = std::stoll((*state)[i].second);
    EXPECT_GE(there, told[i].acknowledged) << rows[i].first;
    EXPECT_LE(there, told[i].acknowledged + told[i].unknown) << rows[i].first;
    if (i % 3 != 2) {
      EXPECT_EQ(told[i].ended_by, Fault::internal) << "its node lives";
    } else {
      EXPECT_TRUE(told[i].ended_by == Fault::unavailable || told[i].ended_by == Fault::outcome_unknown);
    }
  }
  sessions_.clear();
}

}  // namespace
}  // namespace lockstep
