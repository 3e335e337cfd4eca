// scenario_list.h: scenarios, a line each: name, stores, title.
#pragma once

#include <string>
#include <vector>

#include "cli/text/terminal.h"
#include "engine/scenario/scenario.h"

namespace lockstep::cli {

std::string scenario_list(const std::vector<const Scenario*>& scenarios, const Terminal& terminal);

}  // namespace lockstep::cli
