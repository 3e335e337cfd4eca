// session_bench.cc: what one operation through a session costs over the bare kv call, when nobody waits.
//
//   build/release/tests/session_bench --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
//
// Compare the medians of one run. `allocs/op` counts calls of operator new inside the timed loop.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/run/run.h"
#include "kv/store.h"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Not inlined: g++ would then see malloc() and free() at the two ends of a new-expression and warn of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace lockstep {
namespace {

class Nobody final : public Waiter {
 public:
  void wake() noexcept override {}
};

/// Counts allocations from its making to its end into `state`.
class AllocationCount {
 public:
  explicit AllocationCount(benchmark::State& state) : state_(state), before_(allocations.load()) {}
  ~AllocationCount() {
    const auto made = static_cast<double>(allocations.load() - before_);
    state_.counters["allocs/op"] = benchmark::Counter(made, benchmark::Counter::kAvgIterations);
  }

 private:
  benchmark::State& state_;
  const std::uint64_t before_;
};

void BareKvRead(benchmark::State& state) {
  auto store = std::move(*kv::Store::open({.protocol = "2pl-detect"}));
  Nobody nobody;
  kv::Transaction txn = store->begin();
  (void)txn.write("balance", "100", nobody);
  std::string value;
  (void)txn.read("balance", value, nobody);
  const AllocationCount count(state);
  for (auto _ : state) {
    auto attempt = txn.read("balance", value, nobody);
    benchmark::DoNotOptimize(attempt);
  }
}
BENCHMARK(BareKvRead);

benchmark::State* running = nullptr;  // a body gets its arguments by value, and a State cannot be copied

Task<> reads(Context& c) {
  co_await c.db.begin();
  co_await c.db.write("balance", 100);
  (void)co_await c.db.read("balance");
  {
    const AllocationCount count(*running);
    for (auto _ : *running) {
      const Value value = co_await c.db.read("balance");
      benchmark::DoNotOptimize(&value);
    }
  }
  co_await c.db.commit();
}

void SessionRead(benchmark::State& state, const std::string& executor) {
  running = &state;
  Scenario made = scenario("reads").pattern("plain", "").actor("T1", reads).expect("kv", "2pl-detect: clean");
  const auto result =
      run(made, {.executor = executor, .schedule = "free", .limit = std::chrono::hours(1), .recording = false});
  if (!result.ok()) state.SkipWithError(result.error().message.c_str());
}
BENCHMARK_CAPTURE(SessionRead, threads, "threads");
BENCHMARK_CAPTURE(SessionRead, coroutines, "coroutines");

}  // namespace
}  // namespace lockstep

BENCHMARK_MAIN();
