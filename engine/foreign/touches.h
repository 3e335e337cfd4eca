// touches.h: what the model's steps touch, in the terms of a search.
#pragma once

#include <vector>

#include "engine/base/footprint.h"
#include "engine/explore/search/search.h"
#include "engine/foreign/model/model.h"

namespace lockstep::foreign {

/// Tells the footprint of the step in hand what it touches, and whose code it runs.
void add_touches(Footprint& footprint, const Touches& touches);

/// Adds the steps of the first `threads` threads that stand before what another one has. The footprint has no step in
/// hand, before and after.
void add_blocked(PrimitiveModel& model, int threads, Footprint& footprint, std::vector<Step>& blocked);

}  // namespace lockstep::foreign
