// offloaded_session_test.cc: calls that block, made by helper threads: the loop goes on, no wake-up is lost, and what
// is given up ends. The first two tests hang together two calls of SQLite on one worker.
#include "engine/executors/offloaded_session.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "engine/actor/pause.h"
#include "engine/load/compare.h"
#include "engine/run/run.h"
#include "tests/engine/stores/driver.h"

namespace lockstep {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kLongEnough = std::chrono::seconds(20);

/// Two calls that are inside SQLite at the same time. `select rendezvous()` gives 1 in both, or 0 when the other has
/// not come for long.
class Rendezvous {
 public:
  static Rendezvous& only() {
    static Rendezvous rendezvous;
    return rendezvous;
  }
  void begin() {
    const std::lock_guard lock(mutex_);
    here_ = 0;
  }
  bool meet() {
    std::unique_lock lock(mutex_);
    ++here_;
    changed_.notify_all();
    return changed_.wait_for(lock, kLongEnough, [this] { return here_ >= 2; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int here_ = 0;
};

void rendezvous(sqlite3_context* context, int /*count*/, sqlite3_value** /*arguments*/) {
  sqlite3_result_int(context, Rendezvous::only().meet() ? 1 : 0);
}

int add_rendezvous(sqlite3* connection, char** /*error*/, const void* /*api*/) {
  return sqlite3_create_function(connection, "rendezvous", 0, SQLITE_UTF8, nullptr, rendezvous, nullptr, nullptr);
}

/// While it lives every new connection of SQLite knows rendezvous().
class Introduced {
 public:
  Introduced() {
    Rendezvous::only().begin();
    sqlite3_auto_extension(entry());
  }
  ~Introduced() { sqlite3_cancel_auto_extension(entry()); }
  Introduced(const Introduced&) = delete;
  Introduced& operator=(const Introduced&) = delete;

 private:
  static void (*entry())() { return reinterpret_cast<void (*)()>(&add_rendezvous); }
};

std::atomic<int> met{0};

Task<> meets_the_other(Context& c) {
  const Table table = co_await c.db.execute("select rendezvous()");
  met += table.at(0).at(0) == "1" ? 1 : 0;
}

Task<> meets_under_load(Context& c) {
  const Table table = co_await c.db.execute("select rendezvous()");
  c.acknowledged[0] += table.at(0).at(0) == "1" ? 1 : 0;
}

TEST(OffloadedSession, TwoActorsOnOneWorkerAreInSqliteAtOnce) {
  const Introduced introduced;
  met = 0;
  const Scenario made = scenario("meeting")
                            .pattern("plain", "")
                            .actor("T1", meets_the_other)
                            .actor("T2", meets_the_other)
                            .expect("sqlite", "*: clean");
  const auto result = run(
      made, {.store = "sqlite", .executor = "coroutines", .schedule = "free", .limit = kLongEnough * 4, .workers = 1});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->verdict, record::Verdict::clean);
  EXPECT_EQ(met, 2);
  EXPECT_THAT(result->environment.at("sqlite.calls"), HasSubstr("helper threads"));
  for (const record::Event& event : result->events) {
    EXPECT_NE(event.kind, record::EventKind::wait) << "a call that is made elsewhere is no wait for anybody";
    EXPECT_THAT(event.detail, testing::Not(HasSubstr("asleep in a call that blocks")))
        << "nobody keeps the worker's thread";
  }
}

Scenario load_of_two() {
  return scenario("a meeting")
      .rows(1, [](const Shape& shape) { return numbered("n/", shape.rows, "0"); })
      .pattern("meet", "both are there")
      .session(meets_under_load)
      .holds("both were there",
             [](const Final& end) { return end.count(0) == 2 ? std::string() : fmt::format("{} were", end.count(0)); });
}

load::RoundRequest on_one_worker(std::string store, std::string executor) {
  load::RoundRequest request;
  request.store = std::move(store);
  request.executor = std::move(executor);
  request.sessions = 2;
  request.workers = 1;
  request.warmup = Nanos(0);
  request.measured = kLongEnough * 4;
  request.commits_most = 1;
  return request;
}

TEST(OffloadedSession, TwoSessionsOfALoadOnOneWorkerAreInSqliteAtOnceAndTheComparisonSaysSo) {
  const Introduced introduced;
  load::CompareRequest request;
  request.round = on_one_worker("sqlite", "");
  request.executors = {"coroutines"};
  request.strategies = {"meet"};
  request.sessions = {2};
  request.rounds = 1;
  request.history_percent = 0;
  const auto compared = load::compare(load_of_two(), request, nullptr, {});
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  const record::Comparison& comparison = compared->comparison;
  EXPECT_THAT(comparison.groups.front().strategies.front().broken, IsEmpty());
  EXPECT_EQ(comparison.groups.front().helpers, 16);
  EXPECT_THAT(comparison.notes,
              Contains("SQLite's calls block: under coroutines they run on at most 16 helper threads"));
  const auto again = record::comparison_of(record::to_json(comparison));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->groups.front().helpers, 16);
}

Task<> adds_under_load(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("n/0000000", 1);
  co_await c.db.commit();
  ++c.acknowledged[0];
}

TEST(OffloadedSession, EverybodyGetsThroughASqliteThatIsBusy) {
  const Scenario counter = scenario("a counter")
                               .rows(1, [](const Shape& shape) { return numbered("n/", shape.rows, "0"); })
                               .pattern("add", "adds one")
                               .session(adds_under_load)
                               .holds("what is acknowledged is there", [](const Final& end) {
                                 return end.total() == end.count(0) && end.count(0) == 8 * 25
                                            ? std::string()
                                            : fmt::format("{} of 200", end.count(0));
                               });
  for (const char* protocol : {"immediate", "exclusive", "immediate-wal"}) {
    SCOPED_TRACE(protocol);
    load::RoundRequest request = on_one_worker("sqlite", "coroutines");
    request.protocol = protocol;
    request.pattern = "add";
    request.sessions = 8;
    request.workers = 2;
    request.commits_most = 25;
    const auto result = load::run_round(counter, request, nullptr);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_THAT(result->broken, IsEmpty());
    EXPECT_GT(result->waits, 0u) << "eight sessions that write have met";
    EXPECT_EQ(result->helpers, 16);
  }
}

TEST(OffloadedSession, OnlyCallsThatBlockAreMadeElsewhere) {
  for (const auto& [store, executor] : {std::pair("sqlite", "threads"), std::pair("kv", "coroutines")}) {
    load::RoundRequest request = on_one_worker(store, executor);
    request.protocol = backend_named(store)->protocols.front().name;
    request.pattern = "nothing";
    const Scenario idle = scenario("idle")
                              .rows(1, [](const Shape&) { return State{}; })
                              .pattern("nothing", "")
                              .session(+[](Context&) -> Task<> { co_return; });
    const auto result = load::run_round(idle, request, nullptr);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->helpers, 0) << store << " on " << executor;
  }
}

Task<> holds_it_for_long(Context& c) {
  co_await c.db.begin();
  co_await pause(std::chrono::hours(1));
  co_await c.db.commit();
}

TEST(OffloadedSession, ARunThatIsTooLongEndsInTheMiddleOfABusyWait) {
  const Scenario made = scenario("keeps the store")
                            .pattern("plain", "")
                            .actor("T1", holds_it_for_long)
                            .actor("T2", holds_it_for_long)
                            .expect("sqlite", "immediate: clean");
  const auto result = run(made, {.store = "sqlite",
                                 .protocol = "immediate",
                                 .executor = "coroutines",
                                 .schedule = "free",
                                 .limit = std::chrono::seconds(2),
                                 .lock_timeout = std::chrono::hours(1),
                                 .workers = 1});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->verdict, record::Verdict::hung);
  const auto waits = std::count_if(result->events.begin(), result->events.end(),
                                   [](const record::Event& e) { return e.kind == record::EventKind::wait; });
  EXPECT_GE(waits, 1) << "one of the two waits for the other";
}

