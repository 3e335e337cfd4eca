// conflicts_test.cc: two or three clients in a given order: who waits, who gives up, and which anomalies may happen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;

bool gave_up(const std::string& answer) {
  const auto fault = fault_named(answer);
  return fault && is_retry_safe(*fault);
}

/// Lets whoever can go on do so and commit, and gives up for those who cannot; true when the client committed.
bool finish(Client& client) {
  if (client.waits()) {
    if (!client.is_woken()) client.cancel(Fault::lock_timeout);
    if (gave_up(client.again())) return false;
  }
  if (!client.txn.active()) return false;
  return client.commit() == "ok";
}

class Conflict : public ::testing::TestWithParam<std::string> {
 protected:
  bool locks() const { return GetParam().starts_with("2pl-"); }
  bool serializable() const { return is_serializable(GetParam()); }

  std::unique_ptr<Store> store_ = open_store(GetParam());
};

TEST_P(Conflict, NobodyReadsDirtyData) {
  load(*store_, {{"x", "clean"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "dirty"), "ok");
  const std::string seen = t2.read("x");
  EXPECT_TRUE(seen == "yes clean" || seen == "waits" || gave_up(seen)) << seen;
  t1.txn.abort();
  if (t2.waits()) {
    EXPECT_EQ(t2.again(), "yes clean");
  }
}

TEST_P(Conflict, NoUpdateIsLost) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  int added = 0;
  // Both read; both write what they read and one; as far as they get.
  const bool read1 = t1.read("x") == "yes 0";
  const bool read2 = t2.read("x") == "yes 0";
  if (read1) t1.write("x", "1");
  if (read2) t2.write("x", "1");
  if (t1.waits() && t1.is_woken()) t1.again();
  added += finish(t1) ? 1 : 0;
  added += finish(t2) ? (read2 ? 1 : 0) : 0;
  EXPECT_LE(added, 1);
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", std::to_string(added)}}));
}

TEST_P(Conflict, NoUpdateIsLostAfterReadForUpdate) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.read_for_update("x"), "yes 0");
  const std::string second = t2.read_for_update("x");
  EXPECT_EQ(t1.write("x", "1"), "ok");
  EXPECT_EQ(t1.commit(), "ok");
  int added = 1;
  if (t2.waits()) {
    ASSERT_TRUE(t2.is_woken());
    const std::string again = t2.again();
    EXPECT_THAT(again, AnyOf(Eq("yes 1"), Eq("serialization_failure")));
    if (again == "yes 1") {
      EXPECT_EQ(t2.write("x", "2"), "ok");
      EXPECT_EQ(t2.commit(), "ok");
      ++added;
    }
  } else if (!gave_up(second)) {  // occ: found at the end
    EXPECT_EQ(t2.write("x", "1"), "ok");
    EXPECT_EQ(t2.commit(), "validation_failure");
  }
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", std::to_string(added)}}));
}

