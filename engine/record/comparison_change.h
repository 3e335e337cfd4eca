// comparison_change.h: a comparison held against an older one, the baseline: what has become faster, slower, wrong.
//
// The rounds of two comparisons did not run next to each other, so they are no pairs: the interval of a ratio is
// Welch's for two samples, on the logarithms of what each round committed a second (B. L. Welch, "The generalization of
// 'Student's' problem when several different population variances are involved", Biometrika 34, 1947). It covers what
// changes from round to round. It does not cover another machine, or one that has something else to do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/record/comparison.h"

namespace lockstep::record {

/// What has become of a strategy. The first that holds.
enum class ChangeKind : std::uint8_t {
  added,           ///< the baseline does not have it
  gone,            ///< only the baseline has it
  became_wrong,    ///< it was correct, and now breaks an invariant or its isolation
  became_correct,  ///< it was wrong
  wrong,           ///< in both
  slower,          ///< the whole interval lies below 1
  faster,          ///< the whole interval lies above 1
  not_clear,       ///< the interval holds 1, or there were fewer than two rounds
};

/// For people: "slower", "no clear difference".
std::string_view name_of(ChangeKind kind) noexcept;

struct ComparisonChange {
  std::string load;  ///< what tells its group from the others: "32 sessions, theta 0.9"
  std::string strategy;
  ChangeKind kind = ChangeKind::not_clear;
  double before_per_s = 0, now_per_s = 0;  ///< medians; 0: not there
  std::optional<Estimate> ratio;           ///< now / before, with a 99 % interval; nullopt: not to be had
};

/// In the order of `now`, what is gone last.
std::vector<ComparisonChange> changes_since(const Comparison& base, const Comparison& now);

/// A strategy became wrong, or is slower and its ratio is at most 1 - `tolerance`.
bool is_regression(const ComparisonChange& change, double tolerance) noexcept;

/// Why the two cannot be held against each other; empty when they can: of one workload and store.
std::string why_not_comparable(const Comparison& base, const Comparison& now);

}  // namespace lockstep::record
