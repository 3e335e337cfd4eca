// spans.h: what the rows of a run amount to over time: what each actor held and waited for, from where to where.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reports/lane_rows.h"

namespace lockstep::reports {

struct Span {
  enum class Kind : std::uint8_t { hold, wait };
  Kind kind = Kind::hold;
  bool shared = false;   ///< of a hold
  std::string how = {};  ///< of a hold: a lock of another kind than exclusive or shared
  int actor = 0;
  std::string object;
  std::vector<int> others = {};  ///< of a wait: the actors in its way, at first
  std::size_t from = 0;          ///< index of the row that began it
  std::size_t to = 0;            ///< index of the row that ended it; the number of rows when none did
  std::int64_t from_ns = 0, to_ns = 0;
};

/// In the order of their beginnings.
std::vector<Span> spans_of(const std::vector<LaneRow>& rows);

/// How things stand at a moment: what each actor holds and waits for.
struct Standing {
  struct Held {
    std::string object;
    bool shared = false;
    std::string how = {};  ///< as in Change

    /// "T1 (shared)", "T1 (RESERVED lock)".
    std::string of(const std::string& actor) const {
      return actor + (!how.empty() ? " (" + how + ")" : shared ? " (shared)" : "");
    }
  };
  struct Actor {
    std::vector<Held> held;
    bool waits = false;
    std::string wanted;       ///< when it waits
    std::vector<int> others;  ///< when it waits: the actors in its way
    LaneState state = LaneState::alive;
  };
  std::vector<Actor> actors;
};

/// After row `last` (an index) has happened.
Standing standing_after(const std::vector<LaneRow>& rows, std::size_t actors, std::size_t last);

/// The row to show first: where the first cycle of waits closed, else the first fault, the last wait to begin, the
/// first commit that a snapshot does not see, the last row.
std::size_t telling_row(const std::vector<LaneRow>& rows);

}  // namespace lockstep::reports
