// actor_steps.h: what the actors of a pattern do, for people.
#pragma once

#include <map>
#include <string>

#include "engine/run/run.h"

namespace lockstep::cli {

using ActorSteps = std::map<std::string, std::string>;  ///< actor -> "begin, lock A, …"

/// What each actor does, found by running the pattern once where that costs next to nothing: in this process, in
/// virtual time. Of an actor that was retried, its last attempt. Empty where only a server would do.
ActorSteps steps_of(const Scenario& scenario, const Pattern& pattern);

}  // namespace lockstep::cli