// A5B of Berenson et al.: each reads both and writes the one that the other does not.
TEST_P(Conflict, WriteSkewOnlyWhereItIsNotSerializable) {
  load(*store_, {{"x", "on"}, {"y", "on"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  std::vector<Client*> both = {&t1, &t2};
  int off = 0;
  for (Client* t : both) {
    if (t->read("x") == "yes on") t->read("y");
  }
  if (!t1.waits() && t1.txn.active()) t1.write("x", "off");
  if (!t2.waits() && t2.txn.active()) t2.write("y", "off");
  for (Client* t : both) {
    const bool read_only = t->waits();  // it waited for a read, so it never got to its write
    const bool committed = finish(*t);
    off += committed && !read_only ? 1 : 0;
  }
  const std::vector<Row> end = contents(*store_);
  const bool skew = end[0].value == "off" && end[1].value == "off";
  EXPECT_EQ(skew, !serializable());
  EXPECT_LE(off, serializable() ? 1 : 2);
}

// Two transactions count the rows of a range and each adds one to it if it is empty.
TEST_P(Conflict, NoPhantomDecidesBothWays) {
  load(*store_, {{"a", "0"}, {"z", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  const bool empty1 = t1.scan("b", "y") == "";
  const bool empty2 = t2.scan("b", "y") == "";
  if (empty1) t1.insert("c", "T1");
  if (empty2) t2.insert("d", "T2");
  finish(t1);
  finish(t2);
  EXPECT_EQ(contents(*store_).size() == 4, !serializable());
}

TEST_P(Conflict, TheGapAfterTheLastKeyIsGuardedToo) {
  load(*store_, {{"a", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  const bool empty1 = t1.scan("b", "") == "";
  const bool empty2 = t2.scan("b", "") == "";
  if (empty1) t1.write("x", "T1");
  if (empty2) t2.write("y", "T2");
  finish(t1);
  finish(t2);
  EXPECT_EQ(contents(*store_).size() == 3, !serializable());
}

// The row of an erased key is still in the index: its return is a phantom like any other.
TEST_P(Conflict, ARowThatComesBackIsAPhantomToo) {
  load(*store_, {{"a", "0"}, {"c", "0"}, {"d", "0"}});
  {
    Client t(*store_, "T");
    ASSERT_EQ(t.erase("c"), "yes ");
    ASSERT_EQ(t.erase("d"), "yes ");
    ASSERT_EQ(t.commit(), "ok");
  }
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  const bool empty1 = t1.scan("b", "") == "";
  const bool empty2 = t2.scan("b", "") == "";
  if (empty1) t1.insert("c", "T1");
  if (empty2) t2.insert("d", "T2");
  finish(t1);
  finish(t2);
  EXPECT_EQ(contents(*store_).size() == 3, !serializable());
}

TEST_P(Conflict, AReadOfAKeyThatIsNotThereIsARead) {
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  const bool absent1 = t1.read("x") == "no";
  const bool absent2 = t2.read("y") == "no";
  if (absent1) t1.write("y", "T1");
  if (absent2) t2.write("x", "T2");
  finish(t1);
  finish(t2);
  EXPECT_EQ(contents(*store_).size() == 2, !serializable());
}

TEST_P(Conflict, OnlyOneOfTwoInsertsOfAKeySucceeds) {
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  EXPECT_EQ(t1.insert("x", "T1"), "ok");
  const std::string second = t2.insert("x", "T2");
  EXPECT_EQ(t1.commit(), "ok");
  if (t2.waits()) {
    // Under ssi the key is not in its snapshot: a retry will find it.
    EXPECT_EQ(t2.again(), GetParam() == "ssi" ? "serialization_failure" : "constraint");
    t2.txn.abort();
  } else if (!gave_up(second)) {
    EXPECT_EQ(t2.commit(), "validation_failure");
  }
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", "T1"}}));
}

TEST_P(Conflict, ATransactionThatWasGivenUpAnswersWithItsFaultUntilAbort) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t2.read("x"), "yes 0");
  std::string fault;
  if (t1.write("x", "1") == "waits") {
    t1.cancel(Fault::statement_timeout);
    fault = t1.again();
    EXPECT_EQ(fault, "statement_timeout");
  } else if (!t1.txn.active()) {
    return;
  } else {
    const std::string committed = t1.commit();
    fault = committed == "ok" ? t2.write("x", "2") : committed;
    if (fault == "ok") fault = t2.commit();
  }
  Client& loser = t1.txn.active() ? t1 : t2;
  ASSERT_TRUE(gave_up(fault)) << fault;
  const std::string message = loser.message();
  EXPECT_FALSE(message.empty());
  EXPECT_EQ(loser.read("y"), fault);
  EXPECT_EQ(loser.message(), message);
  EXPECT_EQ(loser.commit(), fault);
  EXPECT_EQ(loser.txn.savepoint("s").fault(), fault_named(fault));
  EXPECT_TRUE(loser.txn.active());
  loser.txn.abort();
  EXPECT_EQ(loser.read("y"), "invalid");
}

TEST_P(Conflict, ATransactionThatWasGivenUpHasGivenBackItsLocks) {
  load(*store_, {{"x", "0"}, {"y", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  if (t2.write("y", "T2") == "waits" || t2.write("x", "T2") != "waits") return;  // an avoidance wait, or nobody waits
  t2.cancel(Fault::lock_timeout);
  EXPECT_EQ(t2.again(), "lock_timeout");
  EXPECT_THAT(t2.message(), HasSubstr("T2 gave up x"));
  EXPECT_THAT(t2.message(), HasSubstr("held by T1; a retry is safe"));
  Client t3(*store_, "T3");
  EXPECT_EQ(t3.write("y", "T3"), "ok") << "without an abort by T2";
}

TEST_P(Conflict, CancelAfterTheWakeUpHasNoEffect) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  if (t2.write("x", "T2") != "waits") return;
  t1.txn.abort();
  ASSERT_TRUE(t2.is_woken());
  t2.cancel(Fault::lock_timeout);
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
}

TEST_P(Conflict, CancelMeansNoWakeUp) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  if (t2.write("x", "T2") != "waits") return;
  t2.cancel(Fault::cancelled);
  EXPECT_TRUE(store_->waits_of(t2.txn.id()).empty());
  t1.txn.abort();
  EXPECT_EQ(t2.wakes(), 0);
  EXPECT_EQ(t2.again(), "cancelled");
  EXPECT_EQ(t2.read("x"), "cancelled");
}

TEST_P(Conflict, DroppingAPendingTransactionLeavesTheQueue) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  {
    Client t2(*store_, "T2");
    if (t2.write("x", "T2") != "waits") return;
    EXPECT_EQ(store_->waits().size(), 1u);
  }
  EXPECT_TRUE(store_->waits().empty());
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_TRUE(store_->locks().empty());
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", "T1"}}));
}

TEST_P(Conflict, OnlyOneOperationIsPendingAtATime) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  CountingWaiter waiter;
  if (t2.txn.write("x", "T2", waiter)) return;
  CountingWaiter other;
  const Attempt<void> second = t2.txn.write("y", "T2", other);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->error().message, "an operation of T2 is still pending");
  EXPECT_FALSE(t2.txn.savepoint("s").ok());
  t1.txn.abort();
  EXPECT_EQ(waiter.wakes, 1);
  EXPECT_EQ(other.wakes, 0);
  EXPECT_TRUE(t2.txn.write("x", "T2", waiter)->ok());
  EXPECT_EQ(waiter.wakes, 1);
}

TEST_P(Conflict, WaitersOfARowAreServedInTheOrderOfTheirComing) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1", {"x"});
  Client t2(*store_, "T2", {"x"});
  Client t3(*store_, "T3", {"x"});
  ASSERT_EQ(t1.write("x", "1"), "ok");
  if (t2.write("x", "2") != "waits" || !locks()) return;
  ASSERT_EQ(t3.write("x", "3"), "waits");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_TRUE(t2.is_woken());
  EXPECT_FALSE(t3.is_woken());
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_TRUE(t3.is_woken());
  EXPECT_EQ(t3.again(), "ok");
  EXPECT_EQ(t3.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", "3"}}));
}

TEST_P(Conflict, RollbackToASavepointFreesTheLockOfABlindWrite) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1", {"x"});
  Client t2(*store_, "T2", {"x"});
  ASSERT_TRUE(t1.txn.savepoint("s").ok());
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  if (t2.write("x", "T2") != "waits" || GetParam() == "serial") return;
  ASSERT_TRUE(t1.txn.rollback_to("s").ok());
  EXPECT_TRUE(t2.is_woken());
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"x", "T2"}}));
}

