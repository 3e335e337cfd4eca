// verdict.h: the verdict on a finished run, and what is said of it.
#pragma once

#include <string>
#include <vector>

#include "engine/actor/run_state.h"
#include "engine/record/run.h"
#include "engine/scenario/scenario.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

/// Fills in `run`: the counts, the invariants, the verdict with its summary, the cycles, the victims, the fix, the
/// events. Invariants are not checked when the run was interrupted or its store failed.
void judge(const Scenario& scenario, const Pattern& pattern, const Final& end, Nanos longest_wait, RunState& state,
           record::Run& run);

/// The compiler, the cores, the kernel.
void describe_environment(record::Run& run);

/// "T1 T2 T1:timeout"
std::string schedule_text(const std::vector<Choice>& taken, const std::vector<std::string>& actors);

}  // namespace lockstep
