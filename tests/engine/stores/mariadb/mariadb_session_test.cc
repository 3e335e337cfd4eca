// mariadb_session_test.cc: what each refusal of the server is called, and what of the transaction is left after it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/store/backend.h"
#include "tests/engine/stores/driver.h"

namespace lockstep {
BackendKind backend_mariadb();

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class MariadbSession : public testing::Test {
 protected:
  void open(const std::string& protocol, Nanos lock_timeout = kNever, Nanos statement_timeout = kNever) {
    const BackendKind kind = backend_mariadb();
    if (const auto here = kind.available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
    BackendOptions options;
    options.protocol = protocol;
    options.lock_timeout = lock_timeout;
    options.statement_timeout = statement_timeout;
    options.clock = &clock_;
    auto opened = kind.open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    backend_ = std::move(*opened);
    const auto ready = backend_->set_up({{"A", "100"}, {"B", "200"}, {"C", "300"}}, {});
    ASSERT_TRUE(ready) << ready.error().message;
    for (int i = 0; i < 3; ++i) {
      auto session = backend_->open_session(i, "T" + std::to_string(i + 1));
      ASSERT_TRUE(session) << session.error().message;
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
  Reply sql(int actor, std::string_view text) { return does(actor, {.verb = Verb::execute, .key = text}); }
  Error fails(int actor, const Request& request) {
    const Pending done = run(actor, request);
    EXPECT_TRUE(done.error) << name_of(request.verb) << " succeeds";
    return done.error.value_or(Error{});
  }
  void begin(int actor) { does(actor, {.verb = Verb::begin}); }
  void write(int actor, std::string_view key, std::string_view value) {
    does(actor, {.verb = Verb::write, .key = key, .value = value});
  }
  std::string committed(std::string_view key) {
    const auto state = backend_->final_state();
    EXPECT_TRUE(state);
    for (const auto& [each, value] : *state) {
      if (each == key) return value;
    }
    return "(none)";
  }

  RealClock clock_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

#define LOCKSTEP_OPEN(...) \
  open(__VA_ARGS__);       \
  if (sessions_.size() < 3) return

TEST_F(MariadbSession, DeadlockRollsTheWholeTransactionBack) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  begin(1);
  write(0, "A", "1");
  write(1, "B", "2");
  Call waits(session(0), {.verb = Verb::write, .key = "B", .value = "1"});
  ASSERT_TRUE(waits.blocks());
  const Error error = fails(1, {.verb = Verb::write, .key = "A", .value = "2"});
  EXPECT_EQ(error.fault, Fault::deadlock);
  EXPECT_EQ(error.code, "1213");
  EXPECT_FALSE(session(1).in_transaction());
  ASSERT_TRUE(waits.finish());
  EXPECT_TRUE(waits.ok());
  does(0, {.verb = Verb::commit});
  EXPECT_EQ(committed("B"), "1");
}

TEST_F(MariadbSession, NoWaitAndSkipLockedDoNotWait) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  write(0, "A", "1");
  begin(1);
  write(1, "C", "3");
  const Error error = fails(1, {.verb = Verb::execute, .key = "select v from kv where k = 'A' for update nowait"});
  EXPECT_EQ(error.fault, Fault::lock_timeout);
  EXPECT_EQ(error.code, "1205");
  EXPECT_TRUE(session(1).in_transaction()) << "the statement alone is undone";
  EXPECT_EQ(sql(1, "select k from kv order by k for update skip locked").table, (Table{{"B"}, {"C"}}));
  does(1, {.verb = Verb::commit});
  EXPECT_EQ(committed("C"), "3");
  does(0, {.verb = Verb::abort});
}

TEST_F(MariadbSession, LimitOnWaitsUndoesTheStatementAlone) {
  for (const Nanos limit : {Nanos(50ms), Nanos(1s)}) {  // the server's own limit counts whole seconds
    sessions_.clear();
    LOCKSTEP_OPEN("read-committed", limit);
    EXPECT_TRUE(session(0).has_limit());
    begin(0);
    write(0, "A", "1");
    begin(1);
    write(1, "C", "3");
    const Error error = fails(1, {.verb = Verb::add, .key = "A", .delta = 1});
    EXPECT_EQ(error.fault, Fault::lock_timeout) << error.message;
    EXPECT_EQ(error.code, limit == 50ms ? "1969" : "1205");
    EXPECT_TRUE(session(1).in_transaction());
    does(1, {.verb = Verb::commit});
    EXPECT_EQ(committed("C"), "3") << "what came before is kept";
    does(0, {.verb = Verb::abort});
  }
}

TEST_F(MariadbSession, LimitOnStatementsIsOne) {
  LOCKSTEP_OPEN("read-committed", kNever, 50ms);
  begin(0);
  const Error error = fails(0, {.verb = Verb::execute, .key = "select sleep(5) from kv"});
  EXPECT_EQ(error.fault, Fault::statement_timeout) << error.message;
  EXPECT_TRUE(session(0).in_transaction());
}

TEST_F(MariadbSession, SnapshotRefusesARowThatIsNewer) {
  for (const char* protocol : {"snapshot", "repeatable-read"}) {
    sessions_.clear();
    LOCKSTEP_OPEN(protocol);
    begin(0);
    does(0, {.verb = Verb::read, .key = "A"});
    sql(1, "update kv set v = '7' where k = 'A'");
    if (std::string_view(protocol) == "repeatable-read") {
      EXPECT_EQ(does(0, {.verb = Verb::add, .key = "A", .delta = 1}).value, "8")
          << "of the newest, not of the snapshot";
      continue;
    }
    const Error error = fails(0, {.verb = Verb::add, .key = "A", .delta = 1});
    EXPECT_EQ(error.fault, Fault::serialization_failure);
    EXPECT_EQ(error.code, "1020");
    EXPECT_FALSE(session(0).in_transaction());
  }
}

TEST_F(MariadbSession, DuplicateKeyLeavesTheTransactionOpen) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  write(0, "C", "3");
  const Error error = fails(0, {.verb = Verb::insert, .key = "A", .value = "1"});
  EXPECT_EQ(error.fault, Fault::constraint);
  EXPECT_EQ(error.code, "1062");
  does(0, {.verb = Verb::commit});
  EXPECT_EQ(committed("C"), "3");
}

TEST_F(MariadbSession, DeadlockOfNamedLocksLeavesTheTransactionOpen) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  begin(1);
  sql(0, "select get_lock('a', 10)");
  sql(1, "select get_lock('b', 10)");
  Call waits(session(0), {.verb = Verb::execute, .key = "select get_lock('b', 10)"});
  ASSERT_TRUE(waits.blocks());
  const auto blockers = waits.blockers();
  ASSERT_EQ(blockers.size(), 1u);
  EXPECT_EQ(blockers[0].actor, 1);
  EXPECT_EQ(blockers[0].object, "named lock b");
  const Error error = fails(1, {.verb = Verb::execute, .key = "select get_lock('a', 10)"});
  EXPECT_EQ(error.fault, Fault::deadlock);
  EXPECT_TRUE(session(1).in_transaction());
  does(1, {.verb = Verb::abort});
  EXPECT_TRUE(session(1).holds_beyond_transaction());
  does(1, {.verb = Verb::reset});
  EXPECT_FALSE(session(1).holds_beyond_transaction());
  ASSERT_TRUE(waits.finish());
  EXPECT_TRUE(waits.ok());
}

TEST_F(MariadbSession, WaitsForTheDefinitionOfATableAreSeen) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  does(0, {.verb = Verb::read, .key = "A"});
  Call alters(session(1), {.verb = Verb::execute, .key = "alter table kv add column n int"});
  ASSERT_TRUE(alters.blocks());
  Call reads(session(2), {.verb = Verb::execute, .key = "select k from kv"});
  ASSERT_TRUE(reads.blocks());
  EXPECT_EQ(alters.blockers().size(), 1u) << "not for the one that came later";
  EXPECT_EQ(alters.blockers()[0].actor, 0);
  EXPECT_EQ(reads.blockers().size(), 2u);
  does(0, {.verb = Verb::commit});
  ASSERT_TRUE(alters.finish());
  ASSERT_TRUE(reads.finish());
  EXPECT_TRUE(alters.ok() && reads.ok());
}