TEST_P(Conflict, RollbackToASavepointKeepsWhatWasSeen) {
  if (!locks()) GTEST_SKIP() << "no shared locks";
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1", {"x"});
  Client t2(*store_, "T2", {"x"});
  ASSERT_TRUE(t1.txn.savepoint("s").ok());
  ASSERT_EQ(t1.read_for_update("x"), "yes 0");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  ASSERT_TRUE(t1.txn.rollback_to("s").ok());
  EXPECT_THAT(t2.write("x", "T2"), AnyOf(Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
}

// The insert splits the gap that the scan has locked, and the record that it makes stays listed after the rollback.
TEST_P(Conflict, RollbackOfAnInsertKeepsThatItsKeyWasSeenToBeAbsent) {
  if (!locks()) GTEST_SKIP() << "no shared locks";
  load(*store_, {{"a", "0"}, {"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.scan("b", "x"), "");
  ASSERT_TRUE(t1.txn.savepoint("s").ok());
  ASSERT_EQ(t1.write("d", "T1"), "ok");
  ASSERT_TRUE(t1.txn.rollback_to("s").ok());
  EXPECT_THAT(t2.write("d", "T2"), AnyOf(Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
  EXPECT_EQ(t1.scan("b", "x"), "");
}

TEST_P(Conflict, RollbackToASavepointKeepsTheGapsThatWereScanned) {
  if (!locks()) GTEST_SKIP() << "no shared locks";
  load(*store_, {{"a", "0"}, {"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_TRUE(t1.txn.savepoint("s").ok());
  ASSERT_EQ(t1.scan("b", "x"), "");
  ASSERT_TRUE(t1.txn.rollback_to("s").ok());
  EXPECT_THAT(t2.write("d", "T2"), AnyOf(Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
  EXPECT_EQ(t1.scan("b", "x"), "");
}

TEST_P(Conflict, ATimeLimitIsGivenToTheCaller) {
  VirtualClock clock;
  clock.advance(std::chrono::seconds(5));
  store_ = open_store(GetParam(), {.lock_timeout = std::chrono::milliseconds(30), .clock = &clock});
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  ASSERT_EQ(t1.write("x", "T1"), "ok");
  EXPECT_EQ(t1.txn.wait_deadline(), kNever);
  if (t2.write("x", "T2") != "waits") return;
  EXPECT_EQ(t2.txn.wait_deadline(), Nanos(std::chrono::milliseconds(5030)));
  clock.advance(std::chrono::milliseconds(30));
  t2.cancel(Fault::lock_timeout);
  EXPECT_EQ(t2.again(), "lock_timeout");
  const char* const what = GetParam() == "serial" ? "the store" : "x";
  EXPECT_EQ(t2.message(), fmt::format("T2 gave up {} after 30 ms (lock_timeout); held by T1; a retry is safe", what));
  EXPECT_EQ(t1.commit(), "ok");
}

// The same steps give the same answers, victims and edges: nothing depends on addresses, hashes or time.
TEST_P(Conflict, TheSameScheduleGivesTheSameEvents) {
  const auto run = [] {
    std::string events;
    std::unique_ptr<Store> store = open_store(GetParam());
    load(*store, {{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}});
    std::vector<std::unique_ptr<Client>> clients;
    for (const char* label : {"T1", "T2", "T3", "T4"}) clients.push_back(std::make_unique<Client>(*store, label));
    const auto look = [&] {
      for (const auto& client : clients) events += client->is_woken() ? "w" : ".";
      for (const WaitEdge& edge : store->waits())
        events += fmt::format(" {}>{}:{}", edge.waiter, edge.holder, edge.key);
      events += "\n";
    };
    const auto step = [&](std::size_t i, auto operation) {
      if (!clients[i]->waits()) events += operation(*clients[i]) + " ";
      look();
    };
    for (std::size_t i = 0; i < 4; ++i) step(i, [&](Client& c) { return c.read(i < 2 ? "a" : "b"); });
    for (std::size_t i = 0; i < 4; ++i) step(i, [&](Client& c) { return c.write(i < 2 ? "b" : "c", "1"); });
    for (std::size_t i = 0; i < 4; ++i) step(i, [&](Client& c) { return c.scan("", ""); });
    for (int round = 0; round < 6; ++round) {
      for (const auto& client : clients) {
        if (client->is_woken()) events += client->again() + " ";
        if (!client->waits() && client->txn.active()) events += client->commit() + " ";
        look();
      }
    }
    return events;
  };
  const std::string first = run();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(run(), first);
}

LOCKSTEP_EVERY_PROTOCOL(Conflict);

TEST(Snapshot, IsTakenByTheFirstLookAndStays) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "1"}});
  Client t1(*store, "T1");
  load(*store, {{"x", "2"}});
  EXPECT_EQ(t1.read("x"), "yes 2") << "begin takes no snapshot";
  load(*store, {{"x", "3"}, {"y", "3"}});
  EXPECT_EQ(t1.read("x"), "yes 2");
  EXPECT_EQ(t1.scan("", ""), "x=2");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST(Snapshot, FirstUpdaterWins) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "1"), "ok");
  ASSERT_EQ(t2.write("x", "2"), "waits");
  ASSERT_EQ(t1.commit(), "ok");
  EXPECT_EQ(t2.again(), "serialization_failure");
  EXPECT_THAT(t2.message(), HasSubstr("T2 gave up x: another transaction has committed a change of it"));
}

TEST(Snapshot, SecondUpdaterGoesOnWhenTheFirstAborts) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "1"), "ok");
  ASSERT_EQ(t2.write("x", "2"), "waits");
  t1.txn.abort();
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
}

// PostgreSQL takes the snapshot before the wait for a lock ends: a correct-looking lock inside the transaction does not
// help (the trap of CATALOGUE: booking, the parent row).
TEST(Snapshot, IsOlderThanTheWaitForALock) {
  const auto store = open_store("snapshot");
  load(*store, {{"parent", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.read_for_update("parent"), "yes 0");
  ASSERT_EQ(t2.read_for_update("parent"), "waits");
  ASSERT_EQ(t1.insert("x", "T1"), "ok");
  ASSERT_EQ(t1.commit(), "ok");
  EXPECT_EQ(t2.again(), "yes 0") << "the parent is unchanged";
  EXPECT_EQ(t2.scan("x", ""), "") << "T1's booking is younger than the snapshot";
}

TEST(Snapshot, ReadForUpdateOfAChangedRowFails) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  ASSERT_EQ(t1.read("x"), "yes 0");
  load(*store, {{"x", "1"}});
  EXPECT_EQ(t1.read_for_update("x"), "serialization_failure");
}

TEST(Snapshot, ScanForUpdateThatWaitedForAChangedRowFails) {
  for (const char* const protocol : {"snapshot", "ssi"}) {
    for (const bool erases : {false, true}) {
      SCOPED_TRACE(::testing::Message() << protocol << (erases ? ", erased" : ", written"));
      const auto store = open_store(protocol);
      load(*store, {{"x", "0"}, {"y", "0"}});
      Client t1(*store, "T1");
      Client t2(*store, "T2");
      ASSERT_EQ(erases ? t1.erase("x") : t1.write("x", "1"), erases ? "yes " : "ok");
      ASSERT_EQ(t2.scan_for_update("", ""), "waits");
      ASSERT_EQ(t1.commit(), "ok");
      EXPECT_EQ(t2.again(), "serialization_failure") << "it would act on a row that is not there any more";
    }
  }
}

TEST(Snapshot, InsertOfAKeyThatIsCommittedLaterIsAConstraint) {
  const auto store = open_store("snapshot");
  Client t1(*store, "T1");
  ASSERT_EQ(t1.read("x"), "no");
  load(*store, {{"x", "1"}});
  EXPECT_EQ(t1.read("x"), "no");
  EXPECT_EQ(t1.insert("x", "2"), "constraint");
  EXPECT_EQ(t1.write("x", "2"), "serialization_failure");
}

TEST(Snapshot, DeadlockOfTwoWritersIsFound) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "0"}, {"y", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "1"), "ok");
  ASSERT_EQ(t2.write("y", "2"), "ok");
  ASSERT_EQ(t1.write("y", "1"), "waits");
  EXPECT_EQ(t2.write("x", "2"), "deadlock");
  EXPECT_EQ(t1.again(), "ok");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST(Snapshot, OldVersionsAreCollected) {
  const auto store = open_store("snapshot");
  load(*store, {{"x", "0"}});
  {
    Client reader(*store, "reader");
    ASSERT_EQ(reader.read("x"), "yes 0");
    for (int i = 1; i <= 500; ++i) load(*store, {{"x", std::to_string(i)}});
    EXPECT_EQ(reader.read("x"), "yes 0") << "its version is kept";
  }
  for (int i = 501; i <= 2000; ++i) load(*store, {{"x", std::to_string(i)}});
  EXPECT_EQ(contents(*store), (std::vector<Row>{{"x", "2000"}}));
}

// A gap that was scanned is split by its own scanner: both halves stay guarded.
TEST(NextKey, BothHalvesOfASplitGapStayGuarded) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"e", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  Client t3(*store, "T3");
  ASSERT_EQ(t1.scan("b", "e"), "");
  ASSERT_EQ(t1.insert("c", "1"), "ok");
  EXPECT_EQ(t2.insert("b", "2"), "waits") << "the half before c";
  EXPECT_EQ(t3.insert("d", "3"), "waits") << "the half behind c";
  EXPECT_EQ(t1.scan("b", "e"), "c=1");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t3.again(), "ok");
}

