// accounts_test.cc: tests that pass when they are run, one of which deadlocks in some order.
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

namespace {

struct Account {
  std::mutex mutex;
  int balance = 100;
};

void transfer(Account& from, Account& to, int amount) {
  const std::lock_guard<std::mutex> first(from.mutex);
  const std::lock_guard<std::mutex> second(to.mutex);
  from.balance -= amount;
  to.balance += amount;
}

TEST(Accounts, TransferInOneDirection) {
  Account a, b;
  std::thread one([&] { transfer(a, b, 10); }), other([&] { transfer(a, b, 20); });
  one.join();
  other.join();
  EXPECT_EQ(a.balance, 70);
}

TEST(Accounts, TransferCrosswise) {
  Account a, b;
  std::thread one([&] { transfer(a, b, 10); }), other([&] { transfer(b, a, 20); });
  one.join();
  other.join();
  EXPECT_EQ(a.balance, 110);
}

class Amounts : public testing::TestWithParam<int> {};

TEST_P(Amounts, AreSeenWhole) {
  Account a;
  int seen = 0;
  std::thread one([&] {
    const std::lock_guard<std::mutex> lock(a.mutex);
    a.balance += GetParam();
  });
  {
    const std::lock_guard<std::mutex> lock(a.mutex);
    seen = a.balance;
  }
  one.join();
  // Whoever is first: this forgets that it may be the other one.
  EXPECT_EQ(seen, 100 + GetParam());
}

INSTANTIATE_TEST_SUITE_P(Some, Amounts, testing::Values(0, 5));

}  // namespace
