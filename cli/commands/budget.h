// budget.h: how long a search may go on.
#pragma once

#include <string>

#include "cli/args/arguments.h"
#include "engine/explore/explore.h"

namespace lockstep::cli {

/// Reads `--budget`: "10s", or a number of runs such as "100000". Empty: read, or not given; else an error for people.
std::string read_budget(const Arguments& arguments, ExploreRequest& request);

/// Reads `--jobs`. Empty: read, or not given; else an error for people.
std::string read_jobs(const Arguments& arguments, int& jobs);

}  // namespace lockstep::cli
