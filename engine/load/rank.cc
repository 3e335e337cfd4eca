// rank.cc: from rounds to places.
#include <fmt/format.h>

#include <algorithm>

#include "engine/load/compare.h"
#include "engine/load/statistics.h"

namespace lockstep::load {
namespace {

using record::ComparedGroup;
using record::ComparedRound;
using record::ComparedRow;

constexpr std::size_t kRoundsLeast = 3;  ///< with fewer nothing is called a difference

record::Estimate estimate(const Interval& interval) { return {interval.median, interval.low, interval.high}; }

/// The pairs of rounds that count in both rows: the n-th of each, which ran next to each other.
Interval against(const ComparedRow& row, const ComparedRow& base, std::uint64_t seed, std::size_t& pairs) {
  std::vector<double> values, others;
  for (std::size_t i = 0; i < std::min(row.rounds.size(), base.rounds.size()); ++i) {
    const ComparedRound& one = row.rounds[i];
    const ComparedRound& other = base.rounds[i];
    if (!one.note.empty() || !other.note.empty() || one.committed == 0 || other.committed == 0) continue;
    values.push_back(one.per_s());
    others.push_back(other.per_s());
  }
  pairs = values.size();
  return ratio_of(values, others, seed);
}

/// A short name that tells the group from the others.
std::string load_of(const ComparedGroup& group, std::span<const ComparedGroup> all) {
  const auto differs = [&](auto ComparedGroup::* part) {
    return std::any_of(all.begin(), all.end(), [&](const ComparedGroup& other) { return other.*part != group.*part; });
  };
  std::string text = fmt::format("{} session{}", group.sessions, group.sessions == 1 ? "" : "s");
  if (differs(&ComparedGroup::executor)) text += " on " + group.executor;
  if (group.theta > 0) text += fmt::format(", theta {:g}", group.theta);
  if (group.read_percent >= 0 && differs(&ComparedGroup::read_percent))
    text += fmt::format(", {} % reads", group.read_percent);
  return text;
}

std::string names_of(const ComparedGroup& group, std::string_view place) {
  std::string text;
  for (const ComparedRow& row : group.strategies) {
    if (row.place == place) text += (text.empty() ? "" : ", ") + row.strategy;
  }
  return text;
}

std::string verdict_of(const ComparedGroup& group, std::span<const ComparedGroup> all) {
  const std::string best = names_of(group, "best");
  const std::string like = names_of(group, "no clear difference");
  const std::string wrong = names_of(group, "wrong");
  std::string text = load_of(group, all) + ": ";
  if (best.empty()) {
    text += wrong.empty() ? "nothing was measured" : "no strategy is correct";
  } else if (like.empty()) {
    text += names_of(group, "slower").empty() ? best + " is alone" : best + " wins";
  } else {
    text += fmt::format("{}, {}: no clear difference", best, like);
  }
  if (!wrong.empty()) text += "; WRONG: " + wrong;
  return text;
}

}  // namespace

void rank(ComparedGroup& group, std::uint64_t seed) {
  for (ComparedRow& row : group.strategies) {
    std::vector<double> rates;
    for (const ComparedRound& one : row.rounds) {
      if (one.note.empty()) rates.push_back(one.per_s());
    }
    row.committed_per_s = estimate(median_of(rates, seed));
    const bool has_some = std::any_of(rates.begin(), rates.end(), [](double rate) { return rate > 0; });
    row.place = !row.correct() ? "wrong" : has_some && !row.gives_up() ? "slower" : "not measured";
    row.vs_best.reset();
  }
  const auto order = [](const ComparedRow& row) {
    return row.place == "wrong" ? 2 : row.place == "not measured" ? 1 : 0;
  };
  std::stable_sort(group.strategies.begin(), group.strategies.end(), [&](const ComparedRow& a, const ComparedRow& b) {
    if (order(a) != order(b)) return order(a) < order(b);
    return a.committed_per_s.median > b.committed_per_s.median;
  });
  if (!group.strategies.empty() && order(group.strategies.front()) == 0) {
    ComparedRow& best = group.strategies.front();
    best.place = "best";
    best.vs_best = record::Estimate{1, 1, 1};
    for (ComparedRow& row : group.strategies) {
      if (row.place != "slower") continue;
      std::size_t pairs = 0;
      const Interval ratio = against(row, best, seed, pairs);
      row.vs_best = estimate(ratio);
      if (pairs < kRoundsLeast || !is_clear(ratio)) row.place = "no clear difference";
    }
  }
}

std::vector<std::string> verdict_of(std::span<const ComparedGroup> groups) {
  std::vector<std::string> sentences;
  for (const ComparedGroup& group : groups) sentences.push_back(verdict_of(group, groups));
  return sentences;
}

}  // namespace lockstep::load
