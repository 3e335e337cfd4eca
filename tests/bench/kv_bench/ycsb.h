// ycsb.h: the load of Cooper et al., "Benchmarking cloud serving systems with YCSB", 2010, in transactions: each has
// `ops` operations on records chosen by Zipf's law, each a read or an overwrite. Or each is one scan.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "engine/scenario/zipf.h"
#include "kv/store.h"
#include "tests/bench/kv_bench/engine.h"

namespace lockstep::bench {

/// Record number i as a key: 8 bytes, in the order of the numbers.
using NumberKey = std::array<char, 8>;

inline NumberKey key_of(std::uint64_t number) {
  NumberKey key;
  const std::uint64_t big_endian = __builtin_bswap64(number);
  std::memcpy(key.data(), &big_endian, sizeof big_endian);
  return key;
}

inline std::string_view view(const NumberKey& key) { return {key.data(), key.size()}; }

/// The operations of one client, drawn before the clock runs: to draw one costs as much as the fastest engine needs to
/// execute it. Walked in a circle.
class YcsbStream {
 public:
  struct Op {
    std::uint32_t record : 31;
    std::uint32_t is_write : 1;
  };

  YcsbStream(const Settings& settings, unsigned client) : length_(settings.scan > 0 ? 1 : settings.ops) {
    constexpr std::size_t kOps = 1 << 20;
    std::mt19937_64 random(settings.seed * 1000 + client);
    const Zipf zipf(settings.records, settings.theta);
    const Scatter scatter(settings.records);
    ops_.resize(kOps / length_ * length_ + length_);
    for (Op& op : ops_) {
      op.record = static_cast<std::uint32_t>(scatter(zipf(random))) & 0x7fffffff;
      op.is_write = random() % 100 >= settings.read_percent;
    }
  }

  /// The next transaction.
  std::span<const Op> next() {
    if (at_ + length_ > ops_.size()) at_ = 0;
    const std::span<const Op> txn(ops_.data() + at_, length_);
    at_ += length_;
    return txn;
  }

 private:
  std::size_t length_;
  std::size_t at_ = 0;
  std::vector<Op> ops_;
};

/// Times some of a client's transactions, each from its first begin to its commit: all, or one of 32 where a look at
/// the clock would be a good part of a transaction. And counts only while it is measured.
class Stopwatch {
 public:
  Stopwatch(const Control& control, Tally& tally) : phase_(control.phase), tally_(tally) {}

  /// False: stop. Relaxed: the phases order nothing else.
  bool begin() {
    const Phase now = phase_.load(std::memory_order_relaxed);
    if (now != Phase::warmup && warming_) {
      warming_ = false;
      constexpr std::uint64_t kFast = 10'000;  // transactions in the warm-up
      if (warmed_ > kFast) stride_ = 32;
    }
    timed_ = !warming_ && --until_timed_ == 0;
    if (timed_) {
      until_timed_ = stride_;
      begin_ = std::chrono::steady_clock::now();
    }
    return now != Phase::stop;
  }
  void aborted(Fault fault) { tally_.aborts[static_cast<std::size_t>(fault)] += !warming_; }
  void committed(std::uint64_t rows = 0) {
    if (warming_) {
      ++warmed_;
      return;
    }
    ++tally_.committed;
    tally_.rows += rows;
    if (timed_) tally_.latency.record(std::chrono::steady_clock::now() - begin_);
  }
  void rolled_back() { tally_.rollbacks += !warming_; }

 private:
  const std::atomic<Phase>& phase_;
  Tally& tally_;
  bool warming_ = true;
  bool timed_ = false;
  std::uint64_t warmed_ = 0;
  unsigned stride_ = 1;
  unsigned until_timed_ = 1;
  std::chrono::steady_clock::time_point begin_;
};

/// Runs `body(retry)` until it commits: again at once after the first abort, later with a step back before it. False:
/// the client has to stop.
template <class Session, class Body>
bool until_committed(Session& session, Stopwatch& watch, Control& control, Tally& tally, Body body) {
  for (int attempt = 0;; ++attempt) {
    const Failure failure = body(attempt > 0);
    if (!failure) return true;
    session.abort();
    if (!is_retry_safe(*failure)) {
      tally.broken = fmt::format("{}: {}", name_of(*failure), session.why());
      return false;
    }
    watch.aborted(*failure);
    if (control.phase.load(std::memory_order_relaxed) == Phase::stop) return false;
    if (attempt > 0) std::this_thread::yield();
  }
}

template <class Session>
void fill_ycsb(Session& session, const Settings& settings) {
  constexpr std::uint64_t kBatch = 1000;
  const Scatter scatter(settings.records);  // not in the order of the keys: that would flatter some trees
  const std::string value(settings.value_bytes, 'v');
  std::string broken;
  for (std::uint64_t i = 0; i < settings.records;) {
    session.begin({.claims_all = true});
    Failure failure;
    for (const std::uint64_t end = std::min(i + kBatch, settings.records); i < end && !failure; ++i)
      failure = session.write(view(key_of(scatter(i))), value);
    if (!failure) failure = session.commit();
    LOCKSTEP_CHECK(!failure, "filling failed at record {}: {}", i, session.why());
  }
}

template <class Session>
void run_ycsb(Session& session, const Settings& settings, unsigned client, Control& control, Tally& tally) {
  YcsbStream stream(settings, client);
  Stopwatch watch(control, tally);
  std::vector<NumberKey> keys(settings.ops);
  std::vector<std::string_view> claims;
  for (const NumberKey& key : keys) claims.push_back(view(key));
  std::string found;
  std::string value(settings.value_bytes, 'v');
  std::uint64_t changes = 0;
  control.ready.arrive_and_wait();
  while (watch.begin()) {
    const auto txn = stream.next();
    bool read_only = true;
    for (std::size_t i = 0; i < txn.size(); ++i) {
      keys[i] = key_of(txn[i].record);
      read_only &= !txn[i].is_write;
    }
    std::memcpy(value.data(), &++changes, std::min(value.size(), sizeof changes));
    const bool done = until_committed(session, watch, control, tally, [&](bool retry) -> Failure {
      session.begin({.claims = claims, .read_only = read_only, .retry = retry});
      if constexpr (requires { session.prefetch(claims[0]); })
        for (const std::string_view key : claims) session.prefetch(key);
      for (std::size_t i = 0; i < txn.size(); ++i) {
        const Failure failure = txn[i].is_write ? session.write(claims[i], value) : session.read(claims[i], found);
        if (failure) return failure;
      }
      return session.commit();
    });
    if (!done) return;
    watch.committed();
  }
}

/// Every transaction scans `settings.scan` keys from a record of the stream on.
template <class Session>
void run_scans(Session& session, const Settings& settings, unsigned client, Control& control, Tally& tally) {
  YcsbStream stream(settings, client);
  Stopwatch watch(control, tally);
  std::vector<kv::Row> rows;
  control.ready.arrive_and_wait();
  while (watch.begin()) {
    const NumberKey from = key_of(stream.next()[0].record);
    const bool done = until_committed(session, watch, control, tally, [&](bool retry) -> Failure {
      session.begin({.claims_all = true, .read_only = true, .retry = retry});
      if (const Failure failure = session.scan(view(from), {}, settings.scan, rows)) return failure;
      return session.commit();
    });
    if (!done) return;
    watch.committed(rows.size());
  }
}

}  // namespace lockstep::bench
