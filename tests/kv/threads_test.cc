// threads_test.cc: real threads on one store, for the invariants that must hold whatever the machine does, and for
// ThreadSanitizer. LOCKSTEP_SEED=n and LOCKSTEP_TRANSFERS=n say which and how many.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

std::string account(std::uint64_t i) { return fmt::format("account/{}", i); }

/// Runs `body` as a transaction until it commits. A retry keeps the age of its first attempt.
template <class Body>
int retry(Store& store, const std::vector<std::string>& claims, Body body) {
  TxnId first = 0;
  for (int attempts = 1;; ++attempts) {
    Transaction begun = store.begin({.claims = claims, .first_attempt = first});
    if (first == 0) first = begun.id();
    SyncTransaction txn(std::move(begun));
    const Result<void> done = body(txn);
    const Result<void> committed = done.ok() ? txn.commit() : done;
    if (committed.ok()) return attempts;
    EXPECT_TRUE(is_retry_safe(committed.fault())) << committed.error().message;
    if (!is_retry_safe(committed.fault())) return attempts;
    std::this_thread::yield();
  }
}

template <class Body>
void in_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

/// Two threads that do the same thing over and over and start each round at the same moment.
class Pair {
 public:
  Pair() : other_([this] { serve(); }) {}
  ~Pair() {
    stop_.store(true);
    other_.join();
  }
  /// Runs body(0) here and body(1) on the other thread.
  void meet(const std::function<void(int)>& body) {
    body_ = &body;
    round_.fetch_add(1);
    body(0);
    while (done_.load() != round_.load()) std::this_thread::yield();
  }

 private:
  void serve() {
    for (int served = 0; !stop_.load();) {
      if (round_.load() == served) {
        std::this_thread::yield();
        continue;
      }
      (*body_)(1);
      done_.store(++served);
    }
  }

  const std::function<void(int)>* body_ = nullptr;  // handed over by round_
  std::atomic<int> round_{0};
  std::atomic<int> done_{0};
  std::atomic<bool> stop_{false};
  std::thread other_;
};

class Threads : public ::testing::TestWithParam<std::string> {
 protected:
  void meet(const std::function<void(int)>& body) { pair_.meet(body); }

  Pair pair_;
  // Short, so that 2pl-timeout does not spend the test waiting.
  std::unique_ptr<Store> store_ = open_store(
      GetParam(), {.lock_timeout = GetParam() == "2pl-timeout" ? Nanos(std::chrono::milliseconds(2)) : kNever});
  const std::uint64_t seed_ = number_from("LOCKSTEP_SEED", 42);
  const std::uint64_t transfers_ = number_from("LOCKSTEP_TRANSFERS", 2000);
};

TEST_P(Threads, MoneyIsConserved) {
  SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}", seed_));
  constexpr std::uint64_t kAccounts = 6;
  std::vector<Row> rows;
  std::vector<std::string> all;
  for (std::uint64_t i = 0; i < kAccounts; ++i) rows.push_back({account(i), "100"}), all.push_back(account(i));
  load(*store_, rows);
  const auto sum = [](const std::vector<Row>& found) {
    int total = 0;
    for (const Row& row : found) total += std::stoi(row.value);
    return total;
  };
  std::atomic<int> wrong_sums{0};
  in_threads(4, [&](int thread) {
    std::mt19937_64 random(seed_ + static_cast<std::uint64_t>(thread));
    for (std::uint64_t n = 0; n < transfers_; ++n) {
      if (random() % 8 == 0) {  // an auditor
        std::vector<Row> found;
        retry(*store_, all, [&](SyncTransaction& txn) { return txn.scan("account/", "account0", 1000, found); });
        if (sum(found) != 100 * static_cast<int>(kAccounts)) ++wrong_sums;
        continue;
      }
      const std::string from = account(random() % kAccounts);
      std::string to = account(random() % kAccounts);
      if (to == from) continue;
      const bool for_update = random() % 2 == 0;
      retry(*store_, {from, to}, [&](SyncTransaction& txn) -> Result<void> {
        std::string balance;
        for (const auto& [key, by] : {std::pair(from, -1), std::pair(to, +1)}) {
          const Result<bool> found = for_update ? txn.read_for_update(key, balance) : txn.read(key, balance);
          if (!found.ok()) return found.error();
          const Result<void> written = txn.write(key, std::to_string(std::stoi(balance) + by));
          if (!written.ok()) return written;
        }
        return {};
      });
    }
  });
  EXPECT_EQ(wrong_sums, 0) << "an auditor that committed saw money appear or vanish";
  EXPECT_EQ(sum(contents(*store_)), 100 * static_cast<int>(kAccounts));
  EXPECT_TRUE(store_->locks().empty());
  EXPECT_TRUE(store_->waits().empty());
}

TEST_P(Threads, NoIncrementIsLost) {
  load(*store_, {{"counter", "0"}});
  std::atomic<int> attempts{0};
  in_threads(4, [&](int thread) {
    for (std::uint64_t n = 0; n < transfers_; ++n)
      attempts += retry(*store_, {"counter"}, [&](SyncTransaction& txn) -> Result<void> {
        std::string value;
        const bool for_update = thread % 2 == 0;
        const Result<bool> found = for_update ? txn.read_for_update("counter", value) : txn.read("counter", value);
        if (!found.ok()) return found.error();
        return txn.write("counter", std::to_string(std::stoi(value) + 1));
      });
  });
  EXPECT_EQ(contents(*store_)[0].value, std::to_string(4 * transfers_));
  RecordProperty("attempts", attempts.load());
}

