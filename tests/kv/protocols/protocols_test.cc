// protocols_test.cc: what every protocol must do, with one client at a time or where no conflict is in play.
#include <gtest/gtest.h>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

class EveryProtocol : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Store> store_ = open_store(GetParam());
};

TEST_P(EveryProtocol, SaysItsName) { EXPECT_EQ(store_->protocol(), protocol_of(GetParam())); }

TEST_P(EveryProtocol, ReadsWhatWasCommitted) {
  load(*store_, {{"a", "1"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.read("a"), "yes 1");
  EXPECT_EQ(t.read_for_update("a"), "yes 1");
  EXPECT_EQ(t.read("b"), "no");
  EXPECT_EQ(t.commit(), "ok");
}

TEST_P(EveryProtocol, SeesItsOwnWrites) {
  load(*store_, {{"a", "1"}, {"b", "2"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.write("a", "new"), "ok");
  EXPECT_EQ(t.read("a"), "yes new");
  EXPECT_EQ(t.erase("b"), "yes ");
  EXPECT_EQ(t.read("b"), "no");
  EXPECT_EQ(t.erase("b"), "no");
  EXPECT_EQ(t.insert("b", "again"), "ok");
  EXPECT_EQ(t.read_for_update("b"), "yes again");
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "new"}, {"b", "again"}}));
}

TEST_P(EveryProtocol, AbortLeavesNothing) {
  load(*store_, {{"a", "1"}, {"b", "2"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.write("a", "x"), "ok");
  EXPECT_EQ(t.write("a", "xx"), "ok");
  EXPECT_EQ(t.erase("b"), "yes ");
  EXPECT_EQ(t.insert("c", "3"), "ok");
  t.txn.abort();
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "1"}, {"b", "2"}}));
  EXPECT_TRUE(store_->locks().empty());
}

TEST_P(EveryProtocol, DroppingATransactionAbortsIt) {
  load(*store_, {{"a", "1"}});
  {
    Client t(*store_, "T1");
    EXPECT_EQ(t.write("a", "x"), "ok");
  }
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "1"}}));
  EXPECT_TRUE(store_->locks().empty());
}

TEST_P(EveryProtocol, InsertRefusesAKeyThatExistsAndGoesOn) {
  load(*store_, {{"a", "1"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.insert("a", "x"), "constraint");
  EXPECT_EQ(t.message(), "insert by T1: key a exists");
  EXPECT_EQ(t.insert("b", "2"), "ok");
  EXPECT_EQ(t.insert("b", "3"), "constraint");
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "1"}, {"b", "2"}}));
}

TEST_P(EveryProtocol, WriteIfComparesTheWholeValue) {
  load(*store_, {{"a", "1"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.write_if("a", "11", "x"), "no");
  EXPECT_EQ(t.write_if("a", "", "x"), "no");
  EXPECT_EQ(t.write_if("b", "", "x"), "no");
  EXPECT_EQ(t.write_if("a", "1", "2"), "yes ");
  EXPECT_EQ(t.write_if("a", "1", "3"), "no");
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "2"}}));
}

