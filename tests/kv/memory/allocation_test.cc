// allocation_test.cc: an operation that does not wait allocates nothing once the transaction's memory has grown.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/kv/clients.h"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Sanitizers bring their own; counting beside them would hide what they look for.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_COUNTS_ALLOCATIONS 0
#else
#define LOCKSTEP_COUNTS_ALLOCATIONS 1
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace lockstep::kv::testing {
namespace {

class Allocation : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!LOCKSTEP_COUNTS_ALLOCATIONS) GTEST_SKIP() << "built with a sanitizer";
    if (GetParam() == "2pl-banker") GTEST_SKIP() << "the banker is not built for speed";
  }

  /// Allocations of `body` once it has run often enough for every pooled transaction to have been used.
  template <class Body>
  std::uint64_t steady(Body body) {
    for (int i = 0; i < 200; ++i) body();
    const std::uint64_t before = allocations.load();
    for (int i = 0; i < 100; ++i) body();
    return allocations.load() - before;
  }

  std::unique_ptr<Store> store_ = open_store(GetParam());
};

TEST_P(Allocation, ATransactionThatReadsAllocatesNothing) {
  load(*store_, {{"account/1", "100"}, {"account/2", "200"}});
  CountingWaiter waiter;
  std::string value;
  EXPECT_EQ(steady([&] {
              Transaction txn = store_->begin({.label = "T1"});
              txn.read("account/1", value, waiter);
              txn.read("account/2", value, waiter);
              txn.read("account/3", value, waiter);
              txn.commit(waiter);
            }),
            0u);
}

TEST_P(Allocation, ATransactionThatWritesAllocatesNothing) {
  load(*store_, {{"account/1", "100"}});
  CountingWaiter waiter;
  std::string value;
  int n = 0;
  const std::uint64_t count = steady([&] {
    Transaction txn = store_->begin({.label = "T1"});
    txn.read_for_update("account/1", value, waiter);
    txn.write("account/1", n++ % 2 == 0 ? "101" : "a value that does not fit into a string's own few bytes", waiter);
    txn.commit(waiter);
  });
  // Versions and long values travel between the store and the pooled transactions: a few still grow.
  EXPECT_LE(count, 100u / 5);
}

TEST_P(Allocation, AReadInsideATransactionAllocatesNothing) {
  load(*store_, {{"account/1", "100"}});
  CountingWaiter waiter;
  std::string value;
  Transaction txn = store_->begin({.label = "T1"});
  EXPECT_EQ(steady([&] { txn.read("account/1", value, waiter); }), 0u);
  EXPECT_EQ(value, "100");
}

LOCKSTEP_EVERY_PROTOCOL(Allocation);

}  // namespace
}  // namespace lockstep::kv::testing
