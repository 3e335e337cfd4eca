// lane_rows.h: the story of a run as rows, one for each thing that happened to an actor: what a person reads in the
// lanes. Knows nothing of terminals and pages; the caller lays the rows out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/run.h"
#include "kv/base/holds.h"

namespace lockstep::reports {

/// What a lane shows beside the rows of its own actor.
enum class LaneState : std::uint8_t { gone, alive, holds, waits };

enum class Mark : std::uint8_t { operation, grant, wait, fault, good, retry, cycle, time, note };

/// What a row changes in the holds and the waits. Played from the first row on, they give the lock table and the
/// wait-for graph at any moment.
struct Change {
  enum class Kind : std::uint8_t { take, give, wait, go_on };
  Kind kind = Kind::take;
  int actor = 0;
  std::string object;            ///< "": what a statement locks has no name
  std::vector<int> others = {};  ///< of a wait: the actors in its way; record::kNobody: a session outside the run
  bool shared = false;           ///< of take: others may hold it too
};

struct LaneRow {
  std::uint32_t step = 0;  ///< the operation's number; 0 = none
  std::int64_t at_ns = 0;
  int actor = record::kNobody;  ///< kNobody: the row concerns the run as a whole
  Mark mark = Mark::note;
  std::string text;              ///< "lock B"; not yet clean
  std::string status;            ///< "waits for T2", "granted", "after 0.05 ms"
  std::string short_status;      ///< the same where there is little room
  std::vector<LaneState> lanes;  ///< of every actor, once the row has happened
  std::vector<Change> changes;   ///< since the row before
};

/// What plain operations hold until the end at that store and protocol, as their traits say. A recording does not say
/// it, so reports ask; for a store or protocol that is not known any more the answer is HoldsUntilEnd::writes.
using HoldsOf = HoldsUntilEnd (*)(std::string_view store, std::string_view protocol);

/// The rows in the order of the events. An operation gives one row when it is answered at once and two when it waited.
/// A retry that nobody disturbed is one row.
std::vector<LaneRow> lane_rows(const record::Run& run, HoldsOf holds_of);

/// An operation in words: "lock B", "write A = 90", "commit".
std::string operation_text(const record::Event& event);

/// "0.05 ms", "1.20 s".
std::string duration_text(std::int64_t ns);

}  // namespace lockstep::reports