// While T2 waits for a gap, its owner splits it: T2 needs another one when its turn comes, and T3 has that.
TEST(NextKey, AGapThatWasSplitDuringTheWaitIsLookedForAgain) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"e", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  Client t3(*store, "T3");
  ASSERT_EQ(t1.scan("b", "e"), "");
  ASSERT_EQ(t2.insert("b", "2"), "waits");
  ASSERT_EQ(t1.insert("c", "1"), "ok");
  ASSERT_EQ(t1.commit(), "ok");
  ASSERT_TRUE(t2.is_woken());
  ASSERT_EQ(t3.scan("aa", "c"), "");
  EXPECT_EQ(t2.again(), "waits") << "for the gap before c now";
  EXPECT_EQ(t3.scan("aa", "c"), "");
  EXPECT_EQ(t3.commit(), "ok");
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_TRUE(store->locks().empty());
}

TEST(NextKey, AnInsertIntoAGapThatNobodyScannedDoesNotWait) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"e", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  EXPECT_EQ(t1.insert("b", "1"), "ok");
  EXPECT_EQ(t2.insert("c", "2"), "ok") << "the same gap at first";
  EXPECT_EQ(t1.insert("d", "1"), "ok");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
}

TEST(NoWait, SaysWhoHoldsTheRow) {
  const auto store = open_store("2pl-no-wait");
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "1"), "ok");
  EXPECT_EQ(t2.read("x"), "no_wait_conflict");
  EXPECT_EQ(t2.message(), "T2 gave up x: held by T1, and this protocol never waits; a retry is safe");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST(Serial, ServesInTheOrderOfTheFirstOperation) {
  const auto store = open_store("serial");
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  Client t3(*store, "T3");
  ASSERT_EQ(t2.write("a", "2"), "ok") << "begin takes nothing";
  ASSERT_EQ(t3.read("b"), "waits") << "whatever the key";
  ASSERT_EQ(t1.write("c", "1"), "waits");
  const std::vector<WaitEdge> edges = store->waits_of(t1.txn.id());
  ASSERT_EQ(edges.size(), 2u);
  EXPECT_EQ(edges[0].holder, t2.txn.id());
  EXPECT_EQ(edges[1].holder, t3.txn.id()) << "which is in front of it";
  EXPECT_TRUE(edges[0].whole_store);
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_TRUE(t3.is_woken());
  EXPECT_FALSE(t1.is_woken());
  EXPECT_EQ(t3.again(), "no");
  t3.txn.abort();
  EXPECT_EQ(t1.again(), "ok");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_TRUE(store->locks().empty());
}

