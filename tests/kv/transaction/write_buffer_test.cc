// write_buffer_test.cc: the parts that transactions are made of: lists that are used again, the set of keys, own
// writes.
#include "kv/transaction/write_buffer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>

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
  const std::size_t start = buffer.mark();
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
  buffer.undo_to(start);
  EXPECT_TRUE(buffer.sorted().empty());
}

TEST(WriteBuffer, KeepsWhatWasWrittenBeforeItsFirstMark) {
  for (int round = 0; round < 2; ++round) {
    WriteBuffer buffer;
    buffer.put("a", WriteBuffer::State::written, "1");
    buffer.put("a", WriteBuffer::State::written, "22");
    const std::size_t mark = buffer.mark();
    buffer.put("a", WriteBuffer::State::written, "333");
    buffer.put("c", WriteBuffer::State::written, "4");
    buffer.undo_to(mark);
    EXPECT_EQ(buffer.find("a")->value, "22");
    EXPECT_EQ(buffer.find("c"), nullptr);
    buffer.clear();
    EXPECT_TRUE(buffer.is_empty());
  }
}

}  // namespace
}  // namespace lockstep::kv
