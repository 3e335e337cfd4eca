// sync_test.cc: the in-process locks on every executor, under scripts and free.
#include "engine/sync/sync.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/engine/sync/sync_runs.h"

namespace lockstep::sync::testing {
namespace {

using record::EventKind;
using record::Verdict;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

struct World {
  Mutex a{"A"}, b{"B"}, c{"C"};
  TimedMutex timed{"timed"};
  SharedMutex shared{"shared"};
  UpgradeMutex upgradable{"upgradable"};
  CondVar condition{"condition"};
  Semaphore permits{"permits", 2, Semaphore::Permits::owned};
  Semaphore tick{"tick", 0};  ///< giving back 0 permits is a step that does nothing
  // For bodies that must meet under the free schedule.
  Semaphore met_1{"met 1", 0}, met_2{"met 2", 0}, met_3{"met 3", 0};

  // Touched only under a lock, so that a lock which does not exclude is seen, also by ThreadSanitizer.
  int inside = 0;
  int inside_max = 0;
  int count = 0;
  bool ready = false;
  std::vector<std::string> order;
  std::atomic<int> readers{0};
  std::atomic<int> readers_max{0};
};

Mutex& mutex_named(World& world, std::string_view name) {
  return name == "A" ? world.a : name == "B" ? world.b : world.c;
}

Scenario in_world(std::string title) {
  return scenario(std::move(title))
      .with<World>()
      .pattern("plain", "as it is")
      .expect("none", "*: clean")
      .tune("retries", 0);
}

class SyncTest : public ::testing::TestWithParam<Place> {
 protected:
  bool free() const { return GetParam().free; }
  record::Run run(const Scenario& scenario, const std::string& schedule = {}, Nanos limit = 20s) {
    return run_at(scenario, GetParam(), schedule, limit);
  }
};
INSTANTIATE_TEST_SUITE_P(Everywhere, SyncTest, ::testing::ValuesIn(all_places()), name_of);

class ScriptedSyncTest : public SyncTest {};
INSTANTIATE_TEST_SUITE_P(Everywhere, ScriptedSyncTest, ::testing::Values(Place{"threads"}, Place{"coroutines"}),
                         name_of);

// -- mutex --

Task<> count_inside(Context& context, int times) {
  World& world = context.world<World>();
  for (int i = 0; i < times; ++i) {
    const Guard guard = co_await world.a.lock();
    world.inside_max = std::max(world.inside_max, ++world.inside);
    co_await world.tick.release(0);
    ++world.count;
    --world.inside;
  }
}

TEST_P(SyncTest, LetsOneInAtATime) {
  const int times = 200;
  const Scenario all =
      in_world("Everybody counts")
          .actor("T1", count_inside, times)
          .actor("T2", count_inside, times)
          .actor("T3", count_inside, times)
          .actor("T4", count_inside, times)
          .holds("one at a time", [](const Final& end) { return end.world<World>().inside_max == 1; })
          .holds("nothing lost", [](const Final& end) { return end.world<World>().count == 4 * times; });
  const record::Run run = this->run(all);
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
}

Task<> hold_a(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.a.lock();
  world.order.push_back(context.name);
}

TEST_P(ScriptedSyncTest, GrantsInTheOrderOfArrivalEveryTime) {
  const Scenario four = in_world("Four queue for a mutex")
                            .actor("T1", hold_a)
                            .actor("T2", hold_a)
                            .actor("T3", hold_a)
                            .actor("T4", count_inside, 1);
  std::vector<std::string> first;
  for (int i = 0; i < 1000; ++i) {
    // T4 holds the mutex while it stands before its tick; the others arrive as T3, T1, T2.
    const record::Run run = this->run(four, "T4 T3 T1 T2 T4");
    ASSERT_THAT(actors_of(run, EventKind::grant, "lock"), ElementsAre("T4", "T3", "T1", "T2")) << story(run);
    if (first.empty()) first = told(run);
    ASSERT_EQ(told(run), first);
  }
}

TEST(Sync, TellsTheSameStoryOnThreadsAndOnCoroutines) {
  const Scenario four = in_world("Four queue for a mutex")
                            .actor("T1", hold_a)
                            .actor("T2", hold_a)
                            .actor("T3", hold_a)
                            .actor("T4", count_inside, 1);
  EXPECT_EQ(told(run_at(four, {"threads"}, "T4 T3 T1 T2 T4")), told(run_at(four, {"coroutines"}, "T4 T3 T1 T2 T4")));
}

Task<> try_a(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.a.try_lock();
  world.count += guard ? 1 : 10;
}

TEST_P(ScriptedSyncTest, TriesWithoutWaiting) {
  const Scenario two = in_world("One holds, one tries").actor("T1", count_inside, 1).actor("T2", try_a);
  const record::Run run = this->run(two, "T1 T2 T1");
  EXPECT_EQ(run.verdict, Verdict::clean);
  EXPECT_THAT(told(run), ::testing::Contains("T2 grant try_lock A [not obtained]")) << story(run);
}

Task<> unlock_twice(Context& context) {
  Guard guard = co_await context.world<World>().a.lock();
  co_await guard.unlock();
  co_await guard.unlock();
}

TEST_P(SyncTest, RefusesToUnlockWhatTheGuardDoesNotHold) {
  const record::Run run = this->run(in_world("A mistake").actor("T1", unlock_twice));
  EXPECT_EQ(ending_of(run, "T1"), "invalid");
}

TEST_P(SyncTest, RecordsWhatAGuardGivesBackAtTheEndOfItsScope) {
  const record::Run run = this->run(in_world("One").actor("T1", hold_a));
  EXPECT_THAT(told(run), ElementsAre("T1 request lock A", "T1 grant lock A", "T1 release unlock A", "T1 finish  "));
}

// -- deadlocks --

/// Takes two locks, meeting the other on the way so that both hold one: by script, or by semaphores when free.
Task<> take_both(Context& context, std::string first, std::string second, bool meets) {
  World& world = context.world<World>();
  const Guard one = co_await mutex_named(world, first).lock();
  if (meets) {
    Semaphore& mine = first == "A" ? world.met_1 : first == "B" ? world.met_2 : world.met_3;
    Semaphore& next = second == "A" ? world.met_1 : second == "B" ? world.met_2 : world.met_3;
    co_await mine.release();
    co_await next.acquire();
  }
  const Guard two = co_await mutex_named(world, second).lock();
}

TEST_P(SyncTest, FindsACycleOfTwo) {
  const Scenario two =
      in_world("Opposite order").actor("T1", take_both, "A", "B", free()).actor("T2", take_both, "B", "A", free());
  const record::Run run = this->run(two, "T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2"}})) << story(run);
  EXPECT_EQ(run.ending, record::Ending::stuck);
  // When free, who is stopped last may still get what the other gives back on his way out.
  const std::vector<std::string> endings{ending_of(run, "T1"), ending_of(run, "T2")};
  EXPECT_THAT(endings, ::testing::Contains("hung"));
  if (!free()) {
    EXPECT_THAT(endings, ElementsAre("hung", "hung")) << story(run);
  }
}

