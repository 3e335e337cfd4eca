// runtime_test.cc: tasks on loops: order, fairness, cancellation, structure, and what leaves a loop.
#include "engine/runtime/runtime.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace lockstep::runtime {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::HasSubstr;
using Notes = std::vector<std::string>;

/// Notes when it goes out of scope: that a frame was unwound.
struct Leaves {
  Notes* notes;
  std::string text;
  ~Leaves() { notes->push_back(text); }
};

Task<int> number(int n) { co_return n; }

Task<int> later(int n) {
  co_await yield();
  co_return n;
}

Task<> refuse_later() {
  co_await yield();
  co_await fail(Fault::refused, "nothing left");
}

Task<> sleep_long(Notes* notes, std::string name) {
  const Leaves leaves{notes, name};
  co_await sleep_for(hours(1));
  notes->push_back("never");
}

TEST(Runtime, GivesTheValueOrTheFaultOfItsRoot) {
  EXPECT_EQ(*run(number(7)), 7);
  EXPECT_EQ(*run(later(8)), 8);
  const Result<void> refused = run(refuse_later());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "nothing left");
}

Task<int> sum_without_waiting(int times) {
  AsyncMutex mutex;
  Channel<int> channel(1);
  int sum = 0;
  for (int i = 0; i < times; ++i) {
    const AsyncMutex::Guard guard = co_await mutex.lock();
    co_await channel.send(1);
    const std::optional<int> received = co_await channel.receive();
    const int one = co_await number(*received);
    sum += one;
  }
  co_return sum;
}

