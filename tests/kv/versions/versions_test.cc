// versions_test.cc: which version a snapshot sees, before, during and after a commit.
#include "kv/versions/versions.h"

#include <gtest/gtest.h>

namespace lockstep::kv {
namespace {

class VersionedRecordTest : public ::testing::Test {
 protected:
  void begin(const CommitCell& cell, std::string_view value) {
    auto* const spare = new Version;
    if (!record_.push(*spare, cell, true, value)) delete spare;
  }
  void commit(Stamp stamp) {
    const CommitCell cell;
    begin(cell, std::to_string(stamp));
    record_.newest.commit(stamp, kNoStamp);
  }
  static std::string text(const Version& version) {
    std::string value;
    version.copy_to(value);
    return value;
  }
  std::string seen_at(Stamp snapshot) const {
    const VersionedRecord::Sight sight = record_.at(snapshot);
    if (!sight.settled) return "unsettled";
    return sight.version ? text(*sight.version) : "none";
  }
  std::size_t older_versions() const {
    std::size_t count = 0;
    for (const Version* version = record_.newest.older; version; version = version->older) ++count;
    return count;
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
  EXPECT_EQ(record_.at(1).next->stamp(), 2u);
  EXPECT_EQ(record_.at(2).next->stamp(), 5u);
  EXPECT_EQ(record_.at(9).next, nullptr);
}

TEST_F(VersionedRecordTest, AVersionWithoutAStampIsSeenOnceItsWriterHasCommitted) {
  commit(2);
  CommitCell cell;
  begin(cell, "7");
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
  CommitCell cell;
  begin(cell, "1");
  EXPECT_EQ(record_.pop(), nullptr);
  EXPECT_TRUE(record_.newest.is_none());
  commit(2);
  begin(cell, "7");
  cell.begin_commit();
  cell.announce(7);
  free_versions(record_.pop());
  cell.withdraw();
  EXPECT_EQ(seen_at(10), "2");
  EXPECT_EQ(older_versions(), 0u);
  EXPECT_EQ(record_.changed_at(), 2u);
}

TEST_F(VersionedRecordTest, CollectsOnlyWhatNobodyCanSee) {
  for (const Stamp stamp : {2, 5, 9, 12}) commit(stamp);
  EXPECT_EQ(record_.collect(1), nullptr);
  Version* const unseen = record_.collect(10);
  EXPECT_EQ(text(*unseen), "5");
  EXPECT_EQ(text(*unseen->older), "2");
  EXPECT_EQ(older_versions(), 1u);
  EXPECT_EQ(seen_at(10), "9");
  free_versions(unseen);
}

TEST_F(VersionedRecordTest, RemembersTheEarliestOutOfItsWriterAndNeverALaterOne) {
  constexpr Stamp kLong = Stamp{1} << 40;
  commit(2);
  EXPECT_EQ(record_.newest.earliest_out(), kNoStamp);
  record_.newest.commit(kLong, kLong - 5);
  EXPECT_EQ(record_.newest.earliest_out(), kLong - 5);
  record_.newest.commit(kLong, 7);  // too long ago to be told exactly
  EXPECT_LE(record_.newest.earliest_out(), 7u);
  EXPECT_EQ(record_.newest.stamp(), kLong);
}

}  // namespace
}  // namespace lockstep::kv
