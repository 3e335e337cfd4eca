// named_scenario.h: the scenario that a command was given, or what else can be given.
#pragma once

#include <string>

#include "cli/commands/program.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// The scenario of that name. nullptr: it was said what is wrong, with the list of the scenarios where `name` is a
/// theme, and `code` is the exit code.
const Scenario* scenario_or_complaint(Program& program, const std::string& name, int& code);

}  // namespace lockstep::cli
