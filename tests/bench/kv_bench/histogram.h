// histogram.h: latencies, counted in buckets of 3 % width.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace lockstep::bench {

using Nanos = std::chrono::nanoseconds;

/// One thread at a time. 32 buckets for each power of two, after Tene's HdrHistogram.
class Histogram {
 public:
  void add(Nanos latency) { ++counts_[bucket_of(static_cast<std::uint64_t>(latency.count()))]; }

  void add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }

  /// The latency that a share `quantile` (0 to 1) did not exceed; 0 when nothing was counted.
  Nanos at(double quantile) const {
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts_) total += count;
    const auto wanted = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(total)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; total > 0 && i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return Nanos(upper_bound(i));
    }
    return Nanos(0);
  }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::uint64_t kSub = 1u << kSubBits;

  static std::size_t bucket_of(std::uint64_t ns) {
    if (ns < kSub) return ns;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - kSubBits - 1;
    return (std::size_t{shift} + 1) * kSub + ((ns >> shift) - kSub);
  }
  static std::int64_t upper_bound(std::size_t bucket) {
    if (bucket < kSub) return static_cast<std::int64_t>(bucket);
    const std::size_t shift = bucket / kSub - 1;
    return static_cast<std::int64_t>(((kSub + bucket % kSub + 1) << shift) - 1);
  }

  std::array<std::uint64_t, kSub * 60> counts_{};
};

}  // namespace lockstep::bench