// Neither tasks nor waits that end at once may grow the stack, at any optimisation and under sanitizers.
TEST(Runtime, CompletesAMillionWaitsAtOnceWithoutGrowingTheStack) {
  EXPECT_EQ(*run(sum_without_waiting(250'000)), 250'000);
}

Task<> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield();
}
TEST(Runtime, SuspendsAMillionTimesWithoutGrowingTheStack) { EXPECT_TRUE(run(yields(1'000'000)).ok()); }

Task<> note_turns(Notes* notes, std::string name) {
  for (int i = 0; i < 2; ++i) {
    notes->push_back(name);
    co_await yield();
  }
}
Task<> three_take_turns(Group& group, Notes* notes) {
  for (const char* name : {"a", "b", "c"}) group.spawn(note_turns(notes, name));
  co_return;
}
TEST(Runtime, LetsEverybodyRunInTheOrderInWhichTheyBecameReady) {
  Notes notes;
  EXPECT_TRUE(run(with_group(three_take_turns, &notes)).ok());
  EXPECT_EQ(notes, (Notes{"a", "b", "c", "a", "b", "c"}));
}

Task<> sleep_and_note(Notes* notes, Nanos base, int ms) {
  co_await sleep_until(base + milliseconds(ms));
  notes->push_back(std::to_string(ms));
}
Task<> sleepers(Group& group, Notes* notes) {
  Strand& self = co_await this_strand();
  const Nanos base = self.loop().now();  // the same for all: a thread that stalls between two of them changes nothing
  for (const int ms : {3, 1, 2}) group.spawn(sleep_and_note(notes, base, ms));
}
TEST(Runtime, WakesSleepersInTheOrderOfTheirMoments) {
  Notes notes;
  EXPECT_TRUE(run(with_group(sleepers, &notes)).ok());
  EXPECT_EQ(notes, (Notes{"1", "2", "3"}));
}

// -- locks, permits, values --

struct Shared {
  AsyncMutex mutex;
  AsyncSemaphore semaphore{2};
  Channel<int> channel{2};
  Notes notes;
  int inside = 0;
  int most_inside = 0;
  std::int64_t sum = 0;
};

Task<> lock_across_a_wait(Shared* shared, std::string name) {
  const AsyncMutex::Guard guard = co_await shared->mutex.lock();
  shared->most_inside = std::max(shared->most_inside, ++shared->inside);
  co_await yield();
  shared->notes.push_back(name);
  --shared->inside;
}
Task<> four_lock(Group& group, Shared* shared) {
  for (const char* name : {"a", "b", "c", "d"}) group.spawn(lock_across_a_wait(shared, name));
  co_return;
}
TEST(AsyncMutex, IsHeldAcrossAWaitAndServesInOrder) {
  Shared shared;
  EXPECT_TRUE(run(with_group(four_lock, &shared)).ok());
  EXPECT_EQ(shared.most_inside, 1);
  EXPECT_EQ(shared.notes, (Notes{"a", "b", "c", "d"}));
}

Task<> take_permits(Shared* shared, int permits, std::string name) {
  co_await shared->semaphore.acquire(permits);
  shared->notes.push_back(name);
  co_await yield();
  shared->semaphore.release(permits);
}
Task<> small_behind_large(Group& group, Shared* shared) {
  group.spawn(take_permits(shared, 1, "small"));
  group.spawn(take_permits(shared, 2, "large"));
  group.spawn(take_permits(shared, 1, "small again"));
  co_return;
}
TEST(AsyncSemaphore, DoesNotLetASmallRequestPassALargeOne) {
  Shared shared;
  EXPECT_TRUE(run(with_group(small_behind_large, &shared)).ok());
  EXPECT_EQ(shared.notes, (Notes{"small", "large", "small again"}));
  EXPECT_EQ(shared.semaphore.available(), 2);
}

Task<> cancel_the_large_one(Shared* shared) {
  Strand& self = co_await this_strand();
  Group large(self), small(self);
  co_await shared->semaphore.acquire(1);
  large.spawn(take_permits(shared, 2, "large"));
  small.spawn(take_permits(shared, 1, "small"));
  co_await yield();
  EXPECT_EQ(shared->semaphore.waiting(), 2U);
  large.cancel();
  co_await small.join();
  co_await large.join();
  shared->semaphore.release(1);
}
TEST(AsyncSemaphore, ServesThoseBehindARequestThatIsCancelled) {
  Shared shared;
  EXPECT_TRUE(run(cancel_the_large_one(&shared)).ok());
  EXPECT_EQ(shared.notes, Notes{"small"});
  EXPECT_EQ(shared.semaphore.available(), 2);
}

Task<> produce(Shared* shared, int count) {
  for (int i = 1; i <= count; ++i) {
    const bool taken = co_await shared->channel.send(i);
    EXPECT_TRUE(taken);
  }
  shared->channel.close();
}
Task<> consume(Shared* shared) {
  for (;;) {
    const std::optional<int> value = co_await shared->channel.receive();
    if (!value) co_return;
    shared->sum = shared->sum * 10 + *value;
  }
}
Task<> produce_and_consume(Group& group, Shared* shared) {
  group.spawn(consume(shared));
  group.spawn(produce(shared, 9));
  co_return;
}
TEST(Channel, KeepsTheOrderHoldsNoMoreThanItsCapacityAndEndsWhenItIsClosed) {
  Shared shared;
  EXPECT_TRUE(run(with_group(produce_and_consume, &shared)).ok());
  EXPECT_EQ(shared.sum, 123456789);
}

// Everything that goes between workers, at once. Under ThreadSanitizer this is the test of the hand-overs.
Task<> pass_on(Shared* shared, int times) {
  for (int i = 0; i < times; ++i) {
    {
      const AsyncMutex::Guard guard = co_await shared->mutex.lock();
      shared->most_inside = std::max(shared->most_inside, ++shared->inside);
      co_await yield();
      --shared->inside;
    }
    co_await shared->channel.send(i);
    const std::optional<int> received = co_await shared->channel.receive();
    co_await shared->semaphore.acquire();
    const int computed = co_await on_arena([value = *received] { return value + 1; });
    shared->semaphore.release();
    const AsyncMutex::Guard guard = co_await shared->mutex.lock();
    shared->sum += computed;
  }
}
Task<> on_three_workers(Group& group, Shared* shared) {
  for (int i = 0; i < 12; ++i) group.spawn(pass_on(shared, 50), {"session", static_cast<std::uint32_t>(i + 1)}, i % 3);
  co_return;
}
TEST(Runtime, LocksSendsAndComputesBetweenWorkers) {
  Shared shared;
  shared.semaphore.release(10);
  EXPECT_TRUE(run(with_group(on_three_workers, &shared), {.workers = 3}).ok());
  EXPECT_EQ(shared.most_inside, 1);
  EXPECT_EQ(shared.sum, 12 * 50 * 51 / 2);
}

// Bursts with pauses in between, in which the arena's workers leave and the loops fall asleep: nobody is forgotten.
Task<> compute_in_bursts(int* sum) {
  for (int burst = 0; burst < 20; ++burst) {
    for (int i = 0; i < 50; ++i) *sum += co_await on_arena([i] { return i; });
    co_await sleep_for(milliseconds(1));
  }
}
Task<> many_compute(Group& group, std::vector<int>* sums) {
  for (std::size_t i = 0; i < sums->size(); ++i)
    group.spawn(compute_in_bursts(&(*sums)[i]), {"session", static_cast<std::uint32_t>(i + 1)},
                static_cast<int>(i % 2));
  co_return;
}
TEST(Runtime, EveryJobOfTheArenaIsRunAndComesBack) {
  std::vector<int> sums(32);
  EXPECT_TRUE(run(with_group(many_compute, &sums), {.workers = 2}).ok());
  EXPECT_THAT(sums, ::testing::Each(20 * 50 * 49 / 2));
}

// -- cancellation and structure --

Task<> hold_and_sleep(Shared* shared) {
  const AsyncMutex::Guard guard = co_await shared->mutex.lock();
  co_await shared->semaphore.acquire(2);
  co_await sleep_for(hours(1));
}
Task<> wait_for_the_lock(Shared* shared) {
  const AsyncMutex::Guard guard = co_await shared->mutex.lock();
  shared->notes.push_back("never");
}
Task<> cancel_them(Shared* shared, int worker) {
  Strand& self = co_await this_strand();
  Group group(self);
  group.spawn(hold_and_sleep(shared), {"holder"}, worker);
  while (shared->semaphore.available() > 0) co_await sleep_for(milliseconds(1));
  group.spawn(wait_for_the_lock(shared), {"waiter"}, worker);
  group.cancel();
  co_await group.join();
  EXPECT_FALSE(group.failure());
  EXPECT_TRUE(shared->mutex.try_lock());
}
TEST(Cancellation, UnwindsThroughAWaitAndGivesBackEveryLock) {
  for (const int worker : {0, 1}) {
    Shared shared;
    EXPECT_TRUE(run(cancel_them(&shared, worker), {.workers = 2}).ok());
    EXPECT_TRUE(shared.notes.empty());
  }
}

Task<> read_and_note(Notes* notes, int fd) {
  const Leaves leaves{notes, "reader"};
  co_await ready(fd, POLLIN);
  notes->push_back("never");
}
Task<> cancel_a_reader(Notes* notes, int fd) { co_await within(milliseconds(1), read_and_note(notes, fd), {"reader"}); }
TEST(Cancellation, EndsAWaitForASocket) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Notes notes;
  const Result<void> ended = run(cancel_a_reader(&notes, ends[0]));
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.fault(), Fault::statement_timeout);
  EXPECT_THAT(ended.error().message, HasSubstr("reader had 1 ms"));
  EXPECT_EQ(notes, Notes{"reader"});
  ::close(ends[0]);
  ::close(ends[1]);
}