TEST(Serial, ATurnThatCameToATransactionThatEndsIsPassedOn) {
  const auto store = open_store("serial");
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  Client t3(*store, "T3");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t2.write("a", "2"), "waits");
  ASSERT_EQ(t3.write("a", "3"), "waits");
  EXPECT_EQ(t1.commit(), "ok");
  ASSERT_TRUE(t2.is_woken());
  t2.txn.abort();  // without its attempt
  EXPECT_TRUE(t3.is_woken());
  EXPECT_EQ(t3.again(), "ok");
  EXPECT_EQ(t3.commit(), "ok");
  EXPECT_EQ(contents(*store), (std::vector<Row>{{"a", "3"}}));
}

TEST(Timeout, HasALimitOfFiftyMillisecondsUnlessToldOtherwise) {
  VirtualClock clock;
  const auto store = open_store("2pl-timeout", {.clock = &clock});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "1"), "ok");
  ASSERT_EQ(t2.write("x", "2"), "waits");
  EXPECT_EQ(t2.txn.wait_deadline(), Nanos(std::chrono::milliseconds(50)));
}

TEST(Occ, AReaderOfChangedRowsFailsAtCommit) {
  const auto store = open_store("occ");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  ASSERT_EQ(t1.read("x"), "yes 0");
  load(*store, {{"x", "1"}});
  EXPECT_EQ(t1.commit(), "validation_failure");
  EXPECT_EQ(t1.message(), "T1 gave up: x was changed by another transaction after T1 had read it; a retry is safe");
}

