// runtime_bench.cc: what the coroutine runtime costs: spawn, switch, arena, timers, memory, beside its peers.
//
//   build/release/tests/runtime_bench --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
//   build/release/tests/runtime_bench --benchmark_filter=Sleepers     # a million coroutines asleep
//
// Compare the medians of one run. `each`: seconds of one such thing; `bytes`: of the heap, for each session.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/runtime/runtime.h"
#include "engine/stores/kv/kv_call.h"

#ifdef LOCKSTEP_ASIO
#include <utility>  // Boost 1.74's awaitable.hpp needs it and does not say so
//
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#endif

namespace lockstep {
namespace {

using namespace std::chrono_literals;
using benchmark::Counter;
using runtime::Group;
using runtime::Strand;

/// "each": the time of one of `count` things an iteration.
void report(benchmark::State& state, std::int64_t count) {
  state.counters["each"] = Counter(static_cast<double>(count), Counter::kIsIterationInvariantRate | Counter::kInvert);
}

/// Bytes of the heap in use.
std::size_t heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// -- spawn + run + destroy --

constexpr int kSpawned = 1000;

Task<> nothing() { co_return; }
Task<> spawn_one_by_one() {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  for (int i = 0; i < kSpawned; ++i) {
    group.spawn(nothing());
    co_await group.join();
  }
}
Task<> spawn_all() {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  for (int i = 0; i < kSpawned; ++i) group.spawn(nothing());
  co_await group.join();
}
/// A measured task, again and again inside one runtime.
Task<> repeat(benchmark::State* state, Task<> (*measured)()) {
  for (auto _ : *state) co_await measured();
}
void Spawn(benchmark::State& state, Task<> (*measured)()) {
  (void)runtime::run(repeat(&state, measured));
  report(state, kSpawned);
}
BENCHMARK_CAPTURE(Spawn, one_by_one, spawn_one_by_one);
BENCHMARK_CAPTURE(Spawn, a_thousand, spawn_all);

void SpawnThread(benchmark::State& state) {
  for (auto _ : state) std::thread([] {}).join();
  report(state, 1);
}
BENCHMARK(SpawnThread);

#ifdef LOCKSTEP_ASIO
boost::asio::awaitable<void> asio_nothing() { co_return; }
void SpawnAsio(benchmark::State& state) {
  for (auto _ : state) {
    boost::asio::io_context context(1);
    for (int i = 0; i < kSpawned; ++i) boost::asio::co_spawn(context, asio_nothing(), boost::asio::detached);
    context.run();
  }
  report(state, kSpawned);
}
BENCHMARK(SpawnAsio);
#endif

// -- a switch --

constexpr int kSwitches = 1000;

Task<> yield_often() {
  for (int i = 0; i < kSwitches; ++i) co_await runtime::yield();
}
Task<> two_yield() {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  group.spawn(yield_often());
  group.spawn(yield_often());
  co_await group.join();
}
void Resume(benchmark::State& state, Task<> (*measured)(), int tasks) {
  (void)runtime::run(repeat(&state, measured));
  report(state, std::int64_t{kSwitches} * tasks);
}
BENCHMARK_CAPTURE(Resume, on_the_loop, yield_often, 1);
BENCHMARK_CAPTURE(Resume, on_the_loop_two_tasks, two_yield, 2);

Task<> through_the_arena() {
  for (int i = 0; i < kSwitches; ++i) co_await runtime::on_arena([] {});
}
Task<> many_through_the_arena() {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  for (int i = 0; i < 64; ++i) group.spawn(through_the_arena());
  co_await group.join();
}
BENCHMARK_CAPTURE(Resume, through_the_arena_64_tasks, many_through_the_arena, 64)->UseRealTime();

#ifdef LOCKSTEP_ASIO
boost::asio::awaitable<void> asio_yield_often() {
  for (int i = 0; i < kSwitches; ++i) co_await boost::asio::post(boost::asio::use_awaitable);
}
void ResumeAsio(benchmark::State& state) {
  for (auto _ : state) {
    boost::asio::io_context context(1);
    boost::asio::co_spawn(context, asio_yield_often(), boost::asio::detached);
    context.run();
  }
  report(state, kSwitches);
}
BENCHMARK(ResumeAsio);
#endif

/// Two threads that hand a turn to each other.
void SwitchThreads(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  bool over = false;
  std::thread other([&] {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      while (turn != 1 && !over) changed.wait(lock);
      if (over) return;
      turn = 0;
      changed.notify_one();
    }
  });
  for (auto _ : state) {
    std::unique_lock<std::mutex> lock(mutex);
    turn = 1;
    changed.notify_one();
    while (turn != 0) changed.wait(lock);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    over = true;
    changed.notify_one();
  }
  other.join();
  report(state, 2);
}
BENCHMARK(SwitchThreads)->UseRealTime();

// -- timers, with 100,000 others set --

struct Nothing final : runtime::Timer {
  void fire() noexcept override {}
};
void SetAndCancelATimer(benchmark::State& state) {
  runtime::TimerWheel wheel(Nanos(0));
  std::vector<std::unique_ptr<Nothing>> others;
  for (int i = 0; i < 100'000; ++i) {
    others.push_back(std::make_unique<Nothing>());
    wheel.set(*others.back(), 1ms * (i % 5000 + 1));
  }
  Nothing timer;
  std::int64_t i = 0;
  for (auto _ : state) {
    wheel.set(timer, 30s + Nanos(++i % 1000 * 1'000'000));
    wheel.cancel(timer);
  }
  for (auto& each : others) wheel.cancel(*each);
  report(state, 1);
}
BENCHMARK(SetAndCancelATimer);

// -- memory --

/// A million coroutines asleep at once: bytes of each, and how late they wake. Their moments lie over four seconds.
Task<> sleeper(Nanos moment, std::int32_t* late_us) {
  co_await runtime::sleep_until(moment);
  *late_us = static_cast<std::int32_t>((RealClock().now() - moment).count() / 1000);
}
Task<> sleepers(std::int64_t count, std::vector<std::int32_t>* late_us, double* bytes) {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  const std::size_t before = heap_bytes();
  const Nanos first = self.loop().now() + 2s, spread = 4s;  // they are asleep before the first is due
  for (std::int64_t i = 0; i < count; ++i) {
    group.spawn(sleeper(first + spread * i / count, &(*late_us)[static_cast<std::size_t>(i)]));
  }
  co_await runtime::sleep_until(first - 1ms);
  *bytes = static_cast<double>(heap_bytes() - before) / static_cast<double>(count);
  co_await group.join();
}
void Sleepers(benchmark::State& state) {
  std::vector<std::int32_t> late_us(static_cast<std::size_t>(state.range(0)));
  double bytes = 0;
  for (auto _ : state) (void)runtime::run(sleepers(state.range(0), &late_us, &bytes));
  std::sort(late_us.begin(), late_us.end());
  state.counters["bytes"] = bytes;
  state.counters["late_p50_us"] = late_us[late_us.size() / 2];
  state.counters["late_p99_us"] = late_us[late_us.size() * 99 / 100];
  state.counters["late_max_us"] = late_us.back();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  state.counters["rss_MB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}
BENCHMARK(Sleepers)->Arg(1'000'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

/// Sessions that wait for one row of kv, each with a row of its own written: frames, strand, transaction and locks.
Task<> waits_for_a_row(kv::Store* store, std::uint64_t session) {
  kv::Transaction txn = store->begin();
  const auto own = [&](Waiter& w) {
    return txn.write({reinterpret_cast<const char*>(&session), sizeof session}, "1", w);
  };
  (void)co_await runtime::kv_call(txn, own);
  const auto hot = [&](Waiter& w) { return txn.write("hot", "1", w); };
  (void)co_await runtime::kv_call(txn, hot);
  txn.abort();
}
Task<> sessions_that_wait(std::int64_t count, double* bytes) {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  auto store = std::move(*kv::Store::open({.protocol = "2pl-timeout", .lock_timeout = 1h}));
  kv::Transaction holder = store->begin();
  const auto hot = [&](Waiter& w) { return holder.write("hot", "1", w); };
  (void)co_await runtime::kv_call(holder, hot);
  const std::size_t before = heap_bytes();
  for (std::int64_t i = 0; i < count; ++i) group.spawn(waits_for_a_row(store.get(), static_cast<std::uint64_t>(i)));
  co_await runtime::yield();
  *bytes = static_cast<double>(heap_bytes() - before) / static_cast<double>(count);
  holder.abort();
  co_await group.join();
}
void SessionsWaitingForKv(benchmark::State& state) {
  double bytes = 0;
  for (auto _ : state) (void)runtime::run(sessions_that_wait(state.range(0), &bytes));
  state.counters["bytes"] = bytes;
}
BENCHMARK(SessionsWaitingForKv)->Arg(10'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lockstep

BENCHMARK_MAIN();
