// actor_steps.h: what the actors of a pattern do, for people.
#pragma once

#include <map>
#include <string>

#include "engine/run/run.h"

namespace lockstep::cli {

using ActorSteps = std::map<std::string, std::string>;  ///< actor -> "begin, lock A, …"

/// What each actor does. The pattern is run once to find out, where that costs next to nothing: in this process, in
/// virtual time. A retried actor shows its last attempt. Empty where a run would need a server.
ActorSteps steps_of(const Scenario& scenario, const Pattern& pattern);

}  // namespace lockstep::cli