TEST_P(EveryProtocol, ScansInKeyOrderWithinTheBounds) {
  load(*store_, {{"d", "4"}, {"b", "2"}, {"a", "1"}, {"c", "3"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.scan("", ""), "a=1 b=2 c=3 d=4");
  EXPECT_EQ(t.scan("b", "d"), "b=2 c=3");
  EXPECT_EQ(t.scan("bb", ""), "c=3 d=4");
  EXPECT_EQ(t.scan("", "", 2), "a=1 b=2");
  EXPECT_EQ(t.scan("", "", 0), "");
  EXPECT_EQ(t.scan("c", "c"), "");
  EXPECT_EQ(t.scan("d", "b"), "");
  EXPECT_EQ(t.scan_for_update("b", "d"), "b=2 c=3");
}

TEST_P(EveryProtocol, ScanSeesItsOwnWrites) {
  load(*store_, {{"a", "1"}, {"c", "3"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.write("b", "own"), "ok");
  EXPECT_EQ(t.erase("a"), "yes ");
  EXPECT_EQ(t.write("c", "own"), "ok");
  EXPECT_EQ(t.write("d", "own"), "ok");
  EXPECT_EQ(t.scan("", ""), "b=own c=own d=own");
  EXPECT_EQ(t.scan("", "", 2), "b=own c=own");
  EXPECT_EQ(t.scan_for_update("", "", 1), "b=own");
  EXPECT_EQ(t.commit(), "ok");
}

TEST_P(EveryProtocol, SavepointUndoesWhatFollowsAndStays) {
  load(*store_, {{"a", "1"}, {"b", "2"}});
  Client t(*store_, "T1");
  EXPECT_EQ(t.write("a", "before"), "ok");
  EXPECT_TRUE(t.txn.savepoint("s").ok());
  EXPECT_EQ(t.write("a", "after"), "ok");
  EXPECT_EQ(t.erase("b"), "yes ");
  EXPECT_EQ(t.insert("c", "3"), "ok");
  EXPECT_TRUE(t.txn.rollback_to("s").ok());
  EXPECT_EQ(t.scan("", ""), "a=before b=2");
  EXPECT_EQ(t.write("c", "second"), "ok");
  EXPECT_TRUE(t.txn.rollback_to("s").ok());
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "before"}, {"b", "2"}}));
}

TEST_P(EveryProtocol, TheLatestSavepointOfANameCounts) {
  Client t(*store_, "T1");
  EXPECT_TRUE(t.txn.savepoint("s").ok());
  EXPECT_EQ(t.write("a", "1"), "ok");
  EXPECT_TRUE(t.txn.savepoint("s").ok());
  EXPECT_EQ(t.write("b", "2"), "ok");
  EXPECT_TRUE(t.txn.rollback_to("s").ok());
  EXPECT_EQ(t.scan("", ""), "a=1");
  EXPECT_TRUE(t.txn.release("s").ok());
  EXPECT_TRUE(t.txn.rollback_to("s").ok());
  EXPECT_EQ(t.scan("", ""), "");
  EXPECT_TRUE(t.txn.release("s").ok());
  const Result<void> gone = t.txn.rollback_to("s");
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.fault(), Fault::invalid);
  EXPECT_EQ(gone.error().message, "no savepoint \"s\" in T1");
  EXPECT_EQ(t.commit(), "ok");
}

TEST_P(EveryProtocol, RefusesEverythingAfterTheEnd) {
  Client t(*store_, "T1");
  EXPECT_TRUE(t.txn.active());
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_FALSE(t.txn.active());
  EXPECT_EQ(t.read("a"), "invalid");
  EXPECT_EQ(t.write("a", "1"), "invalid");
  EXPECT_EQ(t.scan("", ""), "invalid");
  EXPECT_EQ(t.commit(), "invalid");
  EXPECT_FALSE(t.txn.savepoint("s").ok());
  t.txn.abort();
  t.txn.abort();
  EXPECT_EQ(t.commit(), "invalid");
  EXPECT_NE(t.message().find("is over"), std::string::npos) << t.message();
  EXPECT_EQ(Client(*store_, "T2").commit(), "ok");
}

TEST_P(EveryProtocol, RefusesWrongKeysAndGoesOn) {
  Client t(*store_, "T1");
  EXPECT_EQ(t.write(std::string(kMaxKeyBytes + 1, 'k'), "1"), "invalid");
  EXPECT_EQ(t.message(), "a key of 65537 bytes; the limit is 65536 bytes");
  EXPECT_EQ(t.read(""), "invalid");
  EXPECT_EQ(t.message(), "a key must not be empty");
  EXPECT_EQ(t.scan(std::string(kMaxKeyBytes + 1, 'k'), ""), "invalid");
  EXPECT_EQ(t.write("a", "1"), "ok");
  EXPECT_EQ(t.commit(), "ok");
}

