// compare_text.h: how a comparison reads in the terminal: a table for each group, curves for sweeps, the verdict.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/text/hints.h"
#include "cli/text/terminal.h"
#include "engine/record/comparison.h"
#include "engine/record/comparison_change.h"

namespace lockstep::cli {

/// A comparison held against an older one.
struct BaselineChanges {
  std::string id;  ///< of the older one, as short as it may be
  double tolerance = 0;
  std::vector<record::ComparisonChange> changes;

  std::size_t regressions() const;
};

std::string compare_text(const record::Comparison& comparison, const Terminal& terminal,
                         const std::optional<BaselineChanges>& since, const std::vector<Hint>& hints);

/// "2 regressions since 7f3a: a, b", or that there is none.
std::string changes_line(const BaselineChanges& since);

/// For --quiet: the verdict alone.
std::string compare_line(const record::Comparison& comparison);

}  // namespace lockstep::cli
