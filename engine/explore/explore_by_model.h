// explore_by_model.h: an exploration of a database: the search goes through a model of it, and one run of each class
// that it finds is run on the database and held against the model (against_model.h).
#pragma once

#include "engine/explore/explore.h"
#include "engine/explore/model/model.h"

namespace lockstep {

/// `database` is resolved and `model` stands for it. As explore(): the numbers of interleavings are the model's, how
/// they end is what the database did. `begun`: on the machine's clock, from when the budget counts.
Result<Exploration> explore_by_model(const Scenario& scenario, const ExploreRequest& request,
                                     const RunRequest& database, const Model& model, const StopSource* stop,
                                     Nanos begun);

}  // namespace lockstep
