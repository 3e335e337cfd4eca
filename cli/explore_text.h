// explore_text.h: what a search found, as a person reads it.
#pragma once

#include <string>
#include <vector>

#include "cli/look.h"
#include "cli/run_text.h"
#include "engine/explore.h"

namespace lockstep::cli {

/// "a run of the search": what one number of Exploration::runs counts.
std::string explore_text(const Exploration& explored, const Look& look, const std::vector<Hint>& hints);

/// For --quiet: "3 deadlocks in 12 classes, complete".
std::string explore_line(const Exploration& explored);

}  // namespace lockstep::cli
