// findings.h: what the findings of an exploration amount to together.
#pragma once

#include <vector>

#include "engine/explore/explore.h"

namespace lockstep {

/// The worst first, then the most frequent.
void put_in_order(std::vector<Finding>& findings);

/// The orders of in-process locks that could hang, of which none of the recorded runs has made a deadlock.
std::vector<record::OrderViolation> potential_of(const std::vector<Finding>& findings);

}  // namespace lockstep
