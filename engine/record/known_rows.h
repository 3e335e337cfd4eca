// known_rows.h: how far the rows of the store can be followed along the events of a run, beside what they were at its
// begin (moments.h).
//
// Kept in a recording as the document "rows" (schema.h):
//
//   {"format": "lockstep-rows", "version": 1,
//    "order": "schedule",                the events stand in the order of a schedule; "times": in that of the times at
//                                        which the actors had their answers, which the store need not share
//    "asked": true,                      whether the store was asked for its locks as they changed
//    "dirty": false,                     whether plain reads see what nobody has committed
//    "untold": "",                       why the rows were not followed, a clause; empty: they were
//    "ends": [["A", "90"], …]}           what the store had at the end; null: not known
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::record {

inline constexpr int kKnownRowsVersion = 1;
/// The name of the document in a recording. Recordings before it are of runs under a schedule.
inline constexpr const char* kKnownRowsDocument = "rows";

struct KnownRows {
  bool by_times = false;
  bool asked_for_locks = false;
  bool reads_are_dirty = false;
  std::string untold = {};
  std::optional<std::vector<std::pair<std::string, std::string>>> ends = {};  ///< keys with their values, ordered
};

/// The JSON above.
std::string to_json(const KnownRows& known);
/// Reads it. Fault::invalid for what is none, or of another version.
Result<KnownRows> known_rows_of(const std::string& json);

}  // namespace lockstep::record