TEST(Occ, ARepeatedReadFailsAtOnceWhenTheRowHasChanged) {
  const auto store = open_store("occ");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  ASSERT_EQ(t1.read("x"), "yes 0");
  load(*store, {{"x", "1"}});
  EXPECT_EQ(t1.read("x"), "validation_failure");
}

// What it read of y says that it comes after the insert of c, its scan that it comes before.
TEST(Occ, ARowThatCameAndWentInAScannedRangeFailsTheCommit) {
  const auto store = open_store("occ");
  load(*store, {{"a", "0"}, {"y", "0"}});
  Client t1(*store, "T1");
  ASSERT_EQ(t1.scan("b", "e"), "");
  load(*store, {{"c", "1"}, {"y", "1"}});
  Client t2(*store, "T2");
  ASSERT_EQ(t2.erase("c"), "yes ");
  ASSERT_EQ(t2.commit(), "ok");
  ASSERT_EQ(t1.read("y"), "yes 1");
  EXPECT_EQ(t1.commit(), "validation_failure");
  EXPECT_THAT(t1.message(), HasSubstr("a row came and went in the range from b"));
}

// Its own write hid the row from the scan and was undone: a retry must be able to get through.
TEST(Occ, AScanBehindAnUndoneWriteCanCommit) {
  const auto store = open_store("occ");
  load(*store, {{"x", "0"}});
  Client t1(*store, "T1");
  ASSERT_TRUE(t1.txn.savepoint("s").ok());
  ASSERT_EQ(t1.write("x", "1"), "ok");
  ASSERT_EQ(t1.scan("", ""), "x=1");
  ASSERT_TRUE(t1.txn.rollback_to("s").ok());
  EXPECT_EQ(t1.commit(), "ok");
}

TEST(Occ, AScanWithALimitKnowsNothingOfWhatLiesBehind) {
  const auto store = open_store("occ");
  load(*store, {{"a", "0"}, {"b", "0"}});
  Client t1(*store, "T1");
  ASSERT_EQ(t1.scan("", "", 2), "a=0 b=0");
  load(*store, {{"c", "0"}});
  EXPECT_EQ(t1.commit(), "ok");
  t1.begin();
  ASSERT_EQ(t1.scan("", "", 2), "a=0 b=0");
  load(*store, {{"aa", "0"}});
  EXPECT_EQ(t1.commit(), "validation_failure");
}

}  // namespace
}  // namespace lockstep::kv::testing
