// runs_folder.h: where runs are saved, and the short names of saved runs.
#pragma once

#include <string>

#include "cli/arguments.h"

namespace lockstep::cli {

/// --out, else LOCKSTEP_RUNS, else "lockstep-runs".
std::string runs_folder(const Arguments& arguments);

/// The shortest beginning of `id`, at least four digits, that no other run in `folder` has.
std::string short_id(const std::string& id, const std::string& folder);

/// The option --out, for every command that saves or reads runs.
OptionSpec out_option();

}  // namespace lockstep::cli
