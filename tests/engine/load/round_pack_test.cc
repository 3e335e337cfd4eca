// round_pack_test.cc: what ranks have measured in a round adds up without loss.
#include "engine/load/round_pack.h"

#include <gtest/gtest.h>

#include <random>

namespace lockstep::load {
namespace {

RoundResult there_and_back(const RoundResult& result) {
  Packer packer;
  pack(result, packer);
  const std::string bytes = packer.take();
  Unpacker from(bytes);
  RoundResult back = unpack_round(from);
  EXPECT_TRUE(from.ok() && from.at_end());
  return back;
}

TEST(RoundPack, HistogramsComeBackWithEveryBucketAndTheirMaximum) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    RoundResult result;
    for (int i = 0; i < round; ++i) result.latency.record(Nanos(random() >> (random() % 50U + 14U)));
    const RoundResult back = there_and_back(result);
    EXPECT_EQ(back.latency.buckets(), result.latency.buckets());
    EXPECT_EQ(back.latency.count(), result.latency.count());
    EXPECT_EQ(back.latency.max(), result.latency.max()) << "seed 7, round " << round;
    for (const double q : {0.5, 0.9, 0.99, 1.0}) EXPECT_EQ(back.latency.quantile(q), result.latency.quantile(q));
  }
}

TEST(RoundPack, WhatTwoRanksCountAddsUp) {
  RoundResult one;
  one.committed = 10;
  one.retries = 2;
  one.refused = 3;
  one.waits = 4;
  one.waited = Nanos(5);
  one.seconds = 2;
  one.cpu_s = 0.5;
  one.peak_rss_bytes = 100;
  one.given_up = 1;
  one.aborts = {{"deadlock", 2}, {"busy", 1}};
  one.helpers = 1;
  one.latency.record(Nanos(1000));
  RoundResult two = one;
  two.gave_up = "no";
  two.note = "the store failed";
  two.store_failed = true;
  two.helpers = 4;
  two.aborts = {{"deadlock", 5}, {"wounded", 1}};
  add(one, there_and_back(two));
  EXPECT_EQ(one.committed, 20u);
  EXPECT_EQ(one.retries, 4u);
  EXPECT_EQ(one.refused, 6u);
  EXPECT_EQ(one.waits, 8u);
  EXPECT_EQ(one.waited, Nanos(10));
  EXPECT_EQ(one.seconds, 2) << "both were measured at the same time";
  EXPECT_EQ(one.cpu_s, 1);
  EXPECT_EQ(one.peak_rss_bytes, 200u);
  EXPECT_EQ(one.given_up, 2u);
  EXPECT_EQ(one.gave_up, "no");
  EXPECT_EQ(one.note, "the store failed");
  EXPECT_TRUE(one.store_failed);
  EXPECT_EQ(one.helpers, 4);
  EXPECT_EQ(one.aborts, (std::map<std::string, std::uint64_t>{{"busy", 1}, {"deadlock", 7}, {"wounded", 1}}));
  EXPECT_EQ(one.latency.count(), 2u);
}

TEST(RoundPack, CountsForInvariantsComeBack) {
  Counts counts;
  counts[0] = -5;
  counts[3] = 7;
  Packer packer;
  pack(counts, packer);
  const std::string bytes = packer.take();
  Unpacker from(bytes);
  EXPECT_EQ(unpack_counts(from).values, counts.values);
}

}  // namespace
}  // namespace lockstep::load
