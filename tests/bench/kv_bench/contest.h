// contest.h: several engines in turn, round by round, so that a noisy machine disturbs all of them alike.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/bench/kv_bench/measure.h"

namespace lockstep::bench {

/// What came of one contestant.
struct Record {
  Contestant contestant;
  std::string refused;  ///< not empty: it takes no part, and why
  Filled filled;
  std::vector<Round> rounds;
  std::string broken_invariant;  ///< at the end; empty when the load's invariants hold

  bool failed() const;
};

/// Called when something has been done, to tell whoever waits.
using Progress = std::function<void(const std::string&)>;

/// Every round runs each contestant once, in turn. With more than one, each has a process of its own, which does
/// nothing while another's turn is: memory and processor time are then its own.
std::vector<Record> run_contest(const std::vector<Contestant>& contestants, const Settings& settings,
                                const Progress& progress);

}  // namespace lockstep::bench
