// report.h: what kv_bench prints.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/kv_bench/contest.h"

namespace lockstep::bench {

/// The load in one line, with the seed.
std::string describe(const Settings& settings);

/// A table for people: medians over the rounds. `share` is the throughput as a share of the first contestant's in the
/// same round, `by CPU` the same of the transactions for each second of processor time: on a machine that others use,
/// it is the steadier one for loads that do not wait.
std::string text_of(const Settings& settings, const std::vector<Record>& records);

/// Everything that was measured, every round by itself.
std::string json_of(const Settings& settings, const std::vector<Record>& records);

}  // namespace lockstep::bench
