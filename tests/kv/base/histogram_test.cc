// histogram_test.cc: the error of the buckets, merging, and the ends.
#include "kv/base/histogram.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "kv/base/random.h"

namespace lockstep {
namespace {

TEST(Histogram, QuantilesAreWithinOnePercentOfTheSortedValues) {
  constexpr std::uint64_t kSeed = 7;
  SCOPED_TRACE(kSeed);
  Random random(kSeed, 0);
  Histogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 20'000; ++i) {
    // From nanoseconds to minutes, every magnitude alike.
    const double value = std::floor(std::exp(static_cast<double>(random() >> 11U) * 0x1.0p-53 * 25));
    values.push_back(value);
    histogram.record(Nanos(static_cast<std::int64_t>(value)));
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto at = static_cast<std::size_t>(q * 20'000 + 0.5) - 1;
    const double found = static_cast<double>(histogram.quantile(q).count());
    EXPECT_LE(std::abs(found - values[at]), 0.01 * values[at]) << "quantile " << q;
  }
  EXPECT_EQ(static_cast<double>(histogram.max().count()), values.back());
}

TEST(Histogram, EveryValueIsWithinOnePercentOfItsBucket) {
  for (std::int64_t ns = 1; ns < 4'000'000'000'000; ns += 1 + ns / 37) {
    Histogram histogram;
    histogram.record(Nanos(ns));
    histogram.record(Nanos(ns * 8));  // so that the exact maximum does not help
    ASSERT_LE(std::abs(histogram.quantile(0.5).count() - ns) * 100, ns) << ns;
  }
}

TEST(Histogram, MergingGivesWhatOneHistogramWouldHaveGiven) {
  Histogram odd, even, all;
  for (int i = 0; i < 5000; ++i) {
    const Nanos value(i * 7919);
    (i % 2 == 0 ? even : odd).record(value);
    all.record(value);
  }
  odd.merge(even);
  EXPECT_EQ(odd.count(), all.count());
  EXPECT_EQ(odd.buckets(), all.buckets());
  EXPECT_EQ(odd.max(), all.max());
}

TEST(Histogram, AnEmptyOneHasZeros) {
  EXPECT_EQ(Histogram().quantile(0.99), Nanos(0));
  EXPECT_THAT(Histogram().buckets(), testing::IsEmpty());
}

}  // namespace
}  // namespace lockstep
