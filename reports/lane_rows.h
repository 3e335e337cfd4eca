// lane_rows.h: the story of a run as rows, one for each thing that happened to an actor: what a person reads in the
// lanes. Knows nothing of terminals and pages; the caller lays the rows out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/run.h"
#include "kv/base/holds.h"

namespace lockstep::reports {

/// What a lane shows beside the rows of its own actor.
enum class LaneState : std::uint8_t { gone, alive, holds, waits };

enum class Mark : std::uint8_t { operation, grant, wait, fault, good, retry, cycle, time, note };

/// What a row changes in the holds, the waits and the data. Played from the first row on, they give the lock table, the
/// wait-for graph and the rows of the store (data.h) at any moment.
struct Change {
  enum class Kind : std::uint8_t {
    take,
    give,
    wait,
    go_on,
    write,    ///< the actor's transaction has written `object`; the others do not see it yet
    install,  ///< what it has written is committed
    undo,     ///< what it has written is gone
    look,     ///< from here on the transaction sees what is committed now
    blind,    ///< it has no such view any more
  };
  Kind kind = Kind::take;
  int actor = 0;
  std::string object = {};       ///< "": what a statement locks has no name
  std::vector<int> others = {};  ///< of a wait: the actors in its way; record::kNobody: somebody outside the run
  bool shared = false;           ///< of take: others may hold it too
  std::string how = {};          ///< of take: a lock of another kind than exclusive or shared: "RESERVED lock"
  std::string value = {};        ///< of write
  bool erased = false;           ///< of write: the row is gone
};

struct LaneRow {
  std::uint32_t step = 0;  ///< the operation's number at its first row, so that numbers go up; 0 = none
  std::int64_t at_ns = 0;
  int actor = record::kNobody;  ///< kNobody: the row concerns the run as a whole
  Mark mark = Mark::note;
  std::string text;               ///< "lock B"; not yet clean
  std::string status;             ///< "waits for T2", "granted", "after 0.05 ms"
  std::string short_status;       ///< the same where there is little room
  std::vector<std::string> more;  ///< what the store says of it besides, a line each: the lock, the DETAIL of an error
  std::string sql;                ///< what was sent for a portable verb; empty: the text says it, or there is no SQL
  std::vector<LaneState> lanes;   ///< of every actor, once the row has happened
  std::vector<Change> changes;    ///< since the row before

  // For who foretells: what was asked, with nothing of what came of it.
  std::string asked;    ///< "lock B"; empty: nothing else could have come of it, or no operation is answered
  bool waited = false;  ///< the actor has waited until this row
  bool reads = false;   ///< a value is what should come of it
  std::optional<std::string> seen;  ///< the value that came; "nothing": there is no such row
  std::vector<int> circle;          ///< of a cycle: its actors in order

  std::string misfit;  ///< the row gives something else than the rows as followed so far: what, a clause
};

/// What plain operations hold until the end at that store and protocol, as their traits say. A recording does not say
/// it, so reports ask; for a store or protocol that is not known any more the answer is HoldsUntilEnd::writes.
using HoldsOf = HoldsUntilEnd (*)(std::string_view store, std::string_view protocol);

/// The rows in the order of the events. An operation gives one row when it is answered at once and two when it waited.
/// A retry that nobody disturbed is one row.
/// The locks are those that the store told (moments.h); where it did not, those that the operations must have got.
std::vector<LaneRow> lane_rows(const record::Run& run, HoldsOf holds_of);

/// An operation in words: "lock B", "write A = 90", "commit".
std::string operation_text(const record::Event& event);

/// "0.05 ms", "1.20 s".
std::string duration_text(std::int64_t ns);

}  // namespace lockstep::reports