TEST_P(SyncTest, FindsACycleOfThree) {
  const Scenario three = in_world("A ring")
                             .actor("T1", take_both, "A", "B", free())
                             .actor("T2", take_both, "B", "C", free())
                             .actor("T3", take_both, "C", "A", free());
  const record::Run run = this->run(three, "T1 T2 T3 T1 T2 T3");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2", "T3"}})) << story(run);
}

TEST_P(SyncTest, FindsACycleThroughAnotherWaiterOnlyWhereHeIsPartOfIt) {
  // T3 queues for A as well: it is a bystander, not on the cycle.
  const Scenario three = in_world("A bystander")
                             .actor("T1", take_both, "A", "B", free())
                             .actor("T2", take_both, "B", "A", free())
                             .actor("T3", hold_a);
  const record::Run run = this->run(three, "T1 T2 T3 T1 T2");
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2"}})) << story(run);
}

Task<> relock(Context& context) {
  Mutex& mutex = context.world<World>().a;
  const Guard once = co_await mutex.lock();
  const Guard twice = co_await mutex.lock();
}

TEST_P(SyncTest, ShowsARelockAsACycleOfOne) {
  const record::Run run = this->run(in_world("Not recursive").actor("T1", relock));
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"T1"}})) << story(run);
}

TEST_P(SyncTest, LetsNobodyPassTheOneWhoWaitsForHimself) {
  const record::Run run = this->run(in_world("Not recursive").actor("T1", relock).actor("T2", hold_a), "T1 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_THAT(run.cycles, ::testing::Contains(std::vector<std::string>{"T1"})) << story(run);
}

// -- time --

Task<> lock_within(Context& context, Nanos limit) {
  World& world = context.world<World>();
  const Guard guard = co_await world.timed.lock_for(limit);
  world.order.push_back(context.name);
}

Task<> lock_within_or_not(Context& context, Nanos limit) {
  World& world = context.world<World>();
  const Guard guard = co_await world.timed.try_lock_for(limit);
  co_await world.met_1.release();
  world.ready = !guard;
}

/// Holds the timed mutex until somebody says that he gave up.
Task<> hold_timed(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.timed.lock();
  co_await world.met_2.release();
  co_await world.met_1.acquire();
}

Task<> after_meeting(Context& context, Nanos limit) {
  World& world = context.world<World>();
  co_await world.met_2.acquire();
  const Result<void> ended = co_await tried(lock_within(context, limit));
  co_await world.met_1.release();
  if (!ended.ok()) co_await fail(ended.error());
}

Task<> after_meeting_or_not(Context& context, Nanos limit) {
  co_await context.world<World>().met_2.acquire();
  co_await lock_within_or_not(context, limit);
}

TEST_P(SyncTest, GivesUpAtItsLimit) {
  const Scenario two = in_world("Too long").actor("T1", hold_timed).actor("T2", after_meeting, Nanos(50ms));
  const record::Run run = this->run(two);
  EXPECT_EQ(ending_of(run, "T1"), "");
  EXPECT_EQ(ending_of(run, "T2"), "lock_timeout") << story(run);
  EXPECT_THAT(story(run), HasSubstr("T2 gave timed up after 50 ms; it is held by T1"));
}

TEST_P(SyncTest, GivesAnEmptyGuardAtItsLimitWhenAskedTo) {
  const Scenario two = in_world("Too long")
                           .actor("T1", hold_timed)
                           .actor("T2", after_meeting_or_not, Nanos(20ms))
                           .holds("it was empty", [](const Final& end) { return end.world<World>().ready; });
  const record::Run run = this->run(two);
  EXPECT_EQ(run.verdict, Verdict::clean) << story(run);
}

TEST_P(ScriptedSyncTest, WaitsExactlyItsLimitInVirtualTime) {
  const Scenario two = in_world("Too long").actor("T1", hold_timed).actor("T2", lock_within, Nanos(50ms));
  const record::Run run = this->run(two, "T1 T2 T1 T1");
  std::int64_t began = 0, ended = 0;
  for (const record::Event& event : run.events) {
    if (event.actor == 1 && event.kind == EventKind::wait) began = event.at_ns;
    if (event.actor == 1 && event.kind == EventKind::fault) ended = event.at_ns;
  }
  EXPECT_EQ(ended - began, Nanos(50ms).count()) << story(run);
}

TEST_P(SyncTest, BreaksADeadlockByItsLimit) {
  struct Bodies {
    static Task<> first(Context& context, bool meets) {
      World& world = context.world<World>();
      const Guard one = co_await world.a.lock();
      if (meets) {
        co_await world.met_1.release();
        co_await world.met_2.acquire();
      }
      const Guard two = co_await world.timed.lock_for(30ms);
    }
    static Task<> second(Context& context, bool meets) {
      World& world = context.world<World>();
      const Guard one = co_await world.timed.lock();
      if (meets) {
        co_await world.met_2.release();
        co_await world.met_1.acquire();
      }
      const Guard two = co_await world.a.lock();
    }
  };
  const Scenario two = in_world("One is patient")
                           .actor("T1", Bodies::first, free())
                           .actor("T2", Bodies::second, free())
                           .tune("retries", 0);
  const record::Run run = this->run(two, "T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::timeout) << story(run);
  EXPECT_EQ(ending_of(run, "T1"), "lock_timeout");
  EXPECT_EQ(ending_of(run, "T2"), "");
}

// -- shared and upgrade --

TEST(LockMode, GoesTogetherAsTheTableSays) {
  const LockMode s = LockMode::shared, u = LockMode::upgrade, x = LockMode::exclusive;
  for (const auto& [held, asked, together] : {std::tuple{s, s, true},
                                              {s, u, true},
                                              {s, x, false},
                                              {u, s, true},
                                              {u, u, false},
                                              {u, x, false},
                                              {x, s, false},
                                              {x, u, false},
                                              {x, x, false}}) {
    EXPECT_EQ(compatible(held, asked), together)
        << fmt::format("held {}, asked {}", sync::name_of(held), sync::name_of(asked));
  }
}

/// Leaves when all three are in: readers who excluded each other would never end.
Task<> read_together(Context& context, int me) {
  World& world = context.world<World>();
  const Guard guard = co_await world.shared.lock_shared();
  for (Semaphore* const other : {&world.met_1, &world.met_2, &world.met_3}) co_await other->release();
  Semaphore& mine = me == 1 ? world.met_1 : me == 2 ? world.met_2 : world.met_3;
  co_await mine.acquire(3);
}

TEST_P(SyncTest, LetsReadersInTogether) {
  const Scenario three =
      in_world("Readers").actor("T1", read_together, 1).actor("T2", read_together, 2).actor("T3", read_together, 3);
  EXPECT_EQ(this->run(three).verdict, Verdict::clean);
}

Task<> read_once(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.shared.lock_shared();
  co_await world.tick.release(0);
}

Task<> write_once(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.shared.lock();
  ++world.count;
}

TEST_P(ScriptedSyncTest, KeepsNewReadersBehindAWaitingWriter) {
  const Scenario four = in_world("A writer among readers")
                            .actor("R1", read_once)
                            .actor("W", write_once)
                            .actor("R2", read_once)
                            .actor("R3", read_once);
  const record::Run run = this->run(four, "R1 W R2 R3 R1");
  std::vector<std::string> grants;
  for (const record::Event& event : run.events) {
    if (event.kind == EventKind::grant && event.object == "shared")
      grants.push_back(run.actors[static_cast<std::size_t>(event.actor)]);
  }
  EXPECT_THAT(grants, ElementsAre("R1", "W", "R2", "R3")) << story(run);
}

Task<> read_again(Context& context, bool meets) {
  World& world = context.world<World>();
  const Guard once = co_await world.shared.lock_shared();
  if (meets) co_await world.met_1.release();
  // Until the writer stands in the queue.
  while (meets && world.shared.core().queue_length() == 0) co_await world.tick.release(0);
  const Guard again = co_await world.shared.lock_shared();
}

Task<> write_after(Context& context, bool meets) {
  World& world = context.world<World>();
  if (meets) co_await world.met_1.acquire();
  const Guard guard = co_await world.shared.lock();
}

TEST_P(SyncTest, DeadlocksAReaderWhoReadsAgainWhileAWriterWaits) {
  const Scenario two = in_world("Reader re-entry").actor("R", read_again, free()).actor("W", write_after, free());
  const record::Run run = this->run(two, "R W R");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"R", "W"}})) << story(run);
}

