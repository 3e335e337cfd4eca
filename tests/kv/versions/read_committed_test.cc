// read_committed_test.cc: what Isolation::read_committed allows, which really happens, and what it does not allow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;

class ReadCommitted : public ::testing::TestWithParam<std::string> {
 protected:
  ReadCommitted() { load(*store_, {{"a", "0"}, {"b", "0"}}); }
  Client client(std::string label) { return {*store_, std::move(label), usual_claims(), Isolation::read_committed}; }

  std::unique_ptr<Store> store_ = open_store(GetParam());
};

TEST_P(ReadCommitted, AReadIsNotRepeatable) {
  Client t1 = client("T1");
  ASSERT_EQ(t1.read("a"), "yes 0");
  load(*store_, {{"a", "1"}});
  EXPECT_EQ(t1.read("a"), "yes 1");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST_P(ReadCommitted, AnUpdateIsLost) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.read("a"), "yes 0");
  ASSERT_EQ(t2.read("a"), "yes 0");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t1.commit(), "ok");
  ASSERT_EQ(t2.write("a", "1"), "ok");
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_EQ(contents(*store_)[0], (Row{"a", "1"})) << "two additions of one";
}

TEST_P(ReadCommitted, APhantomAppears) {
  Client t1 = client("T1");
  ASSERT_EQ(t1.scan("", ""), "a=0 b=0");
  load(*store_, {{"ab", "1"}});
  EXPECT_EQ(t1.scan("", ""), "a=0 ab=1 b=0");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST_P(ReadCommitted, NobodyReadsDirtyData) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.write("a", "dirty"), "ok");
  ASSERT_EQ(t1.insert("c", "dirty"), "ok");
  const std::string seen = t2.scan("", "");
  EXPECT_THAT(seen, AnyOf(Eq("a=0 b=0"), Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
  t1.txn.abort();
  if (t2.waits()) {
    EXPECT_EQ(t2.again(), "a=0 b=0");
  }
}

TEST_P(ReadCommitted, NobodyOverwritesDirtyData) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  const std::string second = t2.write("a", "2");
  EXPECT_THAT(second, AnyOf(Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
  EXPECT_EQ(t1.commit(), "ok");
  if (second != "waits") return;
  EXPECT_EQ(t2.again(), "ok") << "on top of what was committed meanwhile";
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_EQ(contents(*store_)[0], (Row{"a", "2"}));
}

TEST_P(ReadCommitted, AReadForUpdateSeesWhatWasCommittedWhileItWaited) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  const std::string second = t2.read_for_update("a");
  EXPECT_EQ(t1.commit(), "ok");
  if (second == "waits") {
    EXPECT_EQ(t2.again(), "yes 1");
  }
}

TEST_P(ReadCommitted, ALockForUpdateIsKept) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.read_for_update("a"), "yes 0");
  EXPECT_EQ(t1.read("a"), "yes 0");
  EXPECT_THAT(t2.write("a", "2"), AnyOf(Eq("waits"), Eq("no_wait_conflict"), Eq("died")));
}

TEST_P(ReadCommitted, AScanForUpdateSeesTheRowsThatItLocks) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t1.erase("b"), "yes ");
  ASSERT_EQ(t1.insert("c", "1"), "ok");
  std::string answer = t2.scan_for_update("", "");
  EXPECT_EQ(t1.commit(), "ok");
  if (answer != "waits") return;
  while (t2.waits()) answer = t2.again();
  EXPECT_EQ(answer, "a=1 c=1");
}

TEST_P(ReadCommitted, AReadLeavesNoLock) {
  Client t1 = client("T1");
  ASSERT_EQ(t1.read("a"), "yes 0");
  ASSERT_EQ(t1.scan("", ""), "a=0 b=0");
  EXPECT_TRUE(store_->locks().empty());
}

TEST_P(ReadCommitted, AReadThatWaitedLeavesNoLock) {
  Client t1 = client("T1");
  Client t2 = client("T2");
  ASSERT_EQ(t2.write("b", "1"), "ok");
  if (t1.scan("", "") != "waits") return;
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_EQ(t1.again(), "a=0 b=1");
  EXPECT_TRUE(store_->locks().empty());
}

INSTANTIATE_TEST_SUITE_P(Protocols, ReadCommitted,
                         ::testing::Values("2pl-detect", "2pl-no-wait", "2pl-timeout", "2pl-wait-die", "2pl-wound-wait",
                                           "snapshot", "ssi"),
                         test_name);

class IgnoresReadCommitted : public ::testing::TestWithParam<std::string> {};

TEST_P(IgnoresReadCommitted, AndPromisesMore) {
  const auto store = open_store(GetParam());
  load(*store, {{"a", "0"}});
  Client t1(*store, "T1", usual_claims(), Isolation::read_committed);
  Client t2(*store, "T2");
  ASSERT_EQ(t1.read("a"), "yes 0");
  const std::string written = t2.write("a", "1");
  if (written != "waits") {
    ASSERT_EQ(t2.commit(), "ok");
    EXPECT_EQ(t1.read("a"), "validation_failure");
  } else {
    EXPECT_EQ(t1.read("a"), "yes 0");
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, IgnoresReadCommitted, ::testing::Values("2pl-banker", "occ", "serial"), test_name);

}  // namespace
}  // namespace lockstep::kv::testing
