// coordinates.h: the parts of a run's record that are known before it begins.
#pragma once

#include "engine/record/run.h"
#include "engine/run/run.h"
#include "engine/run/run_environment.h"

namespace lockstep {

/// The record of a resolved request in its RunEnvironment: coordinates, options, the machine's environment, and the
/// expected verdict. Under a schedule that is not its own a scenario expects nothing in particular. A broken invariant
/// or a hang that it does not expect still counts against it (judge()).
record::Run run_at(const Scenario& scenario, const RunRequest& request, const RunEnvironment& environment);

}  // namespace lockstep
