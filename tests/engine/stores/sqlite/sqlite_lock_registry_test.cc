// sqlite_lock_registry_test.cc: who is woken, when, and how often.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/stores/sqlite/lock_registry.h"
#include "tests/engine/stores/driver.h"

namespace lockstep::sqlite {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Queued = LockRegistry::Queued;

std::vector<int> actors(const std::vector<Blocker>& blockers) {
  std::vector<int> found;
  for (const Blocker& blocker : blockers) found.push_back(blocker.actor);
  return found;
}

struct Client {
  Client(LockRegistry& lock_registry, int actor)
      : registry(lock_registry), member(registry.join(actor, "T" + std::to_string(actor + 1))) {}

  void step(Level held) {
    registry.begin_step(member, held);
    registry.end_step(member, held);
  }
  /// A step that finds SQLite busy.
  Queued busy(Level wanted, Level held = Level::none) {
    const auto epoch = registry.begin_step(member, wanted);
    return registry.queue(member, held, wanted, epoch, waiter);
  }
  int wakes() const { return waiter.wakes(); }

  LockRegistry& registry;
  LockRegistry::Member& member;
  CountingWaiter waiter;
};

TEST(SqliteConflicts, AreThoseOfTheManual) {
  const Level levels[] = {Level::none, Level::shared, Level::reserved, Level::pending, Level::exclusive};
  // Rows: wanted shared, reserved, exclusive; columns: held none, shared, reserved, pending, exclusive.
  const Level wanted[] = {Level::shared, Level::reserved, Level::exclusive};
  const bool rollback[3][5] = {{0, 0, 0, 1, 1}, {0, 0, 1, 1, 1}, {0, 1, 1, 1, 1}};
  const bool wal[3][5] = {{0, 0, 0, 0, 0}, {0, 0, 1, 1, 1}, {0, 0, 1, 1, 1}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 5; ++j) {
      SCOPED_TRACE(testing::Message() << "wanted " << i << " held " << j);
      EXPECT_EQ(conflicts(Journal::rollback, wanted[i], levels[j]), rollback[i][j]);
      EXPECT_EQ(conflicts(Journal::wal, wanted[i], levels[j]), wal[i][j]);
    }
  }
}

TEST(SqliteLockRegistry, WakesAWaiterOnceWhenTheLockIsGivenBack) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1);
  a.step(Level::reserved);
  EXPECT_EQ(b.busy(Level::reserved), Queued::yes);
  EXPECT_THAT(actors(registry.blockers(b.member)), ElementsAre(0));
  a.step(Level::reserved);
  EXPECT_EQ(b.wakes(), 0) << "still held";
  a.step(Level::none);
  EXPECT_EQ(b.wakes(), 1);
  EXPECT_THAT(registry.blockers(b.member), IsEmpty()) << "about to go on";
  a.step(Level::reserved);
  a.step(Level::none);
  EXPECT_EQ(b.wakes(), 1) << "once for each time it was queued";
}

TEST(SqliteLockRegistry, WakesOneWriterAfterTheOtherInTheirOrder) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1), c(registry, 2);
  a.step(Level::reserved);
  ASSERT_EQ(c.busy(Level::reserved), Queued::yes);
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  a.step(Level::none);
  EXPECT_EQ(c.wakes(), 1) << "it came first";
  EXPECT_EQ(b.wakes(), 0) << "no herd: only one of them can have the lock";
  EXPECT_THAT(actors(registry.blockers(b.member)), ElementsAre(2));
  c.step(Level::reserved);
  EXPECT_EQ(b.wakes(), 0);
  c.step(Level::none);
  EXPECT_EQ(b.wakes(), 1);
}

TEST(SqliteLockRegistry, WakesTheNextWhenAWokenOneDoesNotTakeTheLock) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1), c(registry, 2);
  a.step(Level::reserved);
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  ASSERT_EQ(c.busy(Level::reserved), Queued::yes);
  a.step(Level::none);
  ASSERT_EQ(b.wakes(), 1);
  registry.give_up(b.member);
  EXPECT_EQ(c.wakes(), 1);
}