Task<int> read_byte(int fd) {
  co_await ready(fd, POLLIN);
  char byte = 0;
  const auto got = ::read(fd, &byte, 1);
  co_return got == 1 ? byte : -1;
}
Task<int> read_twice(int fd) {
  // Two bytes lie there: what an edge-triggered wait would report once, a level-triggered one reports twice.
  const int first = co_await read_byte(fd);
  const int second = co_await read_byte(fd);
  co_return first * 10 + second;
}
TEST(Ready, IsLevelTriggered) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const char bytes[] = {1, 2};
  ASSERT_EQ(::write(ends[1], bytes, 2), 2);
  EXPECT_EQ(*run(read_twice(ends[0])), 12);
  ::close(ends[0]);
  ::close(ends[1]);
}

Task<> one_fails_two_sleep(Group& group, Notes* notes) {
  group.spawn(sleep_long(notes, "first"));
  group.spawn(refuse_later());
  group.spawn(sleep_long(notes, "second"), {"second"}, 1);
  co_return;
}
TEST(Group, CancelsTheSiblingsOfAChildThatFailsAndReportsItsFault) {
  Notes notes;
  const Result<void> ended = run(with_group(one_fails_two_sleep, &notes), {.workers = 2});
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.fault(), Fault::refused);
  std::sort(notes.begin(), notes.end());
  EXPECT_EQ(notes, (Notes{"first", "second"}));
}

