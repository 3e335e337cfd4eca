// redis_session_test.cc: what each protocol watches, what EXEC leaves, and the commands of a scenario's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/redis/commands.h"
#include "engine/stores/redis/connection.h"
#include "engine/stores/redis/server.h"
#include "tests/engine/stores/driver.h"

namespace lockstep {
BackendKind backend_redis();

namespace {

using redis::command_in;
using redis::RedisCommand;
using redis::RedisConnection;
using redis::RedisDsn;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class RedisSession : public testing::Test {
 protected:
  void open(const std::string& protocol, const std::string& dsn = {}) {
    const BackendKind kind = backend_redis();
    if (const auto here = kind.available(dsn); !here) GTEST_SKIP() << "skipped: " << here.error().message;
    BackendOptions options;
    options.protocol = protocol;
    options.dsn = dsn;
    options.clock = &clock_;
    auto opened = kind.open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    backend_ = std::move(*opened);
    const auto ready = backend_->set_up({{"A", "100"}, {"B", "200"}, {"C", "300"}}, {});
    ASSERT_TRUE(ready) << ready.error().message;
    for (int i = 0; i < 2; ++i) {
      auto session = backend_->open_session(i, "T" + std::to_string(i + 1));
      ASSERT_TRUE(session) << session.error().message;
      sessions_.push_back(std::move(*session));
    }
  }

  Pending run(int actor, const Request& request) {
    Call call(*sessions_[static_cast<std::size_t>(actor)], request);
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
  std::string read(int actor, std::string_view key) {
    return does(actor, {.verb = Verb::read, .key = key}).value.value_or("(none)");
  }
  void write(int actor, std::string_view key, std::string_view value) {
    does(actor, {.verb = Verb::write, .key = key, .value = value});
  }
  void commit(int actor) { does(actor, {.verb = Verb::commit}); }
  Reply own(int actor, std::string_view text) { return does(actor, {.verb = Verb::execute, .key = text}); }
  bool is_open(int actor) const { return sessions_[static_cast<std::size_t>(actor)]->in_transaction(); }
  State committed() {
    auto state = backend_->final_state();
    EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
    return state.ok() ? std::move(state).value() : State{};
  }
  std::string committed(std::string_view key) {
    for (const auto& [each, value] : committed()) {
      if (each == key) return value;
    }
    return "(none)";
  }

  RealClock clock_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

#define LOCKSTEP_OPEN_REDIS(...) \
  open(__VA_ARGS__);             \
  if (sessions_.size() < 2) return

TEST_F(RedisSession, ExecGivesNilWhereAKeyThatWasReadHasChanged) {
  LOCKSTEP_OPEN_REDIS("watch-reads");
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  write(0, "B", "1");
  begin(1);
  write(1, "A", "2");
  commit(1);
  const Error error = fails(0, {.verb = Verb::commit});
  EXPECT_EQ(error.fault, Fault::validation_failure);
  EXPECT_THAT(error.message, HasSubstr("A, B"));
  EXPECT_FALSE(is_open(0));
  EXPECT_EQ(committed("B"), "200") << "nothing of it was carried out";
}

TEST_F(RedisSession, ATransactionThatOnlyReadsIsValidatedToo) {
  LOCKSTEP_OPEN_REDIS("watch-reads");
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  begin(1);
  write(1, "A", "2");
  write(1, "B", "2");
  commit(1);
  EXPECT_EQ(read(0, "B"), "2") << "of two moments";
  EXPECT_EQ(fails(0, {.verb = Verb::commit}).fault, Fault::validation_failure);
}

TEST_F(RedisSession, AScanIsChangedByARowThatIsNew) {
  LOCKSTEP_OPEN_REDIS("watch-reads");
  begin(0);
  EXPECT_EQ(does(0, {.verb = Verb::scan, .key = "A", .upper = "C"}).rows, 2);
  begin(1);
  does(1, {.verb = Verb::insert, .key = "AA", .value = "1"});
  commit(1);
  write(0, "C", "2 rows");
  EXPECT_EQ(fails(0, {.verb = Verb::commit}).fault, Fault::validation_failure);
}

TEST_F(RedisSession, WatchingWritesLetsAReadChange) {
  LOCKSTEP_OPEN_REDIS("watch-writes");
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  write(0, "B", "1");
  begin(1);
  write(1, "A", "2");
  commit(1);
  commit(0);
  EXPECT_EQ(committed(), (State{{"A", "2"}, {"B", "1"}, {"C", "300"}}));
}

TEST_F(RedisSession, WatchingWritesStopsALostUpdateThoughTheWatchCameAfterTheRead) {
  LOCKSTEP_OPEN_REDIS("watch-writes");
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  begin(1);
  write(1, "A", "2");
  commit(1);
  const Error error = fails(0, {.verb = Verb::write, .key = "A", .value = "101"});
  EXPECT_EQ(error.fault, Fault::validation_failure);
  EXPECT_THAT(error.message, HasSubstr("A was 100 when it was read, and is 2 now"));
  EXPECT_FALSE(is_open(0)) << "it was given up";
  begin(0);
  EXPECT_EQ(read(0, "A"), "2");
  write(0, "A", "3");
  commit(0);
  EXPECT_EQ(committed("A"), "3");
}

TEST_F(RedisSession, WatchingWritesStopsALostUpdateOfWhatWasReadForUpdate) {
  LOCKSTEP_OPEN_REDIS("watch-writes");
  begin(0);
  does(0, {.verb = Verb::read_for_update, .key = "A"});
  begin(1);
  write(1, "A", "2");
  commit(1);
  write(0, "B", "1");
  EXPECT_EQ(fails(0, {.verb = Verb::commit}).fault, Fault::validation_failure);
}

TEST_F(RedisSession, WithoutWatchAnUpdateIsLostAndASumIsNot) {
  LOCKSTEP_OPEN_REDIS("multi");
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  EXPECT_EQ(does(0, {.verb = Verb::add, .key = "B", .delta = 1}).value, "201");
  begin(1);
  write(1, "A", "2");
  EXPECT_EQ(does(1, {.verb = Verb::add, .key = "B", .delta = 10}).value, "210");
  commit(1);
  write(0, "A", "101");
  commit(0);
  EXPECT_EQ(committed("A"), "101");
  EXPECT_EQ(committed("B"), "211") << "the server adds at EXEC";
}

TEST_F(RedisSession, WhatFailsInsideExecLeavesTheRestCarriedOut) {
  LOCKSTEP_OPEN_REDIS("multi");
  begin(0);
  write(0, "C", "1");
  does(0, {.verb = Verb::add, .key = "A", .delta = 1});
  own(1, "SET A word");
  const Error error = fails(0, {.verb = Verb::commit});
  EXPECT_EQ(error.fault, Fault::invalid);
  EXPECT_THAT(error.message, HasSubstr("Redis takes nothing back"));
  EXPECT_FALSE(is_open(0));
  EXPECT_EQ(committed("C"), "1");
  begin(0);
  does(0, {.verb = Verb::insert, .key = "N", .value = "mine"});
  own(1, "SET N yours");
  EXPECT_EQ(fails(0, {.verb = Verb::commit}).fault, Fault::constraint);
  EXPECT_EQ(committed("N"), "yours");
}

TEST_F(RedisSession, ScansFindWhatCommitsHaveMadeAndNotWhatTheyHaveErased) {
  LOCKSTEP_OPEN_REDIS("watch-reads");
  begin(0);
  write(0, "AB", "1");
  does(0, {.verb = Verb::erase, .key = "B"});
  commit(0);
  begin(1);
  EXPECT_EQ(does(1, {.verb = Verb::scan}).table, (Table{{"A", "100"}, {"AB", "1"}, {"C", "300"}}));
  EXPECT_EQ(does(1, {.verb = Verb::scan, .key = "AB", .limit = 1}).table, (Table{{"AB", "1"}}));
  commit(1);
}

TEST_F(RedisSession, CommandsOfTheScenariosOwnMakeATransactionByMultiAndExec) {
  LOCKSTEP_OPEN_REDIS("multi");
  EXPECT_EQ(own(0, "GET A").table, (Table{{"100"}}));
  EXPECT_EQ(own(0, "GET nothing").rows, 0);
  EXPECT_EQ(own(0, "SET lock T1 NX PX 60000").rows, 1);
  EXPECT_EQ(own(1, "SET lock T2 NX PX 60000").rows, 0) << "nil";
  own(0, "MULTI");
  EXPECT_TRUE(is_open(0));
  EXPECT_EQ(fails(0, {.verb = Verb::read, .key = "A"}).fault, Fault::invalid);
  own(0, "SET A '7 8'");
  EXPECT_EQ(own(0, "EXEC").rows, 1);
  EXPECT_FALSE(is_open(0));
  EXPECT_EQ(committed("A"), "7 8");
  own(0, "MULTI");
  own(0, "SET A 9");
  does(0, {.verb = Verb::abort});
  EXPECT_EQ(committed("A"), "7 8") << "DISCARD";
  EXPECT_EQ(own(0, "GET A").table, (Table{{"7 8"}}));
}

TEST_F(RedisSession, AWatchOfTheScenariosOwnStandsUntilItIsReset) {
  LOCKSTEP_OPEN_REDIS("multi");
  const auto a_change_is_seen = [&] {
    own(1, "SET A 1");
    own(0, "MULTI");
    own(0, "SET B 1");
    return run(0, {.verb = Verb::execute, .key = "EXEC"}).error.has_value();
  };
  own(0, "WATCH A");
  EXPECT_TRUE(sessions_[0]->holds_beyond_transaction());
  EXPECT_TRUE(a_change_is_seen());
  EXPECT_FALSE(sessions_[0]->holds_beyond_transaction());
  own(0, "WATCH A");
  does(0, {.verb = Verb::reset});
  EXPECT_FALSE(a_change_is_seen());
}

TEST_F(RedisSession, CommandsThatReachBeyondTheRunAreRefused) {
  LOCKSTEP_OPEN_REDIS("multi");
  for (const char* text : {"SELECT 1", "flushall", "SHUTDOWN", "BLPOP list 0", "XREAD BLOCK 0 STREAMS s 0", "MONITOR",
                           "CLIENT REPLY OFF", "CONFIG SET save x"}) {
    EXPECT_EQ(fails(0, {.verb = Verb::execute, .key = text}).fault, Fault::unsupported) << text;
  }
  EXPECT_EQ(fails(0, {.verb = Verb::execute, .key = "NOSUCH"}).fault, Fault::invalid);
  EXPECT_EQ(fails(0, {.verb = Verb::execute, .key = " "}).fault, Fault::invalid);
  begin(0);
  EXPECT_EQ(fails(0, {.verb = Verb::execute, .key = "GET A"}).fault, Fault::invalid) << "it would not be queued";
  does(0, {.verb = Verb::abort});
}

TEST_F(RedisSession, RunsHaveADatabaseEach) {
  LOCKSTEP_OPEN_REDIS("multi");
  const auto first = std::move(backend_);
  const auto its_sessions = std::move(sessions_);
  sessions_.clear();
  LOCKSTEP_OPEN_REDIS("multi");
  own(0, "SET A other");
  EXPECT_EQ((*first->final_state())[0].second, "100");
}

TEST(RedisOnANamedServer, TakesAnEmptyDatabaseAndLeavesItEmpty) {
  const BackendKind kind = backend_redis();
  if (const auto here = kind.available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const auto server = redis::start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  BackendOptions options;
  options.protocol = "multi";
  options.dsn = (*server)->dsn() + "?db=3";
  const auto parsed = RedisDsn::parse(options.dsn);
  ASSERT_TRUE(parsed);
  const auto connection = RedisConnection::open(*parsed, std::chrono::seconds(5));
  ASSERT_TRUE(connection) << connection.error().message;
  const auto keys = [&] { return (*connection)->ask({{"DBSIZE"}})->front().number; };
  {
    auto backend = kind.open(options);
    ASSERT_TRUE(backend) << backend.error().message;
    ASSERT_TRUE((*backend)->set_up({{"A", "1"}}, {}));
    EXPECT_EQ((*backend)->final_state().value(), (State{{"A", "1"}}));
    const auto second = kind.open(options);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.fault(), Fault::unavailable);
    EXPECT_THAT(second.error().message, HasSubstr("another run uses the database"));
    EXPECT_GT(keys(), 0);
  }
  EXPECT_EQ(keys(), 0);
  // As a run leaves it that was killed: the connection of that id is gone.
  ASSERT_TRUE((*connection)->ask({{"SET", "lockstep:owner", "some-server 999999"}, {"SET", "A", "left"}}));
  EXPECT_TRUE(kind.open(options));
  EXPECT_EQ(keys(), 0);
  ASSERT_TRUE((*connection)->ask({{"SET", "theirs", "1"}}));
  const auto full = kind.open(options);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.fault(), Fault::invalid);
  EXPECT_THAT(full.error().message, HasSubstr("holds 1 keys"));
  EXPECT_EQ(keys(), 1) << "what is not ours stays";
}

TEST(RedisOnANamedServer, WhoseProcessEndsIsLost) {
  const BackendKind kind = backend_redis();
  if (const auto here = kind.available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const auto server = redis::start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  BackendOptions options;
  options.protocol = "watch-reads";
  options.dsn = (*server)->dsn();
  auto backend = kind.open(options);
  ASSERT_TRUE(backend) << backend.error().message;
  ASSERT_TRUE((*backend)->set_up({{"A", "1"}}, {}));
  auto session = (*backend)->open_session(0, "T1");
  ASSERT_TRUE(session) << session.error().message;
  const auto run = [&](const Request& request) {
    Call call(**session, request);
    EXPECT_TRUE(call.finish());
    return call.pending.error ? std::optional(call.pending.error->fault) : std::nullopt;
  };
  EXPECT_EQ(run({.verb = Verb::begin}), std::nullopt);
  EXPECT_EQ(run({.verb = Verb::write, .key = "A", .value = "2"}), std::nullopt);
  // Stopped, it takes the commit and does not answer; then it dies.
  const int pid = (*server)->server_pid();
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  Call commit(**session, {.verb = Verb::commit});
  EXPECT_FALSE(commit.attempt());
  EXPECT_TRUE(commit.pending.waiting.external);
  EXPECT_TRUE(commit.blockers().empty());
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(commit.finish());
  EXPECT_EQ(commit.fault(), Fault::outcome_unknown);
  EXPECT_FALSE((*session)->in_transaction());
  EXPECT_EQ(run({.verb = Verb::begin}), Fault::unavailable);
  EXPECT_EQ(run({.verb = Verb::abort}), std::nullopt);
  EXPECT_EQ((*backend)->final_state().fault(), Fault::unavailable);
}

TEST(RedisOnANamedServer, ACancelledRequestEndsThoughTheServerStandsStill) {
  const BackendKind kind = backend_redis();
  if (const auto here = kind.available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const auto server = redis::start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  BackendOptions options;
  options.protocol = "watch-reads";
  options.dsn = (*server)->dsn();
  auto backend = kind.open(options);
  ASSERT_TRUE(backend) << backend.error().message;
  auto session = (*backend)->open_session(0, "T1");
  ASSERT_TRUE(session) << session.error().message;
  Call begun(**session, {.verb = Verb::begin});
  ASSERT_TRUE(begun.finish());
  const int pid = (*server)->server_pid();
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  Call read(**session, {.verb = Verb::read, .key = "A"});
  EXPECT_FALSE(read.attempt());
  EXPECT_TRUE(read.cancel(Fault::cancelled));
  EXPECT_EQ(read.fault(), Fault::cancelled);
  EXPECT_EQ(::kill(pid, SIGCONT), 0);
}

TEST(RedisCommands, AreTakenApartAsRedisCliDoes) {
  EXPECT_THAT(command_in("SET a 1").value(), ElementsAre("SET", "a", "1"));
  EXPECT_THAT(command_in(" SET  \"a b\"\t'c\\'d' ").value(), ElementsAre("SET", "a b", "c'd"));
  EXPECT_THAT(command_in(R"(SET a "\x41\n\"")").value(), ElementsAre("SET", "a", "A\n\""));
  EXPECT_THAT(command_in("SET a ''").value(), ElementsAre("SET", "a", ""));
  EXPECT_FALSE(command_in("SET a \"b"));
  EXPECT_FALSE(command_in(""));
  const RedisCommand command = {"SET", "a b", "\"\n\\", ""};
  EXPECT_EQ(redis::text_of(command), R"(SET "a b" "\"\n\\" "")");
  EXPECT_EQ(command_in(redis::text_of(command)).value(), command);
}

TEST(RedisDsns, AreTakenApart) {
  const auto dsn = RedisDsn::parse("redis://bob:s%2Fcret@db1:6380/7");
  ASSERT_TRUE(dsn) << dsn.error().message;
  EXPECT_EQ(dsn->host(), "db1");
  EXPECT_EQ(dsn->port(), 6380);
  EXPECT_EQ(dsn->user(), "bob");
  EXPECT_EQ(dsn->password(), "s/cret");
  EXPECT_EQ(dsn->database(), 7);
  EXPECT_EQ(dsn->without_password(), "redis://bob@db1:6380/7");
  EXPECT_EQ(RedisDsn::parse("redis://:secret@[::1]")->host(), "::1");
  EXPECT_EQ(RedisDsn::parse("redis://:secret@[::1]")->password(), "secret");
  const auto socket = RedisDsn::parse("unix:///run/redis/r.sock?db=2");
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->socket(), "/run/redis/r.sock");
  EXPECT_EQ(socket->without_password(), "unix:///run/redis/r.sock?db=2");
}

TEST(RedisDsns, ThatAreNoneAreSaidWithoutTheirText) {
  for (const char* text :
       {"", "x", "mysql://bob:secret@db1", "redis://bob:secret@db1:port", "redis://bob:secret@db1:0",
        "redis://bob:se%cret@db1", "redis://bob:secret@db1/zero", "unix://secret", "rediss://secret"}) {
    const auto dsn = RedisDsn::parse(text);
    ASSERT_FALSE(dsn) << text;
    EXPECT_EQ(dsn.fault(), Fault::invalid);
    EXPECT_THAT(dsn.error().message, testing::AllOf(HasSubstr("redis://"), Not(HasSubstr("secret"))));
  }
}

TEST(RedisOpen, SaysThatNoServerIsThere) {
  BackendOptions options;
  options.protocol = "multi";
  options.dsn = "unix:///nowhere/r.sock";
  const auto opened = backend_redis().open(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.fault(), Fault::unavailable);
  EXPECT_THAT(opened.error().message, HasSubstr("socket /nowhere/r.sock"));
}

TEST(RedisOpen, SaysThatAPrivateServerHasNoDisk) {
  BackendOptions options;
  options.protocol = "multi";
  options.durable = true;
  const auto opened = backend_redis().open(options);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.fault(), Fault::unsupported);
}

}  // namespace
}  // namespace lockstep
