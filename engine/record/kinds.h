// kinds.h: what saved runs are, beside single runs.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

enum class RunKind : std::uint8_t { run, exploration, comparison, matrix };

inline constexpr std::array<std::string_view, 4> kRunKinds = {"run", "exploration", "comparison", "matrix"};

/// By its coordinates alone.
bool is_comparison(const SavedRun& run);
bool is_matrix(const SavedRun& run);

/// An exploration is known by its state graph or its summary, which the recording is opened for. One that cannot be
/// read is a run.
RunKind kind_of(const SavedRun& run);

/// The ids of the runs that are cells of those of `runs` that are matrices.
std::set<std::string> cells_of_matrices(const std::vector<SavedRun>& runs);

}  // namespace lockstep::record