// -- the session by itself, over one that does as it is told --

/// Its attempts wait until the test answers them.
class ToldSession final : public Session {
 public:
  enum class Answer { done, queued, queued_and_woken };

  bool attempt(Pending& pending, Waiter& waiter) override {
    std::unique_lock lock(mutex_);
    ++begun;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !answers_.empty(); });
    const Answer answer = answers_.front();
    answers_.pop_front();
    if (cancelled) {
      pending.error = Error{*cancelled, {}, {}};
      return true;
    }
    if (answer == Answer::done) {
      pending.reply.value = "done";
      return true;
    }
    pending.waiting = {.deadline = Nanos(77), .deadline_fault = Fault::busy};
    waiter_ = &waiter;
    if (answer == Answer::queued_and_woken) waiter.wake();
    return false;
  }
  void cancel(Pending& /*pending*/, Fault why) override {
    const std::lock_guard lock(mutex_);
    cancelled = why;
  }
  std::vector<Blocker> blockers(const Pending& /*pending*/) override {
    return {{.actor = 1, .object = "file", .what = "lock"}};
  }
  bool in_transaction() const noexcept override { return false; }

  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(answer);
    changed_.notify_all();
  }
  void wait_for_attempt(int number) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLongEnough, [&] { return begun >= number; }));
  }
  void grant() { waiter_->wake(); }

  int begun = 0;
  std::optional<Fault> cancelled;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Answer> answers_;
  Waiter* waiter_ = nullptr;
};