TEST_P(EveryProtocol, KeepsBytesAsTheyAre) {
  const std::string key("\0\xff key", 6);
  const std::string value(70'000, '\0');
  SyncTransaction t(store_->begin({.claims_all = true}));
  ASSERT_TRUE(t.write(key, value).ok());
  ASSERT_TRUE(t.write(std::string(kMaxKeyBytes, 'k'), "").ok());
  ASSERT_TRUE(t.commit().ok());
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{key, value}, {std::string(kMaxKeyBytes, 'k'), ""}}));
}

TEST_P(EveryProtocol, TagComesBackWhileTheTransactionRuns) {
  Client t(*store_, "T1");
  const TxnId id = t.txn.id();
  EXPECT_EQ(store_->tag_of(id), 7u);
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(store_->tag_of(id), 0u);
  EXPECT_EQ(store_->tag_of(12345), 0u);
}

TEST_P(EveryProtocol, IdsGrow) {
  Client t1(*store_, "T1");
  Client t2(*store_, "T2");
  EXPECT_LT(t1.txn.id(), t2.txn.id());
}

TEST_P(EveryProtocol, AMovedTransactionGoesOn) {
  Client t(*store_, "T1");
  EXPECT_EQ(t.write("a", "1"), "ok");
  Transaction moved = std::move(t.txn);
  CountingWaiter waiter;
  EXPECT_EQ(t.read("a"), "invalid");
  ASSERT_TRUE(moved.commit(waiter).has_value());
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "1"}}));
}

// A transaction is used again after its end: nothing of the one before may be left in it.
TEST_P(EveryProtocol, ManyTransactionsDoNotDisturbEachOther) {
  for (int i = 0; i < 200; ++i) {
    Client t(*store_, "T");
    ASSERT_EQ(t.read("a"), i == 0 ? "no" : fmt::format("yes {}", i - 1));
    ASSERT_TRUE(t.txn.savepoint("s").ok());
    ASSERT_EQ(t.write("b", "undone"), "ok");
    ASSERT_TRUE(t.txn.rollback_to("s").ok());
    ASSERT_EQ(t.write("a", std::to_string(i)), "ok");
    if (i % 3 == 1) {
      t.txn.abort();
      t.begin();
      ASSERT_EQ(t.write("a", std::to_string(i)), "ok");
    }
    ASSERT_EQ(t.commit(), "ok");
  }
  EXPECT_EQ(contents(*store_), (std::vector<Row>{{"a", "199"}}));
  EXPECT_TRUE(store_->locks().empty());
}

LOCKSTEP_EVERY_PROTOCOL(EveryProtocol);
INSTANTIATE_TEST_SUITE_P(OnDisk, EveryProtocol, ::testing::ValuesIn(protocol_names_on_disk()), test_name);

TEST(Store, RefusesAnUnknownProtocol) {
  const auto store = Store::open({.protocol = "2pl-detcet"});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.fault(), Fault::invalid);
  EXPECT_NE(store.error().message.find("no protocol \"2pl-detcet\" for kv"), std::string::npos);
  EXPECT_NE(store.error().message.find("2pl-detect"), std::string::npos);
}

TEST(Store, HasTheProtocolsOfThisBuild) {
  std::vector<std::string> names = protocol_names();
  for (const char* name : {"2pl-banker", "2pl-detect", "2pl-no-wait", "2pl-timeout", "2pl-wait-die", "2pl-wound-wait",
                           "occ", "serial", "snapshot", "ssi"})
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  for (const ProtocolInfo& info : protocols()) EXPECT_FALSE(info.summary.empty()) << info.name;
}

TEST(Store, ADefaultTransactionIsNone) {
  Transaction none;
  CountingWaiter waiter;
  EXPECT_FALSE(none.active());
  EXPECT_EQ(none.commit(waiter)->error().message, "no transaction: begin one first");
  none.abort();
  none.cancel_wait(Fault::cancelled);
  EXPECT_EQ(none.wait_deadline(), kNever);
}

}  // namespace
}  // namespace lockstep::kv::testing
