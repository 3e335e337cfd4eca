// runs_folder.h: where runs are saved, and the short names of saved runs.
#pragma once

#include <map>
#include <string>

#include "cli/args/arguments.h"
#include "kv/base/result.h"

namespace lockstep::cli {

/// The option (--out; --runs of a command whose --out is something else), else LOCKSTEP_RUNS, else "lockstep-runs".
std::string runs_folder(const Arguments& arguments, const std::string& option = "out");

/// The shortest beginning of `id`, at least four digits, that no other run in `folder` has.
std::string short_id(const std::string& id, const std::string& folder);

/// short_id() of all runs in `folder` at once, by id.
std::map<std::string, std::string> short_ids(const std::string& folder);

/// Writes the gdb commands (engine/gdb/lockstep.py) to FOLDER/lockstep.py; gives its path from the root. Makes the
/// folder.
Result<std::string> write_gdb_script(const std::string& folder);

/// The option --out, for every command that saves or reads runs.
OptionSpec out_option();

}  // namespace lockstep::cli
