// explorer.h: "you are the scheduler": the state graph of an explored scenario, in which the reader picks the next
// actor.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// Buttons for the moves, lock table, wait-for graph, the schedule so far, and the graph as JSON for the page's script.
/// Empty when the recording holds no state graph. One that cannot be read, or is too large for a page, is said so.
std::string explorer(const record::Run& run, const std::string& id);

}  // namespace lockstep::reports
