// model.h: which protocol of a store in this process stands for a database, so that a search can go through its
// interleavings in this process, where it is known what each step touches.
//
// Which one stands for which protocol, and what it then does as that one where its own protocol leaves it open, is said
// by the protocol itself (ProtocolTraits::model). Where the two differ all the same, the runs on the database show it
// (against_model.h).
#pragma once

#include <optional>
#include <string>

#include "engine/run/run.h"

namespace lockstep {

struct Model {
  RunRequest request;  ///< the same coordinates on the store that stands for the database
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
