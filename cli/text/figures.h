// figures.h: what a run measured, as a table.
#pragma once

#include <vector>

#include "cli/text/terminal.h"
#include "engine/record/run.h"

namespace lockstep::cli {

/// The run's events of the kind `figure`: a line for each row in the order of their first figures, columns likewise.
/// Columns that do not fit beside each other come below. Empty when nothing was measured.
std::vector<Line> figures(const record::Run& run, const Terminal& terminal);

}  // namespace lockstep::cli
