// tally.h: what the runs of a search came to. Tallies of parts of a search add up to the same whatever their order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/actor/run_state.h"
#include "engine/record/run.h"
#include "engine/run/remedy.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

/// A way for a run to end: its badness (0 is the worst), and for people what distinguishes it from others as bad.
using OutcomeKey = std::pair<int, std::string>;

/// How bad a verdict is: for the order of findings.
int badness_of(record::Verdict verdict) noexcept;

/// Runs that end in one way, and the best schedule for it so far.
struct Outcome {
  record::Verdict verdict = record::Verdict::clean;
  std::uint64_t runs = 0;
  double interleavings = 0;  ///< below 0: too many to be counted
  std::vector<Choice> schedule = {};
  int preemptions = -1;  ///< of the schedule, where the search knows

  /// Whether `other` is worth the trouble of consider().
  bool may_improve(std::size_t steps, int of_preemptions) const noexcept;
  /// Takes another schedule when it is better: fewer preemptions, fewer steps, fewer changes of actor, then whichever
  /// comes first in the order of choices: so that the best does not depend on which came first.
  void consider(const std::vector<Choice>& other, int of_preemptions);
};

/// A run of a search, by its choices.
struct Representative {
  std::vector<Choice> schedule;
  double interleavings = 0;  ///< that it stands for; below 0: too many to be counted
};

struct Tally {
  std::uint64_t runs = 0;      ///< to their ends
  std::uint64_t pruned = 0;    ///< given up, since they would have repeated what was known
  std::uint64_t left_out = 0;  ///< choices of a server that it did not make again
  double interleavings = 0;    ///< below 0: too many to be counted
  std::map<OutcomeKey, Outcome> outcomes;
  std::vector<Representative> representatives = {};  ///< with Limits::keeps_runs, in the order of the search

  void add(const Tally& other);
};

/// How `run`, judged, is to be called. `gave_up`: somebody's last attempt failed, so that what the scenario promises of
/// everybody's success cannot hold.
record::Verdict verdict_of(const record::Run& run, bool gave_up);
OutcomeKey outcome_of(const record::Run& run, bool gave_up);
bool gave_up(const RunState& state);

}  // namespace lockstep
