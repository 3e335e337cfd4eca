// verdict.h: what a finished run amounts to.
#pragma once

#include <string>
#include <vector>

#include "engine/actor/run_state.h"
#include "engine/record/run.h"
#include "engine/scenario/scenario.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

/// Checks the invariants on the end state (not when the run was interrupted or its store failed), counts, and fills in
/// the verdict with its summary, the cycles, the victims, the fix, the events.
void judge(const Scenario& scenario, const Pattern& pattern, const Final& end, RunState& state, record::Run& run);

/// The compiler, the cores, the kernel.
void describe_environment(record::Run& run);

/// "T1 T2 T1:timeout"
std::string schedule_text(const std::vector<Choice>& taken, const std::vector<std::string>& actors);

}  // namespace lockstep
