// gdb_session.h: what gdb is to do with a run, as files to keep, and gdb itself.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/commands/program.h"
#include "kv/base/result.h"

namespace lockstep::cli {

/// A run that gdb starts, as often as wanted, and holds before a step.
struct GdbSession {
  std::string title;                      ///< the first line of the script
  std::string folder = {};                ///< where the files go: that of the recording
  std::vector<std::string> command = {};  ///< the program and its arguments
  std::vector<std::string> server = {};  ///< what tells the program its schedule; empty: the program knows it by itself
  std::string working_folder = {};       ///< of the program; empty: gdb's own
  std::size_t step = 0;                  ///< of the schedule, before which it is held
};

/// Writes debug.gdb, launch.json and lockstep.py. Then gdb takes the place of this process, unless --script asks for
/// the files alone. Answers the exit code when there is no gdb, or when it may not trace.
int debug_in_gdb(Program& program, const GdbSession& session);

/// Reads --step into `step`. Empty, or what is wrong with it.
std::string read_step(const Arguments& arguments, std::size_t& step);

}  // namespace lockstep::cli
