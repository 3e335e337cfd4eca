// state_graph.h: goes through the states that a scenario can reach, the nearest first, and writes each down: on kv and
// in-process locks under virtual time, where it is known what each step touches.
//
// Unlike a search (explore.h) it lets an actor wait: a reader who decides who goes next may also send somebody into a
// wait. The moves of the graph are what `lockstep run --schedule` takes.
//
// A move that is kept leads to a state from which an end can be reached by moves that are kept: a line of play that has
// begun is kept to its end, also beyond the limit. Only a line of more than 1000 steps is not.
#pragma once

#include <vector>

#include "engine/record/state_graph.h"
#include "engine/run/run.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

struct StateGraphRequest {
  RunRequest run = {};                 ///< `schedule` and `executor` do not count
  std::size_t most_states = 2000;      ///< beyond it no line of play is begun, and the graph is not complete
  std::size_t most_bytes = 1'000'000;  ///< of the graph as JSON, about: beyond it as beyond most_states
  Nanos most_time = std::chrono::seconds(5);
  /// Ways that are kept whatever the limit says: those of the shortest bad runs.
  std::vector<std::vector<Choice>> ways = {};
};

/// Fault::invalid: the scenario cannot run there, the store is no part of this process (sqlite, postgres), or the
/// scenario does not do the same after the same choices (with the first difference).
Result<record::StateGraph> state_graph(const Scenario& scenario, const StateGraphRequest& request,
                                       const StopSource* stop = nullptr);

}  // namespace lockstep
