// sites.h: the lines of the source that asked for the operations of a run.
//
// Kept in a recording as the document "sites" (schema.h):
//
//   {"files": ["scenarios/threads/two_lock.cc"], "steps": [[0, 33], [0, 33], [0, 34], null]}
//
// By the numbers of operations (`event.step`) from 1: which file, which line; null: not known.
#pragma once

#include <string>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::record {

/// The name of the document in a recording.
inline constexpr const char* kSitesDocument = "sites";

/// By the numbers of operations, from 1 at the front: "scenarios/threads/two_lock.cc:33", or empty.
std::string sites_to_json(const std::vector<std::string>& by_step);
/// Fault::invalid for what is none.
Result<std::vector<std::string>> sites_of(const std::string& json);

}  // namespace lockstep::record