Task<> write_impatiently(Context& context) {
  const Guard guard = co_await context.world<World>().shared.lock_for(10ms);
}

/// Reads until the other reader, who queues behind the writer, has been let in.
Task<> read_until_joined(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.shared.lock_shared();
  co_await world.met_1.acquire();
}

Task<> join_the_reader(Context& context) {
  World& world = context.world<World>();
  const Guard guard = co_await world.shared.lock_shared();
  co_await world.met_1.release();
}

TEST_P(ScriptedSyncTest, PassesTheTurnOnWhenTheFirstInTheQueueGivesUp) {
  const Scenario three = in_world("An impatient writer")
                             .actor("R1", read_until_joined)
                             .actor("W", write_impatiently)
                             .actor("R2", join_the_reader);
  const record::Run run = this->run(three, "R1 W R2 R1");
  EXPECT_EQ(ending_of(run, "W"), "lock_timeout") << story(run);
  EXPECT_EQ(ending_of(run, "R2"), "") << story(run);
}

Task<> upgrade_from(Context& context, LockMode from, bool meets, bool is_first) {
  World& world = context.world<World>();
  UpgradeMutex& mutex = world.upgradable;
  Guard guard;
  if (from == LockMode::shared) {
    guard = co_await mutex.lock_shared();
  } else {
    guard = co_await mutex.lock_upgrade();
  }
  if (meets) {
    co_await (is_first ? world.met_1 : world.met_2).release();
    co_await (is_first ? world.met_2 : world.met_1).acquire();
  }
  co_await mutex.upgrade(guard);
  ++world.count;
  co_await mutex.downgrade(guard);
}

