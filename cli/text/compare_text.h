// compare_text.h: how a comparison reads in the terminal: a table for each group, curves for sweeps, the verdict.
#pragma once

#include <string>
#include <vector>

#include "cli/text/hints.h"
#include "cli/text/terminal.h"
#include "engine/record/comparison.h"

namespace lockstep::cli {

std::string compare_text(const record::Comparison& comparison, const Terminal& terminal,
                         const std::vector<Hint>& hints);

/// For --quiet: the verdict alone.
std::string compare_line(const record::Comparison& comparison);

}  // namespace lockstep::cli
