// own_program.h: the commands on a program of one's own: `lockstep run -- ./server-test 8`.
#pragma once

#include <string>

#include "cli/args/tree.h"
#include "cli/commands/program.h"
#include "engine/foreign/program.h"
#include "engine/record/run.h"

namespace lockstep::cli {

/// True when no scenario and no saved run is named, and a program is, behind --. `argument`: what would name the
/// former.
bool is_own_program(const Program& program, const std::string& argument = "NAME");

int run_own_program(Program& program);
int explore_own_program(Program& program);
/// Performs the schedule of a saved run or of a schedule file again. `name`: what was typed for it.
int replay_own_program(Program& program, const foreign::ProgramSchedule& schedule, const std::string& name);
/// gdb on the program, held where nobody can go on. `schedule`: of the run that is saved in `path`. With --serve it
/// answers the program that a gdb has started by the script of that run, until its standard input ends.
int debug_own_program(Program& program, const foreign::ProgramSchedule& schedule, const std::string& path);
/// Searches for a deadlock first.
int debug_own_program(Program& program);

/// True when the saved run is one of a program.
bool is_of_program(const record::Run& run);

}  // namespace lockstep::cli
