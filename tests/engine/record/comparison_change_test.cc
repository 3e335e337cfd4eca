// comparison_change_test.cc: what counts as a change against a baseline, and what as a regression.
#include "engine/record/comparison_change.h"

#include <gmock/gmock.h>

namespace lockstep::record {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

ComparedRow row(const std::string& strategy, std::initializer_list<std::uint64_t> rounds, bool correct = true) {
  ComparedRow row;
  row.strategy = strategy;
  for (const std::uint64_t committed : rounds) row.rounds.push_back({.seconds = 1, .committed = committed, .note = ""});
  if (!row.rounds.empty()) row.committed_per_s.median = row.rounds[row.rounds.size() / 2].per_s();
  row.invariant_broken = correct ? 0 : 1;
  return row;
}

Comparison of(std::vector<ComparedRow> rows, int sessions = 8) {
  Comparison comparison;
  comparison.workload = "stock/oversell";
  ComparedGroup& group = comparison.groups.emplace_back();
  group.store = "kv";
  group.executor = "threads";
  group.sessions = sessions;
  group.strategies = std::move(rows);
  return comparison;
}

ComparisonChange only(const Comparison& base, const Comparison& now) {
  const std::vector<ComparisonChange> changes = changes_since(base, now);
  EXPECT_EQ(changes.size(), 1U);
  return changes.at(0);
}

TEST(ComparisonChange, AHalvedThroughputIsARegressionWithItsInterval) {
  const ComparisonChange change =
      only(of({row("a", {1000, 1010, 990, 1005, 995})}), of({row("a", {500, 505, 495, 502, 498})}));
  EXPECT_EQ(change.kind, ChangeKind::slower);
  ASSERT_TRUE(change.ratio);
  EXPECT_NEAR(change.ratio->median, 0.5, 0.01);
  EXPECT_LT(change.ratio->high, 0.55);
  EXPECT_GT(change.ratio->low, 0.45);
  EXPECT_TRUE(is_regression(change, 0.05));
  EXPECT_FALSE(is_regression(change, 0.6)) << "more than that was allowed";
}

TEST(ComparisonChange, NoiseIsNone) {
  const ComparisonChange change =
      only(of({row("a", {1000, 1300, 800, 1100, 900})}), of({row("a", {950, 1200, 700, 1150, 850})}));
  EXPECT_EQ(change.kind, ChangeKind::not_clear);
  EXPECT_FALSE(is_regression(change, 0));
}

TEST(ComparisonChange, ASmallClearLossIsSlowerButWithinTheTolerance) {
  const ComparisonChange change =
      only(of({row("a", {1000, 1000, 1001, 999, 1000})}), of({row("a", {980, 980, 981, 979, 980})}));
  EXPECT_EQ(change.kind, ChangeKind::slower);
  EXPECT_FALSE(is_regression(change, 0.05));
  EXPECT_TRUE(is_regression(change, 0.01));
}

TEST(ComparisonChange, OneRoundProvesNothing) {
  const ComparisonChange change = only(of({row("a", {1000})}), of({row("a", {10})}));
  EXPECT_EQ(change.kind, ChangeKind::not_clear);
  EXPECT_FALSE(change.ratio);
}

TEST(ComparisonChange, WhatBecameWrongIsARegressionHoweverFast) {
  const ComparisonChange change = only(of({row("a", {1000, 1000})}), of({row("a", {9000, 9000}, false)}));
  EXPECT_EQ(change.kind, ChangeKind::became_wrong);
  EXPECT_TRUE(is_regression(change, 0.05));
  EXPECT_EQ(only(of({row("a", {1}, false)}), of({row("a", {1}, false)})).kind, ChangeKind::wrong);
  EXPECT_EQ(only(of({row("a", {1}, false)}), of({row("a", {1})})).kind, ChangeKind::became_correct);
}

TEST(ComparisonChange, WhatOnlyOneOfThemHasIsSaid) {
  const auto changes = changes_since(of({row("a", {1}), row("b", {1})}), of({row("a", {1}), row("c", {1})}));
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[1].kind, ChangeKind::added);
  EXPECT_EQ(changes[2].kind, ChangeKind::gone);
  EXPECT_EQ(changes[2].strategy, "b");
}

TEST(ComparisonChange, AnotherWorkloadOrLoadCannotBeCompared) {
  Comparison other = of({row("a", {1})});
  other.workload = "money/transfer";
  EXPECT_THAT(why_not_comparable(other, of({row("a", {1})})), HasSubstr("money/transfer"));
  EXPECT_THAT(why_not_comparable(of({row("a", {1})}, 4), of({row("a", {1})}, 8)), HasSubstr("8 sessions"));
  EXPECT_THAT(why_not_comparable(of({row("a", {1})}), of({row("a", {1})})), IsEmpty());
}

}  // namespace
}  // namespace lockstep::record