TEST_F(MariadbSession, WaitsAreSeenAsTheyBegin) {
  LOCKSTEP_OPEN("repeatable-read");
  // The tables of information_schema lag a tenth of a second behind, and never follow when they are asked at once. So
  // they would in every try; a machine that stalls does not.
  constexpr double kLagMs = 90.0;
  double least = std::numeric_limits<double>::infinity();
  for (int tries = 0; tries < 5 && least >= kLagMs; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(200ms);  // what such a table had kept is old by then
    begin(0);
    begin(1);
    write(0, "A", "1");
    Call waits(session(1), {.verb = Verb::write, .key = "A", .value = "2"});
    const auto since = std::chrono::steady_clock::now();
    ASSERT_TRUE(waits.blocks());
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - since;
    least = std::min(least, taken.count());
    const auto blockers = waits.blockers();
    ASSERT_EQ(blockers.size(), 1u);
    EXPECT_EQ(blockers[0].object, "A");
    EXPECT_EQ(blockers[0].lock, "X lock on row A of kv");
    does(0, {.verb = Verb::abort});
    ASSERT_TRUE(waits.finish());
    does(1, {.verb = Verb::abort});
  }
  RecordProperty("milliseconds", std::to_string(least));
  EXPECT_LT(least, kLagMs);
}

