// moments.h: what stood at each moment of a run beside its events: the rows that it began with, what its plain reads
// see, and the locks of the store as the store itself tells them.
//
// Kept in a recording as the document "moments" (schema.h):
//
//   {"format": "lockstep-moments", "version": 1,
//    "given": [["A", "100"], …],
//    "reads": "latest",                  what a plain read sees: what was committed last; "statement": the moment that
//                                        its statement began; "snapshot": one moment for the whole transaction
//    "locks": [[7, [[0, "A", "exclusive"], …]], …]}    from event 7 (`event.seq`) on these are held: actor, what, how;
//                                                          empty where the store does not tell
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::record {

inline constexpr int kMomentsVersion = 1;
/// The name of the document in a recording.
inline constexpr const char* kMomentsDocument = "moments";

/// One lock of the store that an actor holds.
struct HeldLock {
  int actor = 0;
  std::string object;
  std::string how;  ///< "exclusive", "SHARED lock"
  friend bool operator==(const HeldLock&, const HeldLock&) = default;
};

/// What a plain read sees.
enum class ReadsSee : std::uint8_t { latest, statement, snapshot };

struct Moments {
  struct Locks {
    std::uint64_t since = 0;  ///< the event (`Event::seq`) from which on they are held
    std::vector<HeldLock> held = {};
  };
  std::vector<std::pair<std::string, std::string>> given;
  ReadsSee reads = ReadsSee::latest;
  std::vector<Locks> locks;
};

/// The JSON above.
std::string to_json(const Moments& moments);
/// Reads it. Fault::invalid for what is none, or of another version.
Result<Moments> moments_of(const std::string& json);

}  // namespace lockstep::record