Task<> sleeps_in_a_group(Group& group, Notes* notes) {
  group.spawn(sleep_long(notes, "grandchild"));
  co_return;
}
Task<> deadline_over_a_group(Notes* notes) {
  co_await within(milliseconds(2), with_group(sleeps_in_a_group, notes), {"family"});
}
TEST(Group, IsCancelledWithWhoeverWaitsForIt) {
  Notes notes;
  const Result<void> ended = run(deadline_over_a_group(&notes));
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.fault(), Fault::statement_timeout);
  EXPECT_EQ(notes, Notes{"grandchild"});
}

Task<int> all_three() {
  std::vector<Task<int>> tasks;
  for (const int n : {1, 2, 3}) tasks.push_back(later(n));
  const std::vector<int> values = co_await when_all(std::move(tasks));
  co_return values[0] * 100 + values[1] * 10 + values[2];
}
Task<int> slow(Notes* notes) {
  co_await sleep_long(notes, "loser");
  co_return 0;
}
Task<int> first_of_two(Notes* notes) {
  std::vector<Task<int>> tasks;
  tasks.push_back(slow(notes));
  tasks.push_back(later(5));
  const std::pair<std::size_t, Result<int>> first = co_await when_any(std::move(tasks));
  co_return static_cast<int>(first.first) * 10 + *first.second;
}
TEST(WhenAll, GivesEveryValueInOrder) { EXPECT_EQ(*run(all_three()), 123); }
TEST(WhenAny, GivesTheFirstAndUnwindsTheOthers) {
  Notes notes;
  EXPECT_EQ(*run(first_of_two(&notes)), 15);
  EXPECT_EQ(notes, Notes{"loser"});
}

// -- what should not happen is named --

struct Told final : Observer {
  void on_blocked(const Blocked& who) override {
    const std::lock_guard<std::mutex> lock(mutex);
    text += to_string(who.name) + (who.on_a_cpu ? " computes" : " sleeps") + "; ";
    changed.notify_all();
  }
  void on_overdue(Name child, Nanos) override {
    const std::lock_guard<std::mutex> lock(mutex);
    text += to_string(child) + " is late; ";
    late = true;
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::string text;
  bool late = false;
};

Task<> block_until_named(Told* told) {
  std::unique_lock<std::mutex> lock(told->mutex);
  // A root that stalls is named too.
  while (told->text.find("session 12") == std::string::npos) told->changed.wait(lock);
  co_return;
}
Task<> blocks(Group& group, Told* told) {
  group.spawn(block_until_named(told), {"session", 12});
  co_return;
}
TEST(Observer, IsToldWhoKeepsAThreadInABlockingCall) {
  Told told;
  EXPECT_TRUE(run(with_group(blocks, &told), {.observer = &told, .blocked_after = milliseconds(5)}).ok());
  EXPECT_THAT(told.text, HasSubstr("session 12 "));
}

/// In a call that no cancel ends, until somebody has said so.
Task<> in_a_long_call(Told* told) {
  co_await on_helper([told] {
    for (bool late = false; !late; ::usleep(200)) {
      const std::lock_guard<std::mutex> lock(told->mutex);
      late = told->late;
    }
  });
}
Task<> cancel_a_long_call(Told* told) {
  Strand& self = co_await this_strand();
  Group group(self, milliseconds(2));
  group.spawn(in_a_long_call(told), {"stubborn", 3});
  co_await yield();
  group.cancel();
  co_await group.join();
}
TEST(Observer, IsToldOfACancelledChildThatDoesNotEnd) {
  Told told;
  EXPECT_TRUE(run(cancel_a_long_call(&told), {.observer = &told, .blocked_after = hours(1)}).ok());
  EXPECT_EQ(told.text, "stubborn 3 is late; ");
}

TEST(NeedDescriptors, SaysHowManyAreNeededAndHowManyThereMayBe) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(need_descriptors(1, "a test").ok());
  const Result<void> refused = need_descriptors(limit.rlim_max, "a test");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(limit.rlim_max + 64)));
  EXPECT_THAT(refused.error().message, HasSubstr("ulimit -n"));
}

}  // namespace
}  // namespace lockstep::runtime
