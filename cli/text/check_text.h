// check_text.h: what `lockstep check` found, as tables (patterns of scenarios by protocols, one table a store) and as
// JUnit XML. Functions of the cells.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/args/cells.h"
#include "cli/text/terminal.h"

namespace lockstep::cli {

/// The table of cells that share a store and an executor. Where it is too wide, its protocols are spread over several.
std::string check_table(std::span<const Cell> cells, const Terminal& terminal);

/// A line for each cell that was not as expected, with the command that runs it again; empty when there is none.
std::string check_failures(std::span<const Cell> cells, const Terminal& terminal);

/// A test suite a store and executor, a test case a cell. Cells that were not run are skipped.
std::string check_junit(std::span<const Cell> cells);

}  // namespace lockstep::cli
