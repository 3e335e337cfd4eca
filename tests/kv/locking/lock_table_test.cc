// lock_table_test.cc: what is granted beside what, and the order of the queue.
#include "kv/locking/lock_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

using ::testing::ElementsAre;

constexpr Strength kShared = Strength::shared;
constexpr Strength kUpdate = Strength::update;
constexpr Strength kExclusive = Strength::exclusive;

/// The cells of the keys that a test locks.
LockTarget target(const std::string& key) {
  static std::map<std::string, LockCell> cells;
  const auto it = cells.try_emplace(key).first;
  return {&it->second, it->first};
}

/// An owner with a waiter.
struct Owner {
  explicit Owner(LockTable& t, TxnId id) : table(t) { owner.start(id, id, fmt::format("T{}", id)); }
  ~Owner() {
    table.cancel(owner, Fault::cancelled);
    table.release_all(owner);
  }
  bool lock(const std::string& key, LockSpec spec) {
    const Locked locked = table.lock(owner, target(key), spec, waiter);
    EXPECT_TRUE(locked == Locked::granted || locked == Locked::pending);
    return locked == Locked::granted;
  }
  bool lock(const std::string& key, Strength strength) { return lock(key, row_lock(strength)); }
  void release() { table.release_all(owner); }
  bool woken() const { return waiter.wakes > 0; }

  LockTable& table;
  LockOwner owner;
  CountingWaiter waiter;
};

class LockTableTest : public ::testing::Test {
 protected:
  LockTableTest() {
    LockTable::Config config;
    config.clock = &clock_;
    table_ = std::make_unique<LockTable>(std::move(config));
  }
  VirtualClock clock_;
  std::unique_ptr<LockTable> table_;
};

TEST_F(LockTableTest, GrantsOnlyCompatibleModes) {
  struct Row {
    Strength held;
    Strength asked;
    bool granted;
  };
  for (const Row& row :
       {Row{kShared, kShared, true}, Row{kShared, kUpdate, true}, Row{kShared, kExclusive, false},
        Row{kUpdate, kShared, true}, Row{kUpdate, kUpdate, false}, Row{kUpdate, kExclusive, false},
        Row{kExclusive, kShared, false}, Row{kExclusive, kUpdate, false}, Row{kExclusive, kExclusive, false}}) {
    SCOPED_TRACE(fmt::format("held {}, asked {}", name_of(mode_of(row.held)), name_of(mode_of(row.asked))));
    Owner t1(*table_, 1);
    Owner t2(*table_, 2);
    ASSERT_TRUE(t1.lock("a", row.held));
    EXPECT_EQ(t2.lock("a", row.asked), row.granted);
  }
}

TEST_F(LockTableTest, RowsAndGapsDoNotConflict) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", row_lock(kExclusive)));
  EXPECT_TRUE(t2.lock("a", gap_lock(kShared)));
  EXPECT_FALSE(t3.lock("a", gap_lock(kExclusive)));
  t2.release();
  EXPECT_TRUE(t3.woken());
}

TEST_F(LockTableTest, AReaderQueuesBehindAWaitingWriter) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_FALSE(t2.lock("a", kExclusive));
  EXPECT_FALSE(t3.lock("a", kShared));
  t1.release();
  EXPECT_TRUE(t2.woken());
  EXPECT_FALSE(t3.woken());
  t2.release();
  EXPECT_TRUE(t3.woken());
}

TEST_F(LockTableTest, ReadersBehindAWriterAreGrantedTogether) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  Owner t4(*table_, 4);
  EXPECT_TRUE(t1.lock("a", kExclusive));
  EXPECT_FALSE(t2.lock("a", kShared));
  EXPECT_FALSE(t3.lock("a", kShared));
  EXPECT_FALSE(t4.lock("a", kExclusive));
  t1.release();
  EXPECT_TRUE(t2.woken());
  EXPECT_TRUE(t3.woken());
  EXPECT_FALSE(t4.woken());
}

TEST_F(LockTableTest, AConversionGoesInFrontOfTheQueue) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_TRUE(t2.lock("a", kShared));
  EXPECT_FALSE(t3.lock("a", kExclusive));
  EXPECT_FALSE(t1.lock("a", kExclusive)) << "t2 still reads";
  t2.release();
  EXPECT_TRUE(t1.woken());
  EXPECT_FALSE(t3.woken());
}

TEST_F(LockTableTest, AConversionPassesTheQueueWhenNoHolderIsInTheWay) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_FALSE(t2.lock("a", kExclusive));
  EXPECT_TRUE(t1.lock("a", kExclusive));
  EXPECT_TRUE(t1.lock("a", kShared)) << "it has more than that";
}