TEST(SqliteLockRegistry, KeepsThePlaceOfOneThatWasOvertaken) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1), c(registry, 2);
  a.step(Level::reserved);
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  ASSERT_EQ(c.busy(Level::reserved), Queued::yes);
  a.step(Level::none);
  a.step(Level::reserved);  // before b could try
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  EXPECT_EQ(c.wakes(), 0);
  a.step(Level::none);
  EXPECT_EQ(b.wakes(), 2);
  EXPECT_EQ(c.wakes(), 0);
}

TEST(SqliteLockRegistry, WakesAllReadersTogether) {
  LockRegistry registry(Journal::rollback);
  Client writer(registry, 0), b(registry, 1), c(registry, 2);
  writer.step(Level::exclusive);
  ASSERT_EQ(b.busy(Level::shared), Queued::yes);
  ASSERT_EQ(c.busy(Level::shared), Queued::yes);
  writer.step(Level::none);
  EXPECT_EQ(b.wakes(), 1);
  EXPECT_EQ(c.wakes(), 1);
}

TEST(SqliteLockRegistry, LetsACommitGoWhenTheLastReaderHasEnded) {
  LockRegistry registry(Journal::rollback);
  Client writer(registry, 0), b(registry, 1), c(registry, 2);
  b.step(Level::shared);
  c.step(Level::shared);
  ASSERT_EQ(writer.busy(Level::exclusive, Level::pending), Queued::yes);
  EXPECT_THAT(actors(registry.blockers(writer.member)), ElementsAre(1, 2));
  EXPECT_EQ(registry.blockers_in_words(writer.member, Level::exclusive), "T2 (SHARED lock), T3 (SHARED lock)");
  b.step(Level::none);
  EXPECT_EQ(writer.wakes(), 0);
  c.step(Level::none);
  EXPECT_EQ(writer.wakes(), 1);
}

TEST(SqliteLockRegistry, DoesNotQueueWhenTheLockWasGivenBackMeanwhile) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1);
  a.step(Level::reserved);
  const auto epoch = registry.begin_step(b.member, Level::reserved);
  a.step(Level::none);  // after SQLite told b that it is busy
  EXPECT_EQ(registry.queue(b.member, Level::none, Level::reserved, epoch, b.waiter), Queued::again);
  EXPECT_EQ(b.wakes(), 0);
}

TEST(SqliteLockRegistry, WaitsForAStepThatMayTakeTheLock) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1), reader(registry, 2);
  registry.begin_step(a.member, Level::reserved);
  registry.begin_step(reader.member, Level::shared);
  EXPECT_EQ(b.busy(Level::reserved), Queued::yes);
  registry.end_step(reader.member, Level::shared);
  EXPECT_EQ(b.wakes(), 0) << "a's step may have the lock";
  registry.end_step(a.member, Level::none);
  EXPECT_EQ(b.wakes(), 1);
}

TEST(SqliteLockRegistry, IsNotKeptAsleepByAStreamOfNewSteps) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1), c(registry, 2);
  a.step(Level::reserved);
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  registry.begin_step(c.member, Level::reserved);  // begins before a ends, ends after it
  a.step(Level::none);
  EXPECT_EQ(b.wakes(), 1);
}

TEST(SqliteLockRegistry, SaysWhenNobodyOfOursIsInTheWay) {
  LockRegistry registry(Journal::rollback);
  Client a(registry, 0), b(registry, 1);
  a.step(Level::none);
  EXPECT_EQ(b.busy(Level::reserved), Queued::foreign);
  EXPECT_EQ(registry.blockers_in_words(b.member, Level::reserved), "another process");
  EXPECT_EQ(b.wakes(), 0) << "not woken for what it has just found";
}

TEST(SqliteLockRegistry, WakesWhoWaitsForOneThatLeaves) {
  LockRegistry registry(Journal::wal);
  Client b(registry, 1);
  {
    Client a(registry, 0);
    a.step(Level::reserved);
    ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
    registry.leave(a.member);
  }
  EXPECT_EQ(b.wakes(), 1);
}

TEST(SqliteLockRegistry, NeverWakesOneThatGaveUp) {
  LockRegistry registry(Journal::wal);
  Client a(registry, 0), b(registry, 1);
  a.step(Level::reserved);
  ASSERT_EQ(b.busy(Level::reserved), Queued::yes);
  registry.give_up(b.member);
  a.step(Level::none);
  EXPECT_EQ(b.wakes(), 0);
}

}  // namespace
}  // namespace lockstep::sqlite