class OffloadedSessionByItself : public testing::Test {
 protected:
  bool attempt() { return session_->attempt(pending_, waiter_); }
  void await_wake(int number) { EXPECT_TRUE(waiter_.wait_beyond(number - 1, kLongEnough)); }

  std::unique_ptr<ToldSession> told_owned_ = std::make_unique<ToldSession>();
  ToldSession& told_ = *told_owned_;
  CountingWaiter waiter_;
  Pending pending_{};
  std::unique_ptr<Session> session_ = make_offloaded_session(std::move(told_owned_));
};

TEST_F(OffloadedSessionByItself, AnAttemptReturnsWhileTheCallIsMade) {
  EXPECT_FALSE(attempt());
  told_.wait_for_attempt(1);
  EXPECT_TRUE(pending_.waiting.external);
  EXPECT_EQ(pending_.waiting.deadline, kNever);
  EXPECT_THAT(session_->blockers(pending_), IsEmpty());
  EXPECT_FALSE(attempt()) << "still out";
  EXPECT_EQ(waiter_.wakes(), 0);
  told_.answer(ToldSession::Answer::done);
  await_wake(1);
  EXPECT_TRUE(attempt());
  EXPECT_EQ(pending_.reply.value, "done");
  EXPECT_EQ(told_.begun, 1);
}

TEST_F(OffloadedSessionByItself, WhatTheStoreQueuesWaitsAndIsWoken) {
  EXPECT_FALSE(attempt());
  told_.answer(ToldSession::Answer::queued);
  await_wake(1);
  EXPECT_FALSE(attempt());
  EXPECT_FALSE(pending_.waiting.external);
  EXPECT_EQ(pending_.waiting.deadline, Nanos(77));
  EXPECT_EQ(session_->blockers(pending_).size(), 1u);
  told_.grant();
  await_wake(2);
  EXPECT_FALSE(attempt()) << "it goes out again";
  told_.answer(ToldSession::Answer::done);
  await_wake(3);
  EXPECT_TRUE(attempt());
  EXPECT_EQ(told_.begun, 2);
}

TEST_F(OffloadedSessionByItself, AWakeUpBeforeItIsBackIsNotLost) {
  EXPECT_FALSE(attempt());
  told_.answer(ToldSession::Answer::queued_and_woken);
  await_wake(1);
  EXPECT_FALSE(attempt());
  told_.wait_for_attempt(2);
  told_.answer(ToldSession::Answer::done);
  await_wake(2);
  EXPECT_TRUE(attempt());
}

TEST_F(OffloadedSessionByItself, WhatIsGivenUpWhileItIsOutEndsWithTheAnswerThatCameFirst) {
  EXPECT_FALSE(attempt());
  told_.wait_for_attempt(1);
  session_->cancel(pending_, Fault::cancelled);
  EXPECT_FALSE(attempt());
  told_.answer(ToldSession::Answer::done);
  await_wake(1);
  EXPECT_TRUE(attempt());
  EXPECT_FALSE(pending_.error.has_value());
  EXPECT_FALSE(told_.cancelled.has_value());
}

TEST_F(OffloadedSessionByItself, WhatIsGivenUpLeavesTheQueueOfTheStore) {
  for (const bool while_out : {true, false}) {
    SCOPED_TRACE(while_out ? "while it is out" : "while it waits in the store");
    told_.cancelled.reset();
    const int before = waiter_.wakes(), begun = told_.begun;
    pending_ = {};
    EXPECT_FALSE(attempt());
    told_.wait_for_attempt(begun + 1);
    if (while_out) session_->cancel(pending_, Fault::hung);
    told_.answer(ToldSession::Answer::queued);
    await_wake(before + 1);
    if (!while_out) {
      EXPECT_FALSE(attempt());
      session_->cancel(pending_, Fault::hung);
    }
    EXPECT_FALSE(attempt()) << "the store is told, and asked once more";
    told_.answer(ToldSession::Answer::done);
    await_wake(before + 2);
    EXPECT_TRUE(attempt());
    ASSERT_TRUE(pending_.error.has_value());
    EXPECT_EQ(pending_.error->fault, Fault::hung);
  }
}

}  // namespace
}  // namespace lockstep
