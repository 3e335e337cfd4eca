// statistics.cc: medians, ratios and their intervals.
#include "engine/load/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/record/student.h"
#include "engine/scenario/scenario.h"

namespace lockstep::load {
namespace {

constexpr int kResamples = 1000;

double middle(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// `statistic` of kResamples samples drawn from `values` with replacement.
template <class Statistic>
std::vector<double> bootstrap(std::span<const double> values, std::uint64_t seed, Statistic statistic) {
  Random random(seed, values.size());
  std::vector<double> results;
  std::vector<double> sample(values.size());
  for (int i = 0; i < kResamples; ++i) {
    for (double& one : sample) one = values[random() % values.size()];
    results.push_back(statistic(sample));
  }
  return results;
}

}  // namespace

Interval median_of(std::span<const double> values, std::uint64_t seed) {
  if (values.empty()) return {};
  std::vector<double> all(values.begin(), values.end());
  std::vector<double> medians = bootstrap(values, seed, [](std::vector<double>& sample) { return middle(sample); });
  std::sort(medians.begin(), medians.end());
  const auto tail = static_cast<std::size_t>((1 - record::kConfidence) / 2 * kResamples);
  return {middle(all), medians[tail], medians[kResamples - 1 - tail]};
}

Interval ratio_of(std::span<const double> values, std::span<const double> base, std::uint64_t seed) {
  std::vector<double> logs;
  for (std::size_t i = 0; i < std::min(values.size(), base.size()); ++i) logs.push_back(std::log(values[i] / base[i]));
  if (logs.empty()) return {1, 0, kUnbounded};
  const double centre = mean(logs);
  if (logs.size() < 2) return {std::exp(centre), 0, kUnbounded};
  const std::vector<double> means =
      bootstrap(logs, seed, [](const std::vector<double>& sample) { return mean(sample); });
  double variance = 0;
  for (const double one : means) variance += (one - centre) * (one - centre);
  const auto n = static_cast<double>(logs.size());
  // The bootstrap divides by n where an unbiased variance divides by n - 1.
  const double error = std::sqrt(variance / kResamples * n / (n - 1));
  const double reach = record::student(logs.size() - 1) * error;
  return {std::exp(centre), std::exp(centre - reach), std::min(std::exp(centre + reach), kUnbounded)};
}

}  // namespace lockstep::load
