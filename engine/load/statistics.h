// statistics.h: what a handful of interleaved rounds can prove.
//
// Rounds of two strategies are taken in pairs: the n-th of each, which ran next to each other. So a machine that slows
// down for a while slows both. The estimate is the geometric mean of the pairs' ratios. Its interval is Student's, with
// the bootstrap's standard error: for so few rounds the percentiles of a bootstrap alone are too narrow (T. Hesterberg,
// "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015, section 5.3).
#pragma once

#include <cstdint>
#include <span>

namespace lockstep::load {

struct Interval {
  double median = 0;  ///< of a ratio: its geometric mean
  double low = 0;
  double high = 0;
};

/// What stands for "no upper end": a number that JSON can hold.
inline constexpr double kUnbounded = 1e9;

/// The median of `values` and the bootstrap's percentile interval of it. Zeros when empty. The same for the same seed.
Interval median_of(std::span<const double> values, std::uint64_t seed);

/// value[i] / base[i] over all i, all numbers above zero. With fewer than two pairs the interval is from 0 to
/// kUnbounded.
Interval ratio_of(std::span<const double> values, std::span<const double> base, std::uint64_t seed);

/// The interval of a ratio leaves no room for "the same".
inline bool is_clear(const Interval& ratio) { return ratio.high < 1 || ratio.low > 1; }

}  // namespace lockstep::load