TEST_F(LockTableTest, AWaitThatEndsLetsThoseBehindItPass) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_FALSE(t2.lock("a", kExclusive));
  EXPECT_FALSE(t3.lock("a", kShared));
  EXPECT_TRUE(table_->cancel(t2.owner, Fault::lock_timeout));
  EXPECT_FALSE(t2.woken());
  EXPECT_TRUE(t3.woken());
  EXPECT_FALSE(table_->cancel(t2.owner, Fault::lock_timeout)) << "it does not wait any more";
  EXPECT_FALSE(table_->cancel(t3.owner, Fault::lock_timeout)) << "it has been woken";
}

TEST_F(LockTableTest, WeakeningGrantsToWhoCanHaveItNow) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", kExclusive));
  EXPECT_FALSE(t2.lock("a", kShared));
  EXPECT_FALSE(t3.lock("a", kExclusive));
  table_->weaken(*table_->find(t1.owner, target("a")), row_lock(kShared));
  EXPECT_TRUE(t2.woken());
  EXPECT_FALSE(t3.woken());
  table_->weaken(*table_->find(t1.owner, target("a")), LockSpec{});
  EXPECT_EQ(table_->find(t1.owner, target("a")), nullptr);
  EXPECT_FALSE(t3.woken());
  t2.release();
  EXPECT_TRUE(t3.woken());
}

TEST_F(LockTableTest, ALockThatWasGivenBackCanBeTakenAgain) {
  Owner t1(*table_, 1);
  EXPECT_TRUE(t1.lock("a", kExclusive));
  table_->weaken(*table_->find(t1.owner, target("a")), LockSpec{});
  Owner t2(*table_, 2);
  EXPECT_TRUE(t2.lock("a", kShared));
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_EQ(table_->locks().size(), 2u);
}

TEST_F(LockTableTest, WaitsForHoldersAndForThoseInFront) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  Owner t3(*table_, 3);
  EXPECT_TRUE(t1.lock("a", kShared));
  EXPECT_FALSE(t2.lock("a", kExclusive));
  EXPECT_FALSE(t3.lock("a", kExclusive));
  std::vector<std::string> edges;
  for (const WaitEdge& edge : table_->waits())
    edges.push_back(fmt::format("{}>{} {} {}", edge.waiter, edge.holder, name_of(edge.wanted), name_of(edge.held)));
  EXPECT_THAT(edges, ElementsAre("2>1 exclusive shared", "3>1 exclusive shared", "3>2 exclusive exclusive"));
}

TEST_F(LockTableTest, ManyKeysOfOneOwner) {
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(t1.lock(fmt::format("key/{}", i), kExclusive));
  EXPECT_EQ(table_->locks().size(), 5000u);
  EXPECT_FALSE(t2.lock("key/4999", kShared));
  t1.release();
  EXPECT_TRUE(t2.woken());
  EXPECT_EQ(table_->locks().size(), 1u);
}

TEST_F(LockTableTest, ALongQueueIsServedInOrder) {
  Owner first(*table_, 1);
  ASSERT_TRUE(first.lock("a", kExclusive));
  std::vector<std::unique_ptr<Owner>> queue;
  for (TxnId id = 2; id < 302; ++id) {
    queue.push_back(std::make_unique<Owner>(*table_, id));
    ASSERT_FALSE(queue.back()->lock("a", kExclusive));
  }
  first.release();
  for (std::size_t i = 0; i < queue.size(); ++i) {
    ASSERT_TRUE(queue[i]->woken());
    ASSERT_FALSE(i + 1 < queue.size() && queue[i + 1]->woken());
    queue[i]->release();
  }
}

TEST_F(LockTableTest, TheCellOfAVacantRowGoesWithItsLastLock) {
  std::vector<const LockCell*> gone;
  table_->when_gone([&](LockCell& cell) { gone.push_back(&cell); });
  LockCell alone;
  LockCell shared;
  LockCell row;
  Owner t1(*table_, 1);
  Owner t2(*table_, 2);
  const LockTarget targets[] = {{&alone, "alone"}, {&shared, "shared"}, {&row, "row"}};
  row.set_vacant(false);
  for (const LockTarget& t : targets)
    ASSERT_EQ(table_->lock(t1.owner, t, row_lock(kShared), t1.waiter), Locked::granted);
  ASSERT_EQ(table_->lock(t2.owner, targets[1], row_lock(kExclusive), t2.waiter), Locked::pending);
  t1.release();
  EXPECT_THAT(gone, ElementsAre(&alone)) << "somebody waits for the other one";
  EXPECT_TRUE(t2.woken());
  EXPECT_EQ(table_->lock(t1.owner, targets[0], row_lock(kShared), t1.waiter), Locked::gone);
  t2.release();
  EXPECT_THAT(gone, ElementsAre(&alone, &shared));
  EXPECT_EQ(table_->lock(t1.owner, targets[2], row_lock(kShared), t1.waiter), Locked::granted);
}

TEST_F(LockTableTest, ALockOfOneHolderIsShownToo) {
  Owner t1(*table_, 1);
  EXPECT_TRUE(t1.lock("a", kShared));
  ASSERT_EQ(table_->locks().size(), 1u);
  EXPECT_EQ(table_->locks()[0].key, "a");
  EXPECT_EQ(table_->locks()[0].txn, 1u);
  EXPECT_TRUE(t1.lock("a", kExclusive));
  EXPECT_EQ(table_->locks()[0].mode, LockMode::exclusive);
  t1.release();
  EXPECT_TRUE(table_->locks().empty());
}

