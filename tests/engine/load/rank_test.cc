// rank_test.cc: noise is no difference, a difference is found, and who is wrong is not ranked.
#include <gmock/gmock.h>

#include <cmath>

#include "engine/load/compare.h"
#include "engine/scenario/scenario.h"

namespace lockstep::load {
namespace {

using record::ComparedGroup;
using record::ComparedRow;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kSeed = 11;

/// Close to normal: the sum of twelve uniform ones (Irwin and Hall).
double noise(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random() >> 11U) * 0x1.0p-53;
  return sum;
}

/// Two strategies of which the second does `speed` times as much; rounds differ by `spread`, and the machine drifts.
ComparedGroup rounds_of(Random& random, double speed, double spread, int rounds) {
  ComparedGroup group;
  group.strategies.resize(2);
  group.strategies[0].strategy = "a";
  group.strategies[1].strategy = "b";
  double drift = 1;
  for (int i = 0; i < rounds; ++i) {
    drift *= std::exp(0.1 * noise(random));
    for (const double own : {1.0, speed}) {
      ComparedRow& row = group.strategies[own == 1.0 && group.strategies[0].rounds.size() == std::size_t(i) ? 0 : 1];
      const double rate = 100'000 * drift * own * std::exp(spread * noise(random));
      row.rounds.push_back({.seconds = 1, .committed = static_cast<std::uint64_t>(rate), .note = {}});
    }
  }
  return group;
}

const ComparedRow& row_named(const ComparedGroup& group, std::string_view name) {
  return group.strategies[group.strategies[0].strategy == name ? 0 : 1];
}

TEST(Rank, TwoIdenticalStrategiesShowNoClearDifferenceInAtLeast95Of100Comparisons) {
  SCOPED_TRACE(kSeed);
  for (const int rounds : {3, 5, 10}) {
    Random random(kSeed, static_cast<std::uint64_t>(rounds));
    int alike = 0;
    for (int i = 0; i < 100; ++i) {
      ComparedGroup group = rounds_of(random, 1, 0.05, rounds);
      rank(group, kSeed);
      alike += group.strategies[1].place == "no clear difference" ? 1 : 0;
    }
    EXPECT_GE(alike, 95) << rounds << " rounds";
  }
}

TEST(Rank, ATrueDifferenceOfTenPercentIsFound) {
  SCOPED_TRACE(kSeed);
  Random random(kSeed, 1);
  int found = 0;
  for (int i = 0; i < 100; ++i) {
    ComparedGroup group = rounds_of(random, 1.1, 0.015, 5);
    rank(group, kSeed);
    found += group.strategies[0].strategy == "b" && group.strategies[1].place == "slower" ? 1 : 0;
  }
  EXPECT_GE(found, 95);
}

TEST(Rank, AWrongStrategyIsLastAndHasNoPlaceHoweverFast) {
  Random random(kSeed, 2);
  ComparedGroup group = rounds_of(random, 3, 0.01, 5);
  group.strategies[1].invariant_broken = 1;
  rank(group, kSeed);
  EXPECT_EQ(group.strategies[0].strategy, "a");
  EXPECT_EQ(group.strategies[0].place, "best");
  EXPECT_EQ(group.strategies[1].place, "wrong");
  EXPECT_FALSE(group.strategies[1].vs_best.has_value());
  EXPECT_THAT(verdict_of({&group, 1}).front(), HasSubstr("WRONG: b"));
}

TEST(Rank, AStrategyThatGivesManyTransactionsUpIsNotMeasuredAndTheReasonIsSaid) {
  Random random(kSeed, 5);
  ComparedGroup group = rounds_of(random, 3, 0.01, 5);
  group.strategies[1].committed = 1000;
  group.strategies[1].given_up = 11;
  group.strategies[1].gave_up = "it declared no claims";
  rank(group, kSeed);
  EXPECT_EQ(row_named(group, "a").place, "best");
  EXPECT_EQ(row_named(group, "a").why_not_measured(), "");
  EXPECT_EQ(row_named(group, "b").place, "not measured");
  EXPECT_EQ(row_named(group, "b").why_not_measured(),
            "11 transactions were given up; the first: it declared no claims");
}

TEST(Rank, AHistoryWithAnAnomalyIsWrongAlsoWhereThePatternIsKnownToBeUnsafe) {
  Random random(kSeed, 6);
  record::Comparison comparison;
  comparison.groups = {rounds_of(random, 1, 0.01, 5)};
  ComparedGroup& group = comparison.groups.front();
  group.strategies[1].history_broken = 1;
  group.strategies[1].anomaly = "G2 in the history";
  group.strategies[1].on_record = 50;
  group.strategies[1].committed = 950;
  group.strategies[1].claim = "serializable";
  group.strategies[1].expected_correct = false;
  rank(group, kSeed);
  EXPECT_EQ(row_named(group, "b").place, "wrong");
  EXPECT_EQ(row_named(group, "b").what_is_wrong(), "G2 in the history; in 1 of 5 rounds");
  EXPECT_FALSE(comparison.as_expected());
  EXPECT_THAT(comparison.history_note(), HasSubstr("50 transactions (5.0 %)"));
  EXPECT_THAT(comparison.history_note(), HasSubstr("(serializable): anomalies in 1 round."));
}

TEST(Rank, SentencesNameWhatTellsTheirGroupsApart) {
  Random random(kSeed, 7);
  ComparedGroup first = rounds_of(random, 2, 0.001, 5);
  first.executor = "threads";
  first.sessions = 8;
  first.read_percent = 50;
  rank(first, kSeed);
  ComparedGroup second = first;
  EXPECT_EQ(verdict_of({&first, 1}).front(), "8 sessions: b wins") << "there is nothing to be told from";
  second.executor = "coroutines";
  const std::vector<ComparedGroup> by_executor{first, second};
  EXPECT_THAT(verdict_of(by_executor),
              ElementsAre("8 sessions on threads: b wins", "8 sessions on coroutines: b wins"));
  second = first;
  second.read_percent = 95;
  const std::vector<ComparedGroup> by_reads{first, second};
  EXPECT_THAT(verdict_of(by_reads), ElementsAre("8 sessions, 50 % reads: b wins", "8 sessions, 95 % reads: b wins"));
}

TEST(Rank, TooFewRoundsProveNothing) {
  Random random(kSeed, 3);
  ComparedGroup group = rounds_of(random, 2, 0.001, 2);
  rank(group, kSeed);
  EXPECT_EQ(row_named(group, "a").place, "no clear difference");
}

TEST(Rank, ARoundThatDoesNotCountIsLeftOutOfItsPair) {
  Random random(kSeed, 4);
  ComparedGroup group = rounds_of(random, 1.5, 0.001, 6);
  group.strategies[0].rounds[2] = {.seconds = 1, .committed = 1, .note = "the store failed"};
  rank(group, kSeed);
  EXPECT_EQ(row_named(group, "a").place, "slower");
  EXPECT_NEAR(row_named(group, "a").vs_best->median, 1 / 1.5, 0.01);
}

}  // namespace
}  // namespace lockstep::load
