// results.h: what the statements of one request gave, whole, for recordings.
//
// Thread-safe: no state.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/store/backend.h"

namespace lockstep {

/// The longest text that results_json() gives, about.
inline constexpr std::size_t kResultsMost = 64 * 1024;

/// A JSON list with an object for each statement: "columns" and "rows" (null is NULL), "tag", or "error" with "code".
/// Rows beyond kResultsMost bytes are left out, and "left_out" says how many.
std::string results_json(std::span<const StatementResult> results);

}  // namespace lockstep
