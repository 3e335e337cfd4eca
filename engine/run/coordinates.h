// coordinates.h: what a run says of itself before it has begun.
#pragma once

#include "engine/record/run.h"
#include "engine/run/run.h"
#include "engine/run/run_environment.h"

namespace lockstep {

/// A run of a resolved request in its RunEnvironment: coordinates, options, the machine's environment, and what the
/// scenario says of them. Under another schedule than its own a scenario expects nothing in particular; a broken
/// invariant or a hang that it does not expect is still not as expected (judge()).
record::Run run_at(const Scenario& scenario, const RunRequest& request, const RunEnvironment& environment);

}  // namespace lockstep
