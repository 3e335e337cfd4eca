// hints_test.cc: what a transaction is told to touch changes nothing but the time that it takes, in every protocol.
// Values of every length, with and without hints.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

class HintedTransaction : public ::testing::TestWithParam<std::string> {
 protected:
  static void hint(Transaction& txn, const std::vector<std::string>& keys) {
    const std::vector<KeyView> views(keys.begin(), keys.end());
    txn.prefetch(views);
  }

  /// Rows of another length come and go, until records that are vacant have left the index and what nobody can see has
  /// been given back to the arena.
  void churn() {
    CountingWaiter waiter;
    for (int i = 0; i < 200; ++i) {
      const std::string key = fmt::format("a key whose record takes more memory than those of the others/{}", i);
      Transaction adds = store_->begin({.label = "adds", .claims_all = true});
      ASSERT_TRUE(adds.write(key, "1", waiter)->ok());
      ASSERT_TRUE(adds.commit(waiter)->ok());
      Transaction erases = store_->begin({.label = "erases", .claims_all = true});
      ASSERT_TRUE(erases.erase(key, waiter)->ok());
      ASSERT_TRUE(erases.commit(waiter)->ok());
    }
  }

  std::unique_ptr<Store> store_ = open_store(GetParam());
};

TEST_P(HintedTransaction, ReadsWhatCameAfterTheHint) {
  load(*store_, {{"a", "1"}, {"b", "2"}, {"c", "a value that does not fit"}});
  Client hinted(*store_, "T1");  // its claims are hints too
  hint(hinted.txn, {"a", "b", "c", "x"});
  Client other(*store_, "T2");
  EXPECT_EQ(other.erase("a"), "yes ");
  EXPECT_EQ(other.write("b", "22"), "ok");
  EXPECT_EQ(other.erase("c"), "yes ");
  EXPECT_EQ(other.write("x", "new"), "ok");
  EXPECT_EQ(other.commit(), "ok");
  churn();
  Client third(*store_, "T3");
  EXPECT_EQ(third.insert("a", "111"), "ok");
  EXPECT_EQ(third.commit(), "ok");
  EXPECT_EQ(hinted.read("a"), "yes 111");
  EXPECT_EQ(hinted.read("b"), "yes 22");
  EXPECT_EQ(hinted.read("c"), "no");
  EXPECT_EQ(hinted.read("x"), "yes new");
  EXPECT_EQ(hinted.write("a", "3"), "ok");
  EXPECT_EQ(hinted.write("c", "4"), "ok");
  EXPECT_EQ(hinted.commit(), "ok");
  const std::vector<Row> expected = {{"a", "3"}, {"b", "22"}, {"c", "4"}, {"x", "new"}};
  EXPECT_EQ(contents(*store_), expected);
}

TEST_P(HintedTransaction, WritesWithoutReadingWhatWasErasedAfterTheHint) {
  load(*store_, {{"a", "1"}, {"b", "2"}});
  Client hinted(*store_, "T1");
  hint(hinted.txn, {"a", "b"});
  Client other(*store_, "T2");
  EXPECT_EQ(other.erase("a"), "yes ");
  EXPECT_EQ(other.erase("b"), "yes ");
  EXPECT_EQ(other.commit(), "ok");
  EXPECT_TRUE(contents(*store_).empty());
  EXPECT_EQ(hinted.insert("b", "4"), "ok");
  EXPECT_EQ(hinted.write("a", "3"), "ok");
  EXPECT_EQ(hinted.commit(), "ok");
  const std::vector<Row> expected = {{"a", "3"}, {"b", "4"}};
  EXPECT_EQ(contents(*store_), expected);
}