TEST_P(SyncTest, DeadlocksTwoReadersWhoBothUpgrade) {
  const Scenario two = in_world("Upgrade")
                           .actor("T1", upgrade_from, LockMode::shared, free(), true)
                           .actor("T2", upgrade_from, LockMode::shared, free(), false);
  const record::Run run = this->run(two, "T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2"}})) << story(run);
}

TEST_P(SyncTest, LetsOnlyOneUpgraderIn) {
  const Scenario two =
      in_world("Upgrade")
          .actor("T1", upgrade_from, LockMode::upgrade, false, true)
          .actor("T2", upgrade_from, LockMode::upgrade, false, false)
          .holds("both were exclusive", [](const Final& end) { return end.world<World>().count == 2; });
  const record::Run run = this->run(two, "T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::clean) << story(run);
}

Task<> read_the_upgradable(Context& context, int times) {
  World& world = context.world<World>();
  for (int i = 0; i < times; ++i) {
    const Guard guard = co_await world.upgradable.lock_shared();
    world.readers_max = std::max(world.readers_max.load(), world.count);  // a race if an upgrader were inside
    co_await world.tick.release(0);
  }
}

Task<> upgrade_often(Context& context, int times) {
  World& world = context.world<World>();
  for (int i = 0; i < times; ++i) {
    Guard guard = co_await world.upgradable.lock_upgrade();
    co_await world.tick.release(0);
    co_await world.upgradable.upgrade(guard);
    ++world.count;
    co_await world.tick.release(0);
    if (i % 3 == 0) co_await world.upgradable.downgrade_to_upgrade(guard);
    if (i % 3 == 1) co_await world.upgradable.downgrade(guard);
  }
}

TEST_P(SyncTest, UpgradesAndDowngradesAmongReaders) {
  const Scenario four = in_world("Upgraders and readers")
                            .actor("R1", read_the_upgradable, 60)
                            .actor("U1", upgrade_often, 30)
                            .actor("R2", read_the_upgradable, 60)
                            .actor("U2", upgrade_often, 30)
                            .holds("nothing lost", [](const Final& end) { return end.world<World>().count == 60; });
  const record::Run run = this->run(four);
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
}

Task<> upgrade_alone(Context& context) {
  World& world = context.world<World>();
  Guard guard = co_await world.upgradable.lock_upgrade();
  co_await world.upgradable.upgrade(guard);
  co_await world.tick.release(0);
}

TEST_P(ScriptedSyncTest, PutsAConversionBeforeTheOthersInTheQueue) {
  struct Bodies {
    static Task<> read(Context& context) {
      const Guard guard = co_await context.world<World>().upgradable.lock_shared();
      co_await context.world<World>().tick.release(0);
    }
    static Task<> write(Context& context) { const Guard guard = co_await context.world<World>().upgradable.lock(); }
  };
  const Scenario three =
      in_world("A conversion").actor("R", Bodies::read).actor("W", Bodies::write).actor("U", upgrade_alone);
  // R reads, U may upgrade, W queues, U upgrades: it waits for R alone, and goes before W.
  const record::Run run = this->run(three, "R U W U R");
  std::vector<std::string> grants;
  for (const record::Event& event : run.events) {
    if (event.kind == EventKind::grant && event.object == "upgradable") {
      grants.push_back(run.actors[static_cast<std::size_t>(event.actor)] + " " + event.verb);
    }
  }
  EXPECT_THAT(grants, ElementsAre("R lock_shared", "U lock_upgrade", "U upgrade", "W lock")) << story(run);
}

Task<> convert_a_stranger(Context& context) {
  World& world = context.world<World>();
  Guard guard = co_await world.a.lock();
  co_await world.upgradable.upgrade(guard);
}

TEST_P(SyncTest, RefusesToConvertWhatTheGuardDoesNotHold) {
  EXPECT_EQ(ending_of(run(in_world("A mistake").actor("T1", convert_a_stranger)), "T1"), "invalid");
}

// -- condition variable --

Task<> wait_until_ready(Context& context) {
  World& world = context.world<World>();
  Guard guard = co_await world.a.lock();
  co_await world.met_1.release();
  while (!world.ready) co_await world.condition.wait(guard);
  world.order.push_back(context.name);
}

Task<> make_ready(Context& context, int waiters) {
  World& world = context.world<World>();
  co_await world.met_1.acquire(waiters);
  // All waiters have the mutex behind them when we get it: they are in the condition.
  const Guard guard = co_await world.a.lock();
  world.ready = true;
  co_await world.condition.notify_all();
}

TEST_P(SyncTest, WakesEverybodyWhoWaits) {
  const Scenario three =
      in_world("Ready")
          .actor("T1", wait_until_ready)
          .actor("T2", wait_until_ready)
          .actor("T3", make_ready, 2)
          .holds("both went on", [](const Final& end) { return end.world<World>().order.size() == 2; });
  const record::Run run = this->run(three);
  EXPECT_EQ(run.verdict, Verdict::clean) << story(run);
}

Task<> wait_once(Context& context) {
  World& world = context.world<World>();
  Guard guard = co_await world.a.lock();
  co_await world.condition.wait(guard);
  world.order.push_back(context.name);
}

Task<> notify_often(Context& context, int times) {
  for (int i = 0; i < times; ++i) co_await context.world<World>().condition.notify_one();
}

TEST_P(ScriptedSyncTest, NotifiesInTheOrderOfArrivalOneAtATime) {
  const Scenario four = in_world("Queue in a condition")
                            .actor("T1", wait_once)
                            .actor("T2", wait_once)
                            .actor("T3", wait_once)
                            .actor("N", notify_often, 3);
  const record::Run run = this->run(four, "T2 T2 T3 T3 T1 T1 N N N");
  EXPECT_EQ(run.verdict, Verdict::clean) << story(run);
  EXPECT_THAT(actors_of(run, EventKind::grant, "wait"), ElementsAre("T2", "T3", "T1")) << story(run);
}

TEST_P(ScriptedSyncTest, EndsALostWakeUpAsHungWithoutACycle) {
  const Scenario two = in_world("Too early").actor("T1", wait_once).actor("N", notify_often, 1);
  const record::Run run = this->run(two, "T1 N T1");
  EXPECT_EQ(run.verdict, Verdict::hung) << story(run);
  EXPECT_THAT(run.cycles, IsEmpty());
  EXPECT_THAT(told(run), ::testing::Contains("N grant notify_one condition [nobody waits: the notification is lost]"));
  EXPECT_EQ(ending_of(run, "T1"), "hung");
}

TEST_P(SyncTest, EndsAWaitThatNobodyNotifiesAtTheRunsLimit) {
  const record::Run run = this->run(in_world("Nobody").actor("T1", wait_once), {}, 100ms);
  EXPECT_EQ(run.verdict, Verdict::hung) << story(run);
}

Task<> wait_within(Context& context, Nanos limit) {
  World& world = context.world<World>();
  Guard guard = co_await world.a.lock();
  co_await world.condition.wait_for(guard, limit);
}

TEST_P(SyncTest, GivesUpWaitingAtItsLimitAndLeavesTheMutex) {
  const Scenario two = in_world("Nobody notifies").actor("T1", wait_within, Nanos(10ms)).actor("T2", count_inside, 3);
  const record::Run run = this->run(two);
  EXPECT_EQ(ending_of(run, "T1"), "lock_timeout") << story(run);
  EXPECT_EQ(ending_of(run, "T2"), "");
}

Task<> wait_with_nothing(Context& context) {
  Guard nothing;
  co_await context.world<World>().condition.wait(nothing);
}

TEST_P(SyncTest, RefusesToWaitWithoutTheMutex) {
  EXPECT_EQ(ending_of(run(in_world("A mistake").actor("T1", wait_with_nothing)), "T1"), "invalid");
}

Task<> hand_over(Context& context, int parity, int rounds) {
  World& world = context.world<World>();
  Guard guard = co_await world.a.lock();
  for (int i = 0; i < rounds; ++i) {
    while (world.count % 2 != parity) co_await world.condition.wait(guard);
    ++world.count;
    co_await world.condition.notify_one();
  }
}

TEST_P(SyncTest, HandsATurnToAndFro) {
  const Scenario two = in_world("Ping and pong")
                           .actor("T1", hand_over, 0, 200)
                           .actor("T2", hand_over, 1, 200)
                           .holds("all turns", [](const Final& end) { return end.world<World>().count == 400; });
  const record::Run run = this->run(two);
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
}

// -- semaphore --

Task<> use_a_permit(Context& context, int times) {
  World& world = context.world<World>();
  for (int i = 0; i < times; ++i) {
    co_await world.permits.acquire();
    const int now = ++world.readers;
    for (int max = world.readers_max; now > max && !world.readers_max.compare_exchange_weak(max, now);) {
    }
    co_await world.tick.release(0);
    --world.readers;
    co_await world.permits.release();
  }
}

TEST_P(SyncTest, LetsAsManyInAsThereArePermits) {
  const Scenario five =
      in_world("Five on two permits")
          .actor("T1", use_a_permit, 50)
          .actor("T2", use_a_permit, 50)
          .actor("T3", use_a_permit, 50)
          .actor("T4", use_a_permit, 50)
          .actor("T5", use_a_permit, 50)
          .holds("at most two", [](const Final& end) { return end.world<World>().readers_max <= 2; })
          .holds("all given back", [](const Final& end) { return end.world<World>().permits.available() == 2; });
  const record::Run run = this->run(five);
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
}

Task<> take_permits(Context& context, int permits) {
  World& world = context.world<World>();
  co_await world.permits.acquire(permits);
  co_await world.tick.release(0);
  co_await world.permits.release(permits);
}

TEST_P(ScriptedSyncTest, LetsNoSmallRequestPassALargeOne) {
  const Scenario three = in_world("Large and small")
                             .actor("T1", take_permits, 1)
                             .actor("T2", take_permits, 2)
                             .actor("T3", take_permits, 1);
  const record::Run run = this->run(three, "T1 T2 T3");
  EXPECT_THAT(actors_of(run, EventKind::grant, "acquire"), ElementsAre("T1", "T2", "T3")) << story(run);
}

Task<> take_two_in_turn(Context& context, bool meets) {
  World& world = context.world<World>();
  co_await world.permits.acquire();
  if (meets) {
    co_await world.met_1.release();
    co_await world.met_1.acquire();
    while (world.permits.available() != 0) co_await world.tick.release(0);
  }
  co_await world.permits.acquire();
  co_await world.permits.release(2);
}

TEST_P(SyncTest, FindsThePoolOfTwoThatTwoNeedTwiceEach) {
  const Scenario two = in_world("A pool").actor("T1", take_two_in_turn, free()).actor("T2", take_two_in_turn, free());
  const record::Run run = this->run(two, "T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2"}})) << story(run);
}

