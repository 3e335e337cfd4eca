// comparison_change.cc: see comparison_change.h.
#include "engine/record/comparison_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/record/student.h"

namespace lockstep::record {
namespace {

constexpr std::array<std::string_view, 8> kKinds = {
    "new", "no longer there", "WRONG now", "correct now", "WRONG as before", "slower", "faster", "no clear difference"};
static_assert(kKinds.size() == static_cast<std::size_t>(ChangeKind::not_clear) + 1);

/// The logarithms of what each round that counts committed a second: their number, mean, and the variance of the mean.
struct Sample {
  std::size_t size = 0;
  double mean = 0;
  double variance_of_mean = 0;
};

Sample sample_of(const ComparedRow& row) {
  std::vector<double> logs;
  for (const ComparedRound& round : row.rounds) {
    if (round.note.empty() && round.committed > 0) logs.push_back(std::log(round.per_s()));
  }
  Sample sample{.size = logs.size()};
  if (logs.empty()) return sample;
  for (const double each : logs) sample.mean += each;
  const auto n = static_cast<double>(logs.size());
  sample.mean /= n;
  if (logs.size() < 2) return sample;
  for (const double each : logs) sample.variance_of_mean += (each - sample.mean) * (each - sample.mean);
  sample.variance_of_mean /= (n - 1) * n;
  return sample;
}

std::optional<Estimate> ratio_of(const ComparedRow& now, const ComparedRow& base) {
  const Sample a = sample_of(now), b = sample_of(base);
  if (a.size < 2 || b.size < 2) return std::nullopt;
  const double variance = a.variance_of_mean + b.variance_of_mean;
  const auto part = [](const Sample& s) {
    return s.variance_of_mean * s.variance_of_mean / static_cast<double>(s.size - 1);
  };
  const double parts = part(a) + part(b);
  // Rounds that are all alike leave no doubt.
  const auto freedom = parts > 0 ? static_cast<std::size_t>(variance * variance / parts) : a.size + b.size - 2;
  const double centre = a.mean - b.mean, reach = student(freedom) * std::sqrt(variance);
  return Estimate{std::exp(centre), std::exp(centre - reach), std::exp(centre + reach)};
}

ChangeKind kind_of(const ComparedRow& now, const ComparedRow& base, const std::optional<Estimate>& ratio) {
  if (!now.correct()) return base.correct() ? ChangeKind::became_wrong : ChangeKind::wrong;
  if (!base.correct()) return ChangeKind::became_correct;
  if (ratio && ratio->high < 1) return ChangeKind::slower;
  if (ratio && ratio->low > 1) return ChangeKind::faster;
  return ChangeKind::not_clear;
}

bool is_same_load(const ComparedGroup& a, const ComparedGroup& b) {
  return a.store == b.store && a.executor == b.executor && a.sessions == b.sessions && a.theta == b.theta &&
         a.read_percent == b.read_percent && a.rows == b.rows && a.rate == b.rate;
}

std::string load_of(const ComparedGroup& group) {
  std::string text = fmt::format("{} on {}, {} session{}", group.store, group.executor, group.sessions,
                                 group.sessions == 1 ? "" : "s");
  if (group.theta > 0) text += fmt::format(", theta {:g}", group.theta);
  if (group.read_percent >= 0) text += fmt::format(", {} % reads", group.read_percent);
  if (group.rate > 0) text += fmt::format(", {:g} a second wanted", group.rate);
  return text;
}

const ComparedRow* row_named(const ComparedGroup* group, const std::string& strategy) {
  if (group == nullptr) return nullptr;
  for (const ComparedRow& row : group->strategies) {
    if (row.strategy == strategy) return &row;
  }
  return nullptr;
}

const ComparedGroup* group_like(const Comparison& comparison, const ComparedGroup& wanted) {
  for (const ComparedGroup& group : comparison.groups) {
    if (is_same_load(group, wanted)) return &group;
  }
  return nullptr;
}

}  // namespace

std::string_view name_of(ChangeKind kind) noexcept { return kKinds[static_cast<std::size_t>(kind)]; }

std::vector<ComparisonChange> changes_since(const Comparison& base, const Comparison& now) {
  std::vector<ComparisonChange> changes;
  for (const ComparedGroup& group : now.groups) {
    const ComparedGroup* const before = group_like(base, group);
    for (const ComparedRow& row : group.strategies) {
      ComparisonChange& change = changes.emplace_back();
      change.load = load_of(group);
      change.strategy = row.strategy;
      change.now_per_s = row.committed_per_s.median;
      const ComparedRow* const old = row_named(before, row.strategy);
      if (old == nullptr) {
        change.kind = ChangeKind::added;
        continue;
      }
      change.before_per_s = old->committed_per_s.median;
      change.ratio = ratio_of(row, *old);
      change.kind = kind_of(row, *old, change.ratio);
    }
  }
  for (const ComparedGroup& group : base.groups) {
    const ComparedGroup* const after = group_like(now, group);
    for (const ComparedRow& row : group.strategies) {
      if (row_named(after, row.strategy) != nullptr) continue;
      ComparisonChange& change = changes.emplace_back();
      change.load = load_of(group);
      change.strategy = row.strategy;
      change.kind = ChangeKind::gone;
      change.before_per_s = row.committed_per_s.median;
    }
  }
  return changes;
}

bool is_regression(const ComparisonChange& change, double tolerance) noexcept {
  if (change.kind == ChangeKind::became_wrong) return true;
  return change.kind == ChangeKind::slower && change.ratio && change.ratio->median <= 1 - tolerance;
}

std::string why_not_comparable(const Comparison& base, const Comparison& now) {
  if (base.workload != now.workload)
    return fmt::format("the baseline is of the workload {}, this one of {}", base.workload, now.workload);
  for (const ComparedGroup& group : now.groups) {
    if (group_like(base, group) != nullptr) return {};
  }
  return fmt::format("the baseline has none of these loads: {}",
                     now.groups.empty() ? std::string("none was run") : load_of(now.groups.front()));
}

}  // namespace lockstep::record