// Each adds a row with the number of rows that it counted: a phantom would give the same number twice.
TEST_P(Threads, EveryCountIsTakenOnceWhereItIsSerializable) {
  if (!is_serializable(GetParam())) GTEST_SKIP() << GetParam() << " allows phantoms to decide both ways";
  constexpr int kRowsOfEach = 20;
  in_threads(4, [&](int thread) {
    for (int n = 0; n < kRowsOfEach; ++n) {
      TxnId first = 0;
      while (true) {
        // What it will find is not known beforehand, so it claims everything.
        Transaction begun = store_->begin({.claims_all = true, .first_attempt = first});
        if (first == 0) first = begun.id();
        SyncTransaction txn(std::move(begun));
        std::vector<Row> rows;
        if (txn.scan("row/", "row0", 1000, rows).ok() &&
            txn.insert(fmt::format("row/{}/{}", thread, n), std::to_string(rows.size())).ok() && txn.commit().ok())
          break;
        std::this_thread::yield();
      }
    }
  });
  std::vector<std::string> numbers;
  for (const Row& row : contents(*store_)) numbers.push_back(row.value);
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end());
  EXPECT_EQ(numbers.size(), 4u * kRowsOfEach);
}

// Two threads meet at a barrier and each takes the other's row for its reason to give up its own: at most one may. Each
// reads many rows besides, so that a validation takes its time and two of them overlap. A thread waits at the barrier
// only while the other one can still come. With locks that is never, and waiting then was most of this test's time.
TEST_P(Threads, WriteSkewNeverHappensWhereItIsSerializable) {
  if (!is_serializable(GetParam())) GTEST_SKIP() << GetParam() << " allows it";
  const std::vector<std::string> doctors = {"alice", "bob"};
  std::vector<std::string> others;
  for (int i = 0; i < 300 && GetParam() != "2pl-banker"; ++i) others.push_back(fmt::format("other/{}", i));
  for (std::uint64_t round = 0; round < transfers_ / 4; ++round) {
    load(*store_, {{"alice", "on"}, {"bob", "on"}});
    std::atomic<int> about_to_commit{0};
    std::atomic<int> ended{0};
    const auto take_turn = [&](int thread) {
      Transaction begun = store_->begin({.claims = doctors});
      SyncTransaction txn(std::move(begun));
      std::string alice;
      std::string bob;
      std::string value;
      if (!txn.read("alice", alice).ok() || !txn.read("bob", bob).ok()) return;
      if (alice != "on" || bob != "on") return;
      for (const std::string& other : others)
        if (!txn.read(other, value).ok()) return;
      if (!txn.write(doctors[static_cast<std::size_t>(thread)], "off").ok()) return;
      // Both at once, unless the other has ended, or waits for this one.
      about_to_commit.fetch_add(1);
      for (int patience = 0; about_to_commit.load() + ended.load() < 2 && patience < 2000; ++patience) {
        if (patience % 16 == 15 && !store_->waits().empty()) break;
        std::this_thread::yield();
      }
      [[maybe_unused]] const Result<void> committed = txn.commit();
    };
    meet([&](int thread) {
      take_turn(thread);
      ended.fetch_add(1);
    });
    std::vector<Row> rows = contents(*store_);
    ASSERT_TRUE(rows[0].value == "on" || rows[1].value == "on") << "round " << round;
  }
}

// Introspection, from a thread of its own, while everything moves.
TEST_P(Threads, LookingDoesNotDisturb) {
  load(*store_, {{"a", "0"}, {"b", "0"}, {"c", "0"}});
  std::atomic<bool> done{false};
  std::thread observer([&] {
    while (!done.load()) {
      for (const WaitEdge& edge : store_->waits()) {
        store_->waits_of(edge.waiter);
        store_->tag_of(edge.holder);
      }
      store_->locks();
    }
  });
  in_threads(3, [&](int thread) {
    std::mt19937_64 random(seed_ + static_cast<std::uint64_t>(thread));
    for (std::uint64_t n = 0; n < transfers_ / 2; ++n) {
      std::vector<std::string> keys = {"a", "b", "c"};
      std::shuffle(keys.begin(), keys.end(), random);
      retry(*store_, keys, [&](SyncTransaction& txn) -> Result<void> {
        for (const std::string& key : keys) {
          const Result<void> written = txn.write(key, "x");
          if (!written.ok()) return written;
        }
        return {};
      });
    }
  });
  done = true;
  observer.join();
}

LOCKSTEP_EVERY_PROTOCOL(Threads);

// The wake-up is held up until the woken has read: it must find the row as it was before the aborted write.
TEST(Abort, UndoesItsWritesBeforeItLetsAnybodyRead) {
  class HoldingWaiter final : public Waiter {
   public:
    void wake() noexcept override {
      woken = true;
      while (!has_read) std::this_thread::yield();
    }
    std::atomic<bool> woken{false};
    std::atomic<bool> has_read{false};
  };
  const auto store = open_store("2pl-detect");
  load(*store, {{"x", "clean"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.write("x", "dirty"), "ok");
  HoldingWaiter waiter;
  std::string value;
  ASSERT_FALSE(t2.txn.read("x", value, waiter).has_value());
  std::thread reader([&] {
    while (!waiter.woken) std::this_thread::yield();
    EXPECT_TRUE(t2.txn.read("x", value, waiter).has_value());
    waiter.has_read = true;
  });
  t1.txn.abort();
  reader.join();
  EXPECT_EQ(value, "clean");
}

}  // namespace
}  // namespace lockstep::kv::testing