// Two take and give back the same lock as fast as they can while a third looks at it: it goes from a word to a list of
// holders and back all the time, and is never lost.
TEST_F(LockTableTest, ALockIsExclusiveWhileItsCellChangesItsForm) {
  int counter = 0;  // guarded by the lock: ThreadSanitizer would tell
  std::atomic<int> granted{0};
  std::atomic<bool> done{false};
  const auto work = [&](TxnId id) {
    Owner owner(*table_, id);
    for (int i = 0; i < 5000; ++i) {
      if (owner.lock("form", kExclusive)) {
        ++counter;
        granted.fetch_add(1);
      } else {
        table_->cancel(owner.owner, Fault::cancelled);
        if (table_->find(owner.owner, target("form"))) {  // the grant came first
          ++counter;
          granted.fetch_add(1);
        }
      }
      owner.release();
    }
  };
  target("form");
  std::thread looks([&] {
    while (!done.load()) EXPECT_LE(table_->locks().size(), 2u);
  });
  std::thread other([&] { work(2); });
  work(1);
  other.join();
  done = true;
  looks.join();
  EXPECT_EQ(counter, granted.load());
  EXPECT_TRUE(table_->locks().empty());
}

/// Takes its time before the wake-up counts.
class SlowWaiter final : public Waiter {
 public:
  void wake() noexcept override {
    for (int i = 0; i < 20; ++i) std::this_thread::yield();
    wakes.fetch_add(1);
  }
  std::atomic<int> wakes{0};
};

// A grant and a cancellation of the same wait meet: the wait ends exactly once, by one of them. When cancel() comes too
// late it returns only after the wake-up: its caller may then let go of the waiter.
TEST_F(LockTableTest, AWaitEndsOnceWhenGrantAndCancelMeet) {
  int granted = 0;
  for (int round = 0; round < 500; ++round) {
    Owner t1(*table_, 1);
    LockOwner t2;
    t2.start(2, 2, "T2");
    ASSERT_TRUE(t1.lock("a", kExclusive));
    SlowWaiter waiter;
    ASSERT_EQ(table_->lock(t2, target("a"), row_lock(kExclusive), waiter), Locked::pending);
    std::thread other([&] { t1.release(); });
    while (round % 2 == 0 && t2.is_waiting()) std::this_thread::yield();  // every other time: just after the grant
    const bool cancelled = table_->cancel(t2, Fault::lock_timeout);
    const int wakes = waiter.wakes.load();
    EXPECT_EQ(wakes, cancelled ? 0 : 1);
    other.join();
    EXPECT_EQ(waiter.wakes.load(), wakes);
    EXPECT_EQ(static_cast<bool>(t2.verdict), cancelled);
    EXPECT_EQ(table_->find(t2, target("a")) != nullptr, !cancelled);
    granted += cancelled ? 0 : 1;
    table_->release_all(t2);
    if (HasFailure()) break;
  }
  EXPECT_GE(granted, 250);
}

/// Gives back the lock of `holder` while a request that was just queued has not been looked at yet.
class LateLook final : public ConflictPolicy {
 public:
  std::optional<Error> queued(LockTable&, LockOwner&) override {
    if (Owner* const holder = std::exchange(releases, nullptr)) holder->release();
    return std::nullopt;
  }
  std::optional<Error> overtook(LockTable&, LockOwner& owner, const LockRequest&) override {
    return Error{Fault::wounded, {}, owner.label};
  }
  Owner* releases = nullptr;
};

// Once 2pl-wound-wait hung: an older transaction waited for a younger one that had strengthened its lock past it, and
// was granted so early that the policy never saw it wait.
TEST(LockTablePolicy, LearnsOfAConversionThatWasGrantedBeforeItLooked) {
  VirtualClock clock;
  auto owned = std::make_unique<LateLook>();
  LateLook& policy = *owned;
  LockTable::Config config;
  config.policy = std::move(owned);
  config.clock = &clock;
  LockTable table(std::move(config));
  Owner updater(table, 1);
  Owner older(table, 2);
  Owner younger(table, 3);
  ASSERT_TRUE(younger.lock("a", kShared));
  ASSERT_TRUE(updater.lock("a", kUpdate));
  ASSERT_FALSE(older.lock("a", kUpdate));
  policy.releases = &updater;
  EXPECT_FALSE(younger.lock("a", kExclusive));
  EXPECT_EQ(younger.waiter.wakes, 1);
  ASSERT_TRUE(younger.owner.verdict) << "it went past the older one, and nobody told the policy";
  EXPECT_EQ(younger.owner.verdict->fault, Fault::wounded);
  younger.release();
  EXPECT_TRUE(older.woken());
}

}  // namespace
}  // namespace lockstep::kv::testing
