// tally.cc: see tally.h.
#include "engine/explore/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

namespace lockstep {
namespace {

void add_up(double& sum, double more) { sum = sum < 0 || more < 0 ? -1 : sum + more; }

int changes_of_actor(const std::vector<Choice>& choices) {
  int changes = 0;
  for (std::size_t i = 1; i < choices.size(); ++i) changes += choices[i].actor != choices[i - 1].actor ? 1 : 0;
  return changes;
}

bool comes_first(const std::vector<Choice>& a, const std::vector<Choice>& b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](const Choice& x, const Choice& y) {
    return std::tie(x.actor, x.timeout) < std::tie(y.actor, y.timeout);
  });
}

/// What distinguishes it from other runs with the same verdict, for people.
std::string what_of(const record::Run& run, bool gave_up) {
  if (run.verdict == record::Verdict::starved) return run.summary;
  // Who, and with which code: what the store said of it may name what differs from run to run.
  if (run.verdict == record::Verdict::error) return run.summary.substr(0, run.summary.find(": "));
  if (gave_up) return "somebody gave up, the retries spent";
  if (run.verdict == record::Verdict::anomaly) {
    std::string text = "broken: ";
    for (const record::Invariant& each : run.invariants) {
      if (!each.held) text += fmt::format("{}{}", text.ends_with(' ') ? "" : ", ", each.text);
    }
    return text;
  }
  // On a server a cycle is seen in passing, or not.
  if (run.cycles.empty() || !run.virtual_time) return {};
  // Asked of every run of a search: no formatting.
  const auto text_of = [](const std::vector<std::string>& cycle) {
    std::string text;
    for (const std::string& actor : cycle) text += actor + " → ";
    return text + cycle.front();
  };
  if (run.cycles.size() == 1) return text_of(run.cycles.front());
  std::vector<std::string> cycles;
  for (const auto& cycle : run.cycles) cycles.push_back(text_of(cycle));
  std::sort(cycles.begin(), cycles.end());
  return fmt::format("{}", fmt::join(cycles, ", "));
}

}  // namespace

int badness_of(record::Verdict verdict) noexcept {
  using record::Verdict;
  constexpr std::array<Verdict, 10> kWorstFirst = {
      Verdict::deadlock, Verdict::hung,    Verdict::crashed, Verdict::starved, Verdict::anomaly,
      Verdict::error,    Verdict::timeout, Verdict::abort,   Verdict::avoided, Verdict::clean};
  return static_cast<int>(std::find(kWorstFirst.begin(), kWorstFirst.end(), verdict) - kWorstFirst.begin());
}

bool Outcome::may_improve(std::size_t steps, int of_preemptions) const noexcept {
  if (schedule.empty()) return true;
  return of_preemptions != preemptions ? of_preemptions < preemptions : steps <= schedule.size();
}

void Outcome::consider(const std::vector<Choice>& other, int of_preemptions) {
  if (!schedule.empty()) {
    const auto worth = [](const std::vector<Choice>& choices, int count) {
      return std::tuple(count, choices.size(), changes_of_actor(choices));
    };
    const auto mine = worth(schedule, preemptions), its = worth(other, of_preemptions);
    if (mine < its || (mine == its && !comes_first(other, schedule))) return;
  }
  schedule = other;
  preemptions = of_preemptions;
}

void Tally::add(const Tally& other) {
  runs += other.runs;
  pruned += other.pruned;
  left_out += other.left_out;
  add_up(interleavings, other.interleavings);
  representatives.insert(representatives.end(), other.representatives.begin(), other.representatives.end());
  for (const auto& [key, outcome] : other.outcomes) {
    Outcome& mine = outcomes[key];
    mine.verdict = outcome.verdict;
    mine.runs += outcome.runs;
    add_up(mine.interleavings, outcome.interleavings);
    mine.consider(outcome.schedule, outcome.preemptions);
  }
}

bool gave_up(const RunState& state) {
  return std::any_of(state.actors.begin(), state.actors.end(), [](const auto& actor) {
    return actor->has_finished() && actor->ending() && is_retry_safe(actor->ending()->fault);
  });
}

record::Verdict verdict_of(const record::Run& run, bool gave_up) {
  return gave_up && run.verdict == record::Verdict::anomaly ? record::Verdict::abort : run.verdict;
}

OutcomeKey outcome_of(const record::Run& run, bool gave_up) {
  return {badness_of(verdict_of(run, gave_up)), what_of(run, gave_up)};
}

}  // namespace lockstep
