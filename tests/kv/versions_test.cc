// versions_test.cc: which version a snapshot sees, before, during and after a commit.
#include "kv/versions.h"

#include <gtest/gtest.h>

namespace lockstep::kv {
namespace {

class VersionedRecordTest : public ::testing::Test {
 protected:
  void commit(Stamp stamp) {
    auto* const version = new Version;
    version->stamp = stamp;
    version->exists = true;
    version->value = std::to_string(stamp);
    record_.push(*version);
  }
  Version* write(CommitCell& cell) {
    auto* const version = new Version;
    version->writer = &cell;
    version->exists = true;
    record_.push(*version);
    return version;
  }
  std::string seen_at(Stamp snapshot) const {
    const VersionedRecord::Sight sight = record_.at(snapshot);
    if (!sight.settled) return "unsettled";
    return sight.version ? sight.version->value : "none";
  }
  VersionedRecord record_;
};

TEST_F(VersionedRecordTest, ASnapshotSeesTheNewestVersionAtItsTime) {
  EXPECT_EQ(seen_at(10), "none");
  for (const Stamp stamp : {2, 5, 9}) commit(stamp);
  EXPECT_EQ(seen_at(1), "none");
  EXPECT_EQ(seen_at(2), "2");
  EXPECT_EQ(seen_at(4), "2");
  EXPECT_EQ(seen_at(5), "5");
  EXPECT_EQ(seen_at(100), "9");
  EXPECT_EQ(record_.changed_at(), 9u);
}

TEST_F(VersionedRecordTest, ASnapshotNamesTheVersionThatFollowsTheOneItSees) {
  for (const Stamp stamp : {2, 5, 9}) commit(stamp);
  EXPECT_EQ(record_.at(1).next->stamp, 2u);
  EXPECT_EQ(record_.at(2).next->stamp, 5u);
  EXPECT_EQ(record_.at(9).next, nullptr);
}

TEST_F(VersionedRecordTest, AVersionWithoutAStampIsSeenOnceItsWriterHasCommitted) {
  commit(2);
  CommitCell cell;
  write(cell)->value = "7";
  EXPECT_EQ(seen_at(10), "2");
  cell.begin_commit();
  EXPECT_EQ(seen_at(6), "unsettled");
  cell.announce(7);
  EXPECT_EQ(seen_at(6), "2") << "whatever the decision";
  EXPECT_EQ(seen_at(7), "unsettled");
  cell.decide(7);
  EXPECT_EQ(seen_at(6), "2");
  EXPECT_EQ(seen_at(7), "7");
}

TEST_F(VersionedRecordTest, AWithdrawnVersionWasNeverThere) {
  commit(2);
  CommitCell cell;
  Version* const version = write(cell);
  cell.begin_commit();
  cell.announce(7);
  EXPECT_EQ(&record_.pop(), version);
  cell.withdraw();
  EXPECT_EQ(seen_at(10), "2");
  EXPECT_EQ(record_.versions, 1u);
  EXPECT_EQ(record_.changed_at(), 2u);
  delete version;
}

TEST_F(VersionedRecordTest, CollectsOnlyWhatNobodyCanSee) {
  for (const Stamp stamp : {2, 5, 9, 12}) commit(stamp);
  EXPECT_EQ(record_.collect(1), nullptr);
  Version* const unseen = record_.collect(10);
  EXPECT_EQ(unseen->value, "5");
  EXPECT_EQ(unseen->older->value, "2");
  EXPECT_EQ(record_.versions, 2u);
  EXPECT_EQ(seen_at(10), "9");
  free_versions(unseen);
}

}  // namespace
}  // namespace lockstep::kv
