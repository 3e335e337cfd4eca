// catalogue.h: every scenario of this build, made from the files under scenarios/THEME/.
#pragma once

#include <span>
#include <string_view>

#include "engine/scenario/scenario.h"

namespace lockstep::script {
class Script;
}

namespace lockstep::scenarios {

/// Every scenario, by theme and name.
std::span<const Scenario> catalogue();

/// The text file that a scenario of catalogue() is; nullptr: it is one of C++, or none of catalogue().
const script::Script* file_of(const Scenario& scenario);

/// The scenario with the name "theme/name", or nullptr.
const Scenario* find(std::string_view name);

}  // namespace lockstep::scenarios
