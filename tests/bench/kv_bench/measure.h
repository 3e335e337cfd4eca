// measure.h: runs an engine's clients for a while and says what came of it.
#pragma once

#include <map>
#include <string>

#include "tests/bench/kv_bench/engine.h"

namespace lockstep::bench {

/// Memory of this process, bytes.
struct Memory {
  std::uint64_t resident = 0;
  std::uint64_t heap = 0;  ///< handed out by malloc, with its overhead; 0 where the C library does not tell

  static Memory now();
};

/// What filling an engine took.
struct Filled {
  double seconds = 0;
  double bytes_per_key = 0;       ///< resident, key and value included; 0 for TPC-C
  double heap_bytes_per_key = 0;  ///< by malloc
};

/// One round.
struct Round {
  double seconds = 0;
  std::uint64_t committed = 0;
  std::uint64_t rows = 0;
  std::uint64_t rollbacks = 0;
  std::map<std::string, std::uint64_t> aborts;
  double p50_us = 0, p90_us = 0, p99_us = 0, p999_us = 0, max_us = 0;
  double cpu_seconds = 0;
  std::uint64_t resident = 0;  ///< bytes, at its end
  std::string broken;          ///< not empty: it does not count, and why

  double per_second() const { return seconds > 0 ? static_cast<double>(committed) / seconds : 0; }
  double per_cpu_second() const { return cpu_seconds > 0 ? static_cast<double>(committed) / cpu_seconds : 0; }
};

Filled fill(Engine& engine, const Settings& settings, Memory before);
Round run_round(Engine& engine, const Settings& settings);

}  // namespace lockstep::bench
