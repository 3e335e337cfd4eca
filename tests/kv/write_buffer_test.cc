// write_buffer_test.cc: the parts that transactions are made of: lists that are used again, the set of keys, own
// writes.
#include "kv/write_buffer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>

#include "kv/versions.h"

namespace lockstep::kv {
namespace {

TEST(Recycled, KeepsAddressesAndMemory) {
  Recycled<std::string> list;
  std::string& first = list.take();
  first.assign(100, 'x');
  for (int i = 0; i < 1000; ++i) list.take();
  EXPECT_EQ(&list[0], &first);
  list.clear();
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(&list.take(), &first);
  EXPECT_GE(first.capacity(), 100u);
}

TEST(KeySet, FindsWhatAMapFinds) {
  std::mt19937_64 random(7);
  KeySet set;
  for (int round = 0; round < 50; ++round) {
    std::unordered_map<std::size_t, std::size_t> expected;
    const std::size_t count = random() % 500;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t hash = (random() % 1000) << (random() % 40);  // collisions in the low bits
      if (expected.try_emplace(hash, i).second) set.add(hash, i);
    }
    for (const auto& [hash, position] : expected) EXPECT_EQ(set.find(hash, [](std::size_t) { return true; }), position);
    EXPECT_EQ(set.find(123'456'789'123, [](std::size_t) { return true; }), KeySet::npos);
    set.clear();
    for (const auto& [hash, position] : expected)
      ASSERT_EQ(set.find(hash, [](std::size_t) { return true; }), KeySet::npos);
  }
}

TEST(KeySet, TellsKeysOfTheSameHashApart) {
  KeySet set;
  set.add(5, 0);
  set.add(5, 1);
  EXPECT_EQ(set.find(5, [](std::size_t i) { return i == 1; }), 1u);
  EXPECT_EQ(set.find(5, [](std::size_t) { return false; }), KeySet::npos);
}

TEST(WriteBuffer, HasTheLatestWriteOfEachKey) {
  WriteBuffer buffer;
  EXPECT_EQ(buffer.find("a"), nullptr);
  buffer.put("b", WriteBuffer::State::written, "1");
  buffer.put("a", WriteBuffer::State::written, "2");
  buffer.put("b", WriteBuffer::State::erased, "");
  EXPECT_EQ(buffer.find("a")->value, "2");
  EXPECT_EQ(buffer.find("b")->state, WriteBuffer::State::erased);
  ASSERT_EQ(buffer.sorted().size(), 2u);
  EXPECT_EQ(buffer.sorted()[0]->key, "a");
  EXPECT_EQ(buffer.sorted("b", "").size(), 1u);
  EXPECT_EQ(buffer.sorted("", "b").size(), 1u);
}

TEST(WriteBuffer, UndoesToAMark) {
  WriteBuffer buffer;
  buffer.put("a", WriteBuffer::State::written, "1");
  const std::size_t mark = buffer.mark();
  buffer.put("a", WriteBuffer::State::written, "2");
  buffer.put("b", WriteBuffer::State::written, "3");
  buffer.put("a", WriteBuffer::State::erased, "");
  buffer.undo_to(mark);
  EXPECT_EQ(buffer.find("a")->value, "1");
  EXPECT_EQ(buffer.find("b"), nullptr);
  EXPECT_EQ(buffer.sorted().size(), 1u);
  buffer.put("b", WriteBuffer::State::written, "4");
  EXPECT_EQ(buffer.find("b")->value, "4");
  buffer.undo_to(0);
  EXPECT_TRUE(buffer.sorted().empty());
}

class VersionedRecordTest : public ::testing::Test {
 protected:
  void commit(Stamp stamp) {
    auto* const version = new Version;
    version->stamp = stamp;
    version->exists = true;
    version->value = std::to_string(stamp);
    record_.push(*version);
  }
  VersionedRecord record_;
};

TEST_F(VersionedRecordTest, ASnapshotSeesTheNewestVersionAtItsTime) {
  EXPECT_EQ(record_.at(10), nullptr);
  for (const Stamp stamp : {2, 5, 9}) commit(stamp);
  EXPECT_EQ(record_.at(1), nullptr);
  EXPECT_EQ(record_.at(2)->value, "2");
  EXPECT_EQ(record_.at(4)->value, "2");
  EXPECT_EQ(record_.at(5)->value, "5");
  EXPECT_EQ(record_.at(100)->value, "9");
  EXPECT_EQ(record_.changed_at(), 9u);
}

TEST_F(VersionedRecordTest, AVersionWithoutAStampIsSeenOnceItsWriterHasCommitted) {
  commit(2);
  CommitCell cell;
  auto* const version = new Version;
  version->writer = &cell;
  version->exists = true;
  record_.push(*version);
  EXPECT_EQ(record_.at(10)->value, "2");
  cell.begin_commit();
  cell.end_commit(7);
  EXPECT_EQ(record_.at(6)->value, "2");
  EXPECT_EQ(record_.at(7), version);
}

TEST_F(VersionedRecordTest, WhoeverMeetsACommitHalfWayWaitsForItsStamp) {
  CommitCell cell;
  auto* const version = new Version;
  version->writer = &cell;
  record_.push(*version);
  for (int round = 0; round < 200; ++round) {
    cell.begin_commit();
    std::atomic<bool> looking{false};
    const Version* seen = nullptr;
    std::thread reader([&] {
      looking = true;
      seen = record_.at(7);
    });
    while (!looking) std::this_thread::yield();
    cell.end_commit(7);
    reader.join();
    ASSERT_EQ(seen, version);
  }
}

TEST_F(VersionedRecordTest, CollectsOnlyWhatNobodyCanSee) {
  for (const Stamp stamp : {2, 5, 9, 12}) commit(stamp);
  EXPECT_EQ(record_.collect(1), nullptr);
  Version* const unseen = record_.collect(10);
  EXPECT_EQ(unseen->value, "5");
  EXPECT_EQ(unseen->older->value, "2");
  EXPECT_EQ(record_.versions, 2u);
  EXPECT_EQ(record_.at(10)->value, "9");
  free_versions(unseen);
}

}  // namespace
}  // namespace lockstep::kv