TEST_P(SyncTest, SeesNoCycleWhileSomebodyOfThePoolCanGiveWay) {
  struct Bodies {
    // Has a permit and wants a mutex.
    static Task<> wants_the_mutex(Context& context) {
      World& world = context.world<World>();
      co_await world.permits.acquire();
      co_await world.met_1.release();
      co_await world.met_2.acquire();
      {
        const Guard guard = co_await world.a.lock();
      }
      co_await world.permits.release();
    }
    // Has the mutex and wants a permit.
    static Task<> wants_a_permit(Context& context) {
      World& world = context.world<World>();
      co_await world.met_1.acquire(2);
      const Guard guard = co_await world.a.lock();
      co_await world.met_2.release();
      co_await world.met_3.release();
      co_await world.permits.acquire();
      co_await world.permits.release();
    }
    // Has the other permit, and gives it back once the two wait.
    static Task<> gives_way(Context& context) {
      World& world = context.world<World>();
      co_await world.permits.acquire();
      co_await world.met_1.release();
      co_await world.met_3.acquire();
      co_await world.tick.release(0);
      co_await world.tick.release(0);
      co_await world.permits.release();
    }
  };
  const Scenario three = in_world("A way out")
                             .actor("T1", Bodies::wants_the_mutex)
                             .actor("T2", Bodies::wants_a_permit)
                             .actor("T3", Bodies::gives_way);
  const record::Run run = this->run(three, "T1 T3 T1 T3 T2 T2 T2 T2 T1 T1 T2 T2");
  EXPECT_EQ(run.verdict, Verdict::clean) << story(run);
}

