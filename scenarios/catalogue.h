// catalogue.h: every scenario of this build, made from the files under scenarios/THEME/.
#pragma once

#include <span>
#include <string_view>

#include "engine/scenario/scenario.h"

namespace lockstep::scenarios {

/// Every scenario, by theme and name.
std::span<const Scenario> catalogue();

/// The scenario with the name "theme/name", or nullptr.
const Scenario* find(std::string_view name);

}  // namespace lockstep::scenarios
