// measure.cc: clients on threads, a warm-up, a measured time, and the sum of what they counted.
#include "tests/bench/kv_bench/measure.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <thread>
#include <vector>

namespace lockstep::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void add(const Tally& tally, Round& round, Histogram& latency) {
  round.committed += tally.committed;
  round.rows += tally.rows;
  round.rollbacks += tally.rollbacks;
  for (std::size_t fault = 0; fault < tally.aborts.size(); ++fault)
    if (tally.aborts[fault] > 0) round.aborts[std::string(name_of(static_cast<Fault>(fault)))] += tally.aborts[fault];
  latency.merge(tally.latency);
  if (!tally.broken.empty()) round.broken = tally.broken;
}

}  // namespace

Memory Memory::now() {
  malloc_trim(0);
  Memory memory;
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  if (statm >> pages >> pages) memory.resident = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const struct mallinfo2 info = mallinfo2();
  memory.heap = info.uordblks + info.hblkhd;
#endif
  return memory;
}

Filled fill(Engine& engine, const Settings& settings, Memory before) {
  const auto begin = SteadyClock::now();
  engine.fill();
  const double seconds = seconds_since(begin);
  const Memory after = Memory::now();
  const auto records = static_cast<double>(settings.records);
  const auto grown = [&](std::uint64_t from, std::uint64_t to) {
    return to > from && settings.workload == Workload::ycsb ? static_cast<double>(to - from) / records : 0;
  };
  return {seconds, grown(before.resident, after.resident), grown(before.heap, after.heap)};
}

Round run_round(Engine& engine, const Settings& settings) {
  Control control(settings.threads + 1);
  std::vector<std::unique_ptr<Tally>> tallies;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < settings.threads; ++i) tallies.push_back(std::make_unique<Tally>());
  for (unsigned i = 0; i < settings.threads; ++i) threads.emplace_back([&, i] { engine.run(i, control, *tallies[i]); });
  control.ready.arrive_and_wait();
  std::this_thread::sleep_for(std::chrono::duration<double>(settings.warmup));
  const double cpu_before = cpu_seconds();
  const auto begin = SteadyClock::now();
  control.phase.store(Phase::measure, std::memory_order_relaxed);
  std::this_thread::sleep_for(std::chrono::duration<double>(settings.seconds));
  control.phase.store(Phase::stop, std::memory_order_relaxed);
  Round round;
  round.seconds = seconds_since(begin);
  round.cpu_seconds = cpu_seconds() - cpu_before;
  for (std::thread& thread : threads) thread.join();
  Histogram latency;
  for (const auto& tally : tallies) add(*tally, round, latency);
  const auto us = [&](double quantile) { return static_cast<double>(latency.quantile(quantile).count()) / 1000; };
  round.p50_us = us(0.5), round.p90_us = us(0.9), round.p99_us = us(0.99), round.p999_us = us(0.999);
  round.max_us = static_cast<double>(latency.max().count()) / 1000;
  round.resident = Memory::now().resident;
  return round;
}

}  // namespace lockstep::bench
