// figures.h: what a run has measured, as the table that its events of the kind `figure` make.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

struct Figures {
  std::vector<std::string> rows, columns;                            ///< in the order in which they first came
  std::map<std::pair<std::string, std::string>, std::string> cells;  ///< by row and column; the latest counts

  /// Empty where nothing was measured.
  std::string at(const std::string& row, const std::string& column) const;
};

/// Empty when the run has none.
Figures figures_of(const Run& run);

}  // namespace lockstep::record
