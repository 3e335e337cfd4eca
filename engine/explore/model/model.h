// model.h: which protocol of kv stands for a database, so that a search can go through its interleavings in this
// process, where it is known what each step touches.
//
//   postgres read-committed         snapshot, each operation with a snapshot of its own
//   postgres repeatable-read        snapshot
//   postgres serializable           ssi
//   sqlite immediate*, exclusive*   serial, the store taken by begin
//   sqlite deferred*                none: no protocol of kv lets readers and the one writer meet as its file lock does
//
// kv does as the database where its own protocol leaves that open (stores/kv/stand_in.h). Where the two differ all
// the same, the runs on the database show it (against_model.h).
#pragma once

#include <optional>
#include <string>

#include "engine/run/run.h"

namespace lockstep {

struct Model {
  RunRequest request;  ///< the same coordinates on kv
  std::string name;    ///< for people: "kv snapshot as postgres/read-committed"
};

/// The model of a resolved request on a database, or in one sentence why it has none: a protocol that nothing stands
/// for, a body that speaks SQL, waits that end by the server's clock.
struct ModelChoice {
  std::optional<Model> model;
  std::string why_not;
};
ModelChoice model_of(const Scenario& scenario, const RunRequest& resolved);

}  // namespace lockstep
