// compare.h: strategies side by side, and what their numbers prove. Rounds of all strategies take turns, so that a
// machine that drifts disturbs all alike.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/load/round.h"

namespace lockstep::load {

/// What is compared, and how. Lists are sweeps: every combination is a group of its own.
struct CompareRequest {
  RoundRequest round;  ///< what all rounds share; its protocol, pattern, executor, sessions and shape are filled in
  /// "PROTOCOL", "PATTERN" or "PROTOCOL/PATTERN". Empty: every pattern at the store's first protocol, and the first
  /// pattern at each other protocol.
  std::vector<std::string> strategies;
  std::vector<std::string> executors = {"threads"};
  std::vector<int> sessions = {8};
  std::vector<double> thetas = {0};
  std::vector<int> read_percents;  ///< empty: the scenario's own; else refused where it has none
  std::uint64_t rows = 0;          ///< 0: the scenario's own
  int rounds = 5;
  double history_percent = 5;  ///< of a round's measured time, after it: RoundRequest::history
  /// Is given each round's history: of which strategy, and what was on record.
  std::function<void(const record::ComparedRow&, const check::History&)> on_history = {};
};

/// Where a comparison stands.
struct CompareProgress {
  int done = 0, all = 0;  ///< rounds
  std::string doing;      ///< "for-update, 32 sessions"
  double left_s = 0;
};

/// Checks the names and fills in what is left open. Fault::invalid with one line ("did you mean …").
Result<CompareRequest> resolve(const Scenario& scenario, CompareRequest request);

struct Compared {
  record::Comparison comparison;
  std::string store_version;
  std::map<std::string, std::string> environment;
};

/// Runs the comparison. ^C and a store that dies in the middle end it with the rounds that are finished
/// (Comparison::ending). Fault::invalid as resolve() and run_round(); faults of the environment when the store cannot
/// be opened at all.
Result<Compared> compare(const Scenario& scenario, const CompareRequest& request, const StopSource* stop,
                         const std::function<void(const CompareProgress&)>& progress);

/// Ranks the strategies of a group by their rounds: medians, ratios to the best, places; the best first, the wrong ones
/// last.
void rank(record::ComparedGroup& group, std::uint64_t seed);
/// A sentence for each ranked group, which names what tells the group from the others.
std::vector<std::string> verdict_of(std::span<const record::ComparedGroup> groups);

}  // namespace lockstep::load
