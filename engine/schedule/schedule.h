// schedule.h: who goes next.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep {

/// What a schedule sees of an actor when it has to choose.
struct Candidate {
  int actor = 0;
  std::string name = {};
  bool enabled = false;        ///< stands before its next operation
  bool finished = false;       ///< has ended
  std::string waits_for = {};  ///< for people, when it is neither
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  /// The index of the actor that takes the next step; at least one candidate is enabled. Fault::invalid when the
  /// schedule names an actor that cannot go.
  virtual Result<int> next(const std::vector<Candidate>& candidates) = 0;
};

/// An order of steps such as "T1 T1 T2 T1". After its last entry, or at "…" / "...", the actors take turns in their
/// order. `strict`: an entry that cannot go is an error that names its position and who can; otherwise it is passed
/// over. Fault::invalid for a name that is none of `actors`.
Result<std::unique_ptr<Schedule>> scripted(std::string_view text, const std::vector<std::string>& actors, bool strict);

}  // namespace lockstep
