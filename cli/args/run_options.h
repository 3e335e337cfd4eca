// run_options.h: the coordinates of runs as options, shared by the commands that run something.
#pragma once

#include <string>
#include <vector>

#include "cli/args/arguments.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// --store, --executor, --dsn, --seed, --timeout, --retries, --lock-timeout, --deadlock-timeout, --connect-timeout,
/// --workers, --record-every.
std::vector<OptionSpec> run_options();

/// --dsn, as the stores that take it say; empty when none does.
std::vector<OptionSpec> dsn_option();
/// --fsync, for a server that the program starts.
OptionSpec fsync_option();

/// The stores of --store; without it, those that --dsn is for. Empty: neither was typed.
std::vector<std::string> stores_asked_for(const Arguments& arguments);

/// Why --dsn cannot be taken with these stores: none of them has a server; empty: it can, or was not typed.
std::string wrong_dsn(const Arguments& arguments, const std::vector<std::string>& stores);

/// Fills `request` from what was typed. An error for people, or empty.
std::string read_run_options(const Arguments& arguments, RunRequest& request);

}  // namespace lockstep::cli