TEST_F(MariadbSession, DefinitionsCommitTheTransaction) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  write(0, "A", "1");
  sql(0, "create table other (n int)");
  EXPECT_FALSE(session(0).in_transaction());
  EXPECT_EQ(committed("A"), "1");
}

TEST_F(MariadbSession, SeveralStatementsGiveWhatEachGaveUpToTheFirstFailure) {
  LOCKSTEP_OPEN("repeatable-read");
  const Pending done = run(0, {.verb = Verb::execute, .key = "select 1 as one; select k from kv where k = 'A'; selec"});
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->fault, Fault::invalid);
  ASSERT_EQ(done.reply.results.size(), 3u);
  EXPECT_EQ(done.reply.results[0].columns, std::vector<std::string>{"one"});
  EXPECT_EQ(done.reply.results[1].rows, (Table{{"A"}}));
  EXPECT_TRUE(done.reply.results[2].error);
}

TEST_F(MariadbSession, LostConnectionTakesItsTransactionWithIt) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  write(0, "A", "1");
  const std::string id = sql(0, "select connection_id()").table[0][0].value_or("");
  ASSERT_TRUE(backend_->query("kill " + id).ok());
  // The server closes the connection a moment after it has answered the kill.
  Call read(session(0), {.verb = Verb::read, .key = "A"});
  ASSERT_TRUE(read.finish());
  EXPECT_EQ(read.fault(), Fault::unavailable);
  EXPECT_FALSE(session(0).in_transaction());
  EXPECT_EQ(fails(0, {.verb = Verb::begin}).fault, Fault::unavailable);
  EXPECT_EQ(committed("A"), "100");
}

TEST_F(MariadbSession, RunsAgainInAStateThatIsAsNew) {
  LOCKSTEP_OPEN("repeatable-read");
  begin(0);
  does(0, {.verb = Verb::insert, .key = "BB", .value = "1"});
  does(0, {.verb = Verb::commit});
  sessions_.clear();
  ASSERT_TRUE(backend_->set_up({{"A", "100"}, {"B", "200"}, {"C", "300"}}, {}).ok());
  const auto state = backend_->final_state();
  ASSERT_TRUE(state);
  EXPECT_EQ(*state, (State{{"A", "100"}, {"B", "200"}, {"C", "300"}}));
}

}  // namespace
}  // namespace lockstep
