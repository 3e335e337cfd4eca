// budget.h: how long a search may go on, and by how many.
#pragma once

#include <string>

#include "cli/args/arguments.h"
#include "cli/commands/program.h"
#include "engine/explore/explore.h"

namespace lockstep::cli {

/// Reads `--budget`: "10s", or a number of runs such as "100000". Empty: read, or not given; else an error for people.
std::string read_budget(const Arguments& arguments, ExploreRequest& request);

/// Reads `--jobs`. Empty: read, or not given; else an error for people.
std::string read_jobs(const Arguments& arguments, int& jobs);

/// Says so when the other ranks of the job had no part in the search: its counts would make one look for a fault.
void note_ranks_without_work(Program& program, const Exploration& explored);

}  // namespace lockstep::cli
