// explain.h: why a run ended as it did, in one or two sentences made from its events: who had what, who read which
// value before whose write, which rule of the store fired. For runs of which the scenario itself says nothing true.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep {

/// Of a judged run. Empty when it was not recorded.
std::string explain(const record::Run& run);

/// The waits that stand at the end of a run that got stuck: "T1 wants never given, which nobody is left to give". Empty
/// when nobody waits, or it was not recorded.
std::string waits_at_end(const record::Run& run);

}  // namespace lockstep
