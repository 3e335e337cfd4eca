// explore_text.h: what a search found, as a person reads it.
#pragma once

#include <string>
#include <vector>

#include "cli/text/run_text.h"
#include "cli/text/terminal.h"
#include "engine/explore/explore.h"

namespace lockstep::cli {

/// The ways to end with their shares, what the numbers are worth, the shortest bad schedule, and the hints.
std::string explore_text(const Exploration& explored, const Terminal& terminal, const std::vector<Hint>& hints);

/// True for an end without harm.
inline bool is_good(record::Verdict verdict) {
  return verdict == record::Verdict::clean || verdict == record::Verdict::avoided;
}

/// For --quiet: "1 of 31 classes end badly, 1 in a deadlock; complete".
std::string explore_line(const Exploration& explored);

}  // namespace lockstep::cli