// The memory of a transaction is used again, and what it was told of keys must not outlive it. Records of keys as long
// as these lie on the heap, where AddressSanitizer sees who touches them later.
TEST_P(HintedTransaction, LeavesNoHintsToTheNextOne) {
  CountingWaiter waiter;
  std::string value;
  const std::vector<std::string> claims = {std::string(600, 'a'), std::string(600, 'b')};
  for (int round = 0; round < 20; ++round) {
    load(*store_, {{claims[0], "1"}, {claims[1], "2"}});
    {
      Transaction dropped = store_->begin({.label = "T1", .claims = claims});
      hint(dropped, claims);
      if (round % 2 == 0) dropped.abort();
    }
    {
      Transaction eraser = store_->begin({.label = "T2", .claims_all = true});
      ASSERT_TRUE(eraser.erase(claims[0], waiter)->ok());
      ASSERT_TRUE(eraser.erase(claims[1], waiter)->ok());
      ASSERT_TRUE(eraser.commit(waiter)->ok());
    }
    churn();
    Transaction reader = store_->begin({.label = "T3", .claims_all = true});
    ASSERT_FALSE(**reader.read(claims[0], value, waiter));
    ASSERT_FALSE(**reader.read(claims[1], value, waiter));
    ASSERT_TRUE(reader.commit(waiter)->ok());
  }
}

TEST_P(HintedTransaction, DoesWhatAMapDoesWithValuesOfEveryLength) {
  const std::uint64_t seed = number_from("LOCKSTEP_SEED", std::random_device{}());
  SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}", seed));
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> model;
  CountingWaiter waiter;
  const auto length = [&]() -> std::size_t {
    const std::size_t lengths[] = {random() % 20, random() % 70, random() % 400, 8, 256, 257};
    return lengths[random() % std::size(lengths)];
  };
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::string> keys(1 + random() % 12);
    for (std::string& key : keys)
      key = fmt::format("{}{:03}", random() % 2 == 0 ? "k" : "a longer key/", random() % 200);
    const bool claims = random() % 2 == 0 || GetParam() == "2pl-banker";
    Transaction txn = store_->begin(
        {.label = "T1", .claims = claims ? std::span<const std::string>(keys) : std::span<const std::string>()});
    if (random() % 2 == 0) hint(txn, keys);
    std::map<std::string, std::string> mine = model;
    std::optional<std::map<std::string, std::string>> saved;
    std::string value;
    for (const std::string& key : keys) {
      const auto row = mine.find(key);
      if (random() % 16 == 0) {
        ASSERT_TRUE(txn.savepoint("here").ok());
        saved = mine;
      }
      switch (random() % 5) {
        case 0:
        case 1: {
          const std::string written(length(), static_cast<char>('a' + random() % 26));
          ASSERT_TRUE(txn.write(key, written, waiter)->ok());
          mine[key] = written;
          break;
        }
        case 2: {
          const Attempt<bool> erased = txn.erase(key, waiter);
          ASSERT_EQ(**erased, row != mine.end());
          mine.erase(key);
          break;
        }
        case 3: {
          const std::string expected =
              row == mine.end() || random() % 4 == 0 ? std::string(length(), 'x') : row->second;
          const std::string written(length(), static_cast<char>('A' + random() % 26));
          const Attempt<bool> done = txn.write_if(key, expected, written, waiter);
          ASSERT_EQ(**done, row != mine.end() && row->second == expected);
          if (**done) mine[key] = written;
          break;
        }
        default: {
          const Attempt<bool> found = txn.read(key, value, waiter);
          ASSERT_EQ(**found, row != mine.end());
          if (**found) {
            ASSERT_EQ(value, row->second);
          }
        }
      }
      if (saved && random() % 16 == 0) {
        ASSERT_TRUE(txn.rollback_to("here").ok());
        mine = *saved;
      }
    }
    if (random() % 8 == 0) {
      txn.abort();
      continue;
    }
    ASSERT_TRUE(txn.commit(waiter)->ok());
    model = std::move(mine);
  }
  std::vector<Row> expected;
  for (const auto& [key, value] : model) expected.push_back({key, value});
  EXPECT_EQ(contents(*store_), expected);
}

LOCKSTEP_EVERY_PROTOCOL(HintedTransaction);

}  // namespace
}  // namespace lockstep::kv::testing
