// commands.h: the functions that tree.cc puts into the tree; one file beside this one defines each.
#pragma once

#include "cli/args/tree.h"

namespace lockstep::cli {

CommandSpec list_command();
CommandSpec show_command();
CommandSpec run_command();
CommandSpec explore_command();
CommandSpec compare_command();
CommandSpec replay_command();
CommandSpec debug_command();
CommandSpec report_command();
CommandSpec runs_command();
CommandSpec check_command();
CommandSpec check_history_command();
CommandSpec import_command();
CommandSpec mend_command();
CommandSpec matrix_command();
CommandSpec kv_command();
CommandSpec man_command();
CommandSpec completion_command();
CommandSpec complete_command();
CommandSpec help_command();

}  // namespace lockstep::cli
