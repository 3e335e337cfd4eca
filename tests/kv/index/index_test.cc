// index_test.cc: the index against std::map, alone and with several threads at once.
#include "kv/index/index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace lockstep::kv::testing {
namespace {

struct Number {
  std::atomic<int> value{0};
};
using Numbers = Index<Number>;

std::uint64_t seed_of_test() {
  const char* const given = std::getenv("LOCKSTEP_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  fmt::print("LOCKSTEP_SEED={}\n", seed);
  return seed;
}

std::vector<std::string> keys_of(Numbers& index) {
  std::vector<std::string> keys;
  for (auto it = index.begin(); it != index.end(); ++it) keys.emplace_back(it->first);
  return keys;
}

/// Keys that share prefixes, end early, hold zeros and bytes above 127.
std::string random_key(std::mt19937_64& random) {
  static const std::vector<std::string> prefixes = {
      "", "account/", "account/0000", std::string(20, 'x'), std::string("\0\0", 2), "\xff\xfe"};
  std::string key = prefixes[random() % prefixes.size()];
  const std::size_t tail = 1 + random() % 4;
  for (std::size_t i = 0; i < tail; ++i) key += static_cast<char>(random() % 3 == 0 ? random() : '0' + random() % 10);
  return key;
}

class IndexTest : public ::testing::Test {
 protected:
  Epochs epochs_;
  Numbers index_{epochs_};
  Epochs::Pin pin_{epochs_};
};

TEST_F(IndexTest, AnEmptyIndexHasNothing) {
  EXPECT_EQ(index_.find("a"), nullptr);
  EXPECT_TRUE(index_.begin() == index_.end());
  EXPECT_TRUE(index_.after("a") == index_.end());
}

TEST_F(IndexTest, KeysInAnyOrderComeOutSorted) {
  for (const bool ascending : {true, false}) {
    Numbers index(epochs_);
    std::vector<std::string> expected;
    for (int i = 0; i < 5000; ++i) expected.push_back(fmt::format("key/{:06}", i));
    for (int i = 0; i < 5000; ++i) index.find_or_add(expected[static_cast<std::size_t>(ascending ? i : 4999 - i)]);
    EXPECT_EQ(keys_of(index), expected);
  }
}

TEST_F(IndexTest, AnswersAsAMapDoes) {
  std::mt19937_64 random(seed_of_test());
  std::map<std::string, int> model;
  for (int i = 0; i < 30'000; ++i) {
    const std::string key = random_key(random);
    switch (random() % 4) {
      case 0:
      case 1:
        model[key] = i;
        index_.find_or_add(key).value = i;
        break;
      case 2: {
        const Number* const found = index_.find(key);
        const auto expected = model.find(key);
        ASSERT_EQ(found != nullptr, expected != model.end()) << key;
        if (found) {
          ASSERT_EQ(found->value, expected->second) << key;
        }
        break;
      }
      default: {
        const bool behind = random() % 2 == 0;
        const auto expected = behind ? model.upper_bound(key) : model.lower_bound(key);
        auto found = behind ? index_.after(key) : index_.at_or_after(key);
        ASSERT_EQ(found == index_.end(), expected == model.end()) << key;
        if (expected != model.end()) {
          ASSERT_EQ(found->first, expected->first) << key;
        }
      }
    }
  }
  std::vector<std::string> expected;
  for (const auto& [key, value] : model) expected.push_back(key);
  EXPECT_EQ(keys_of(index_), expected);
}

TEST_F(IndexTest, AnIteratorMeetsWhatIsAddedInFrontOfIt) {
  index_.find_or_add("a");
  index_.find_or_add("c");
  auto it = index_.begin();
  index_.find_or_add("b");
  ++it;
  EXPECT_EQ(it->first, "b");
  EXPECT_EQ(std::next(it)->first, "c");
}

TEST_F(IndexTest, WhatIsRemovedIsNotFoundAndCanComeBack) {
  Number& first = index_.find_or_add("b");
  index_.find_or_add("a");
  index_.find_or_add("c");
  index_.remove(first);
  EXPECT_EQ(index_.find("b"), nullptr);
  EXPECT_EQ(keys_of(index_), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(Numbers::key_of(first), "b") << "it stays valid for who is pinned";
  EXPECT_NE(&index_.find_or_add("b"), &first);
  EXPECT_EQ(keys_of(index_), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(IndexTest, AnIteratorGoesOnWhereItsEntryWas) {
  for (int i = 0; i < 500; ++i) index_.find_or_add(fmt::format("{:03}", i));
  auto it = index_.at_or_after("100");
  for (int i = 50; i < 200; ++i) index_.remove(*index_.find(fmt::format("{:03}", i)));
  EXPECT_EQ(it->first, "100");
  ++it;
  EXPECT_EQ(it->first, "200");
}

TEST_F(IndexTest, AddsAndRemovesAsAMapDoes) {
  std::mt19937_64 random(seed_of_test());
  std::map<std::string, int> model;
  std::vector<std::string> known;
  for (int i = 0; i < 2000; ++i) known.push_back(random_key(random));
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 8'000; ++i) {
      const std::string& key = known[random() % known.size()];
      const bool grows = round % 2 == 0 ? random() % 8 != 0 : random() % 8 == 0;
      if (grows) {
        model[key] = i;
        index_.find_or_add(key).value = i;
      } else if (Number* const found = index_.find(key)) {
        ASSERT_EQ(model.erase(key), 1u) << key;
        index_.remove(*found);
      } else {
        ASSERT_FALSE(model.contains(key)) << key;
      }
    }
    std::vector<std::string> expected;
    for (const auto& [key, value] : model) expected.push_back(key);
    ASSERT_EQ(keys_of(index_), expected);
  }
}

// Nobody adds or removes a key of another thread, so each knows what there must be of its own; scans meet the keys that
// stay, in order, whatever comes and goes beside them.
TEST_F(IndexTest, ReadersAndThoseWhoAddAndRemoveTogether) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 60;
  constexpr int kKeys = 200;
  const std::uint64_t seed = seed_of_test();
  for (int i = 0; i < 100; ++i) index_.find_or_add(fmt::format("{:04}/stays", i * 10));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, seed] {
      std::mt19937_64 random(seed + static_cast<std::uint64_t>(t));
      for (int round = 0; round < kRounds; ++round) {
        const Epochs::Pin pin(epochs_);  // anew each round, so that memory is used again
        std::vector<std::string> mine;
        for (int i = 0; i < kKeys; ++i) mine.push_back(fmt::format("{:04}/{}/{}", random() % 1000, t, i));
        for (const std::string& key : mine) index_.find_or_add(key).value = t;
        for (const std::string& key : mine) {
          Number* const found = index_.find(key);
          ASSERT_TRUE(found && found->value == t) << key;
        }
        int staying = 0;
        std::string previous;
        for (auto it = index_.begin(); it != index_.end(); ++it) {
          ASSERT_LT(previous, it->first);
          previous = it->first;
          staying += previous.ends_with("stays") ? 1 : 0;
        }
        ASSERT_EQ(staying, 100);
        for (const std::string& key : mine) index_.remove(*index_.find(key));
        for (const std::string& key : mine) ASSERT_EQ(index_.find(key), nullptr) << key;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(keys_of(index_).size(), 100u);
}

// Every thread adds its own keys and some that all add, looks for what it has added, and scans: a scan is in order and
// misses nothing that was there when it began.
TEST_F(IndexTest, ReadersAndInsertersTogether) {
  constexpr int kThreads = 4;
  constexpr int kKeys = 4000;
  const std::uint64_t seed = seed_of_test();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, seed] {
      std::mt19937_64 random(seed + static_cast<std::uint64_t>(t));
      const Epochs::Pin pin(epochs_);
      std::vector<std::string> mine;
      for (int i = 0; i < kKeys; ++i) {
        mine.push_back(fmt::format("{:08}/{}", random() % 10'000'000, t));
        index_.find_or_add(mine.back()).value = t;
        index_.find_or_add(fmt::format("all/{:04}", random() % 1000)).value.fetch_add(1);
        const std::string& known = mine[random() % mine.size()];
        const Number* const found = index_.find(known);
        ASSERT_TRUE(found && found->value == t) << known;
        ASSERT_EQ(index_.at_or_after(known)->first, known);
        if (i % 200 != 0) continue;
        std::map<std::string, int> missing;
        for (const std::string& key : mine) missing[key] = 0;
        std::string previous;
        for (auto it = index_.begin(); it != index_.end(); ++it) {
          ASSERT_LT(previous, it->first);
          previous = it->first;
          missing.erase(previous);
        }
        ASSERT_TRUE(missing.empty()) << missing.begin()->first;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int common = 0;
  for (auto it = index_.at_or_after("all/"); it != index_.end() && it->first < "all0"; ++it) common += it->second.value;
  EXPECT_EQ(common, kThreads * kKeys) << "an entry was there twice";
}

}  // namespace
}  // namespace lockstep::kv::testing