Task<> release_what_is_not_taken(Context& context) { co_await context.world<World>().permits.release(); }

TEST_P(SyncTest, TakesOwnedPermitsBackOnlyFromWhoeverHasThem) {
  EXPECT_EQ(ending_of(run(in_world("A mistake").actor("T1", release_what_is_not_taken)), "T1"), "invalid");
}

Task<> produce(Context& context, int times) {
  World& world = context.world<World>();
  for (int i = 0; i < times; ++i) {
    co_await world.met_1.acquire();  // an empty place
    co_await world.met_2.release();
  }
}

Task<> consume(Context& context, int times) {
  World& world = context.world<World>();
  co_await world.met_1.release(2);
  for (int i = 0; i < times; ++i) {
    co_await world.met_2.acquire();
    co_await world.met_1.release();
  }
}

TEST_P(SyncTest, SeesNoCycleInABoundedBuffer) {
  // The permits that producers take are given back by the consumer: nobody waits for the other producer.
  const Scenario three =
      in_world("A buffer of two").actor("P1", produce, 20).actor("P2", produce, 20).actor("C", consume, 40);
  const record::Run run = this->run(three, "C P1 P1 P2 P2 P1 P2 P1 P2");
  EXPECT_EQ(run.verdict, Verdict::clean) << run.summary;
}

Task<> acquire_within(Context& context, Nanos limit) { co_await context.world<World>().tick.acquire_for(limit); }

TEST_P(SyncTest, GivesUpAPermitAtItsLimit) {
  EXPECT_EQ(ending_of(run(in_world("None").actor("T1", acquire_within, Nanos(10ms))), "T1"), "lock_timeout");
}

// -- misuse --

TEST(SyncDeathTest, NamesTheLockThatIsDestroyedWhileItIsHeld) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  struct Bodies {
    static Task<> keep(Context& context, Guard* kept) { *kept = co_await context.world<World>().a.lock(); }
  };
  EXPECT_DEATH(
      {
        Guard kept;
        run_at(in_world("Kept for ever").actor("T1", Bodies::keep, &kept), {"coroutines"});
      },
      "the lock A is destroyed while held by T1");
}

}  // namespace
}  // namespace lockstep::sync::testing
