// run_archive.h: what is done to saved runs as a whole: pruned, exported, imported.
#pragma once

#include <string>
#include <vector>

#include "cli/commands/program.h"
#include "engine/record/run.h"

namespace lockstep::cli {

/// True when --prune, --export FILE or --import FILE was typed.
bool cares_for_runs(const Arguments& arguments);

/// Prunes, exports or imports; gives the exit code.
int care_for_runs(Program& program, const std::string& folder);

/// Those of `runs` (oldest first) that --keep and --older-than select. They are older than the newest `keep` runs,
/// and began more than `age_s` seconds before `now` (seconds since 1970). A limit that is negative does not count. A
/// run whose beginning cannot be read is not old.
std::vector<record::SavedRun> to_prune(const std::vector<record::SavedRun>& runs, long long keep, double age_s,
                                       long long now);

/// "90s", "30m", "12h", "7d" in seconds; negative for anything else.
double age_named(const std::string& text);

}  // namespace lockstep::cli
