// churn_test.cc: memory does not grow with history: rows that come and go, and keys that are only asked for.
#include <malloc.h>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

// Sanitizers keep freed memory for a while, and the arena steps aside for them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasures = false;
#else
constexpr bool kMeasures = true;
#endif

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class Churn : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!kMeasures) GTEST_SKIP() << "built with a sanitizer";
  }
  /// How many bytes more are in use after as much of `body` again as has been done before.
  template <class Body>
  std::int64_t growth(int times, Body body) {
    for (int i = 0; i < times; ++i) body(i);
    const auto before = static_cast<std::int64_t>(bytes_in_use());
    for (int i = times; i < 2 * times; ++i) body(i);
    return static_cast<std::int64_t>(bytes_in_use()) - before;
  }

  std::unique_ptr<Store> store_ = open_store(GetParam());
  CountingWaiter waiter_;
};

// 20,000 keys of some 50 bytes with their record would be a megabyte.
constexpr std::int64_t kLittle = 128 * 1024;

TEST_P(Churn, AQueueOfRowsTakesTheMemoryOfItsLength) {
  constexpr int kLength = 200;
  const auto key = [](int i) { return fmt::format("queue/{:032}", i); };
  const std::int64_t grown = growth(20'000, [&](int i) {
    Transaction txn = store_->begin({.claims_all = true});
    ASSERT_TRUE(txn.insert(key(i), "a value that is longer than a word or two", waiter_)->ok());
    if (i >= kLength) {
      ASSERT_TRUE(**txn.erase(key(i - kLength), waiter_));
    }
    ASSERT_TRUE(txn.commit(waiter_)->ok());
  });
  EXPECT_LT(grown, kLittle);
  EXPECT_EQ(contents(*store_).size(), static_cast<std::size_t>(kLength));
}

TEST_P(Churn, InsertionsThatAreRolledBackLeaveNothing) {
  const std::int64_t grown = growth(20'000, [&](int i) {
    Transaction txn = store_->begin({.claims_all = true});
    ASSERT_TRUE(txn.write(fmt::format("{:032}", (i * 7919) % 1'000'003), "value", waiter_)->ok());
  });
  EXPECT_LT(grown, kLittle);
  EXPECT_TRUE(contents(*store_).empty());
}

TEST_P(Churn, KeysThatAreOnlyReadLeaveNothing) {
  std::string value;
  const std::int64_t grown = growth(20'000, [&](int i) {
    Transaction txn = store_->begin({.claims_all = true});
    ASSERT_FALSE(**txn.read(fmt::format("{:032}", (i * 7919) % 1'000'003), value, waiter_));
    ASSERT_TRUE(txn.commit(waiter_)->ok());
  });
  EXPECT_LT(grown, kLittle);
}

TEST_P(Churn, UpdatesOfAnyLengthTakeTheMemoryOfTheLongest) {
  load(*store_, {{"a", "1"}, {"b", "1"}});
  const std::int64_t grown = growth(20'000, [&](int i) {
    Transaction txn = store_->begin({.claims_all = true});
    const std::string value(static_cast<std::size_t>(i * 31 % 2000), 'v');
    ASSERT_TRUE(txn.write(i % 2 == 0 ? "a" : "b", value, waiter_)->ok());
    ASSERT_TRUE(txn.commit(waiter_)->ok());
  });
  EXPECT_LT(grown, kLittle);
}

TEST_P(Churn, WhatAnOldSnapshotHoldsUpIsGivenBackAfterIt) {
  if (GetParam() != "snapshot" && GetParam() != "ssi") GTEST_SKIP() << GetParam() << " has one version of a row";
  load(*store_, {{"a", "0"}});
  const auto commit = [&](const std::string& key, std::optional<std::string_view> value) {
    Transaction txn = store_->begin();
    if (value)
      ASSERT_TRUE(txn.write(key, *value, waiter_)->ok());
    else
      ASSERT_TRUE(**txn.erase(key, waiter_));
    ASSERT_TRUE(txn.commit(waiter_)->ok());
  };
  const std::int64_t grown = growth(50, [&](int i) {
    Transaction old = store_->begin();
    std::string before;
    ASSERT_TRUE(**old.read("a", before, waiter_));
    for (int n = 0; n < 400; ++n) {
      const std::string come_and_gone = fmt::format("{:032}", 400 * i + n);
      commit(come_and_gone, "value");
      commit(come_and_gone, std::nullopt);
      commit("a", std::to_string(n));
    }
    std::string again;
    ASSERT_TRUE(**old.read("a", again, waiter_));
    EXPECT_EQ(again, before);
    ASSERT_TRUE(old.commit(waiter_)->ok());
  });
  EXPECT_LT(grown, kLittle);
}

LOCKSTEP_EVERY_PROTOCOL(Churn);

}  // namespace
}  // namespace lockstep::kv::testing
