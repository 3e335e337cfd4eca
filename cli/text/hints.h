// hints.h: what to do with a run next: the commands of this build that take one.
#pragma once

#include <string>
#include <vector>

#include "cli/text/run_text.h"

namespace lockstep::cli {

/// For the saved run with this short id. Only commands that exist. Those that run it again name the server that it ran
/// on, where it was typed.
std::vector<Hint> hints_for(const record::Run& run, const std::string& id);

}  // namespace lockstep::cli
