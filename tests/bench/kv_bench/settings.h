// settings.h: what one run of kv_bench is told: who is measured, under which load, how long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::bench {

enum class Workload : std::uint8_t { ycsb, tpcc };
enum class Durability : std::uint8_t { none, async, sync };

/// What kv is told of the keys of a transaction: nothing; as claims, at its begin; by prefetch() after it.
enum class Hint : std::uint8_t { nothing, claims, prefetch };

/// One who takes part: an engine, and for kv the protocol and what it is told.
struct Contestant {
  std::string engine = "kv";
  std::string protocol;  ///< empty: the engine has no choice
  Hint hint = Hint::nothing;

  std::string name() const {
    return (protocol.empty() ? engine : engine + ":" + protocol) + (hint == Hint::claims     ? "+claims"
                                                                    : hint == Hint::prefetch ? "+prefetch"
                                                                                             : "");
  }
};

struct Settings {
  Workload workload = Workload::ycsb;
  unsigned threads = 1;
  std::uint64_t records = 1'000'000;
  unsigned ops = 10;           ///< operations of a transaction
  unsigned read_percent = 50;  ///< of the operations; the others overwrite
  double theta = 0;            ///< Zipf's exponent, 0 = uniform; below 1
  std::size_t value_bytes = 8;
  unsigned scan = 0;  ///< not 0: a transaction is one scan of so many keys
  Durability durability = Durability::none;
  double lock_timeout_ms = 0;  ///< the longest wait for a lock, where the engine has one; 0 = its default
  double seconds = 5;          ///< measured, a round
  double warmup = 1;           ///< before it, seconds
  unsigned rounds = 1;
  std::uint64_t seed = 42;
  std::string dir;  ///< where engines with files keep them
};

}  // namespace lockstep::bench
