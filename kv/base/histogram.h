// histogram.h: latencies in log-linear buckets, as in HdrHistogram (G. Tene): 64 buckets for every power of two, so a
// percentile is at most 1/64 / 2 = 0.8 % off. Mergeable: adding two histograms loses nothing.
//
// Not thread-safe: each session, or each worker, has its own; they are merged when all is over.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "kv/base/clock.h"

namespace lockstep {

class Histogram {
 public:
  /// `latency` below zero counts as zero. Amortised no allocation: buckets are made up to the longest one seen.
  void record(Nanos latency) {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 0));
    const std::size_t bucket = bucket_of(ns);
    if (bucket >= counts_.size()) counts_.resize(bucket + 1);
    ++counts_[bucket];
    ++count_;
    max_ = std::max(max_, ns);
  }

  void merge(const Histogram& other) {
    if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
    for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  std::uint64_t count() const noexcept { return count_; }
  /// Exact.
  Nanos max() const noexcept { return Nanos(max_); }

  /// The latency that the share `q` (0 to 1) of all stays at or below; the middle of its bucket. Zero when empty.
  Nanos quantile(double q) const {
    const auto wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(q * static_cast<double>(count_) + 0.5), 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted) return Nanos(std::min(middle_of(i), max_));
    }
    return max();
  }

  /// The buckets that are not empty: middle in nanoseconds, count.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> buckets() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) all.emplace_back(middle_of(i), counts_[i]);
    }
    return all;
  }

 private:
  static constexpr int kBits = 6;  ///< 64 buckets between a power of two and the next
  static constexpr std::uint64_t kLinear = std::uint64_t{1} << kBits;

  /// Below 64 ns each nanosecond has its own bucket.
  static std::size_t bucket_of(std::uint64_t ns) {
    if (ns < kLinear) return ns;
    const int shift = std::bit_width(ns) - 1 - kBits;
    return static_cast<std::size_t>(shift) * kLinear + (ns >> shift);
  }
  static std::uint64_t middle_of(std::size_t bucket) {
    if (bucket < 2 * kLinear) return bucket;
    const std::size_t shift = bucket / kLinear - 1;
    const std::uint64_t low = (bucket - shift * kLinear) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace lockstep
