// against_model.h: runs on a database what a search has found on the model that stands for it (model.h), one run for
// each class of interleavings, and says where the two part.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/explore/model/difference.h"
#include "engine/explore/model/model.h"
#include "engine/run/run_environment.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

/// One schedule on both.
struct ModelComparison {
  Performed database;  ///< goes on in turns where the schedule cannot be followed any further
  std::optional<Difference> difference;
};

/// Not thread-safe. Both stores are opened once.
class AgainstModel {
 public:
  /// `database` is resolved; `scenario` and `stop` outlive this. Faults: as run().
  static Result<std::unique_ptr<AgainstModel>> open(const Scenario& scenario, const RunRequest& database,
                                                    const RunRequest& model, const StopSource* stop);

  /// A deadlock costs whoever the server's clock says: where that is the difference, the schedule is tried again, at
  /// most 20 times. Fault::cancelled: ^C; faults of the store.
  Result<ModelComparison> compare(const std::vector<Choice>& schedule);

  const std::vector<std::string>& actors() const noexcept { return actors_; }

 private:
  AgainstModel(const Scenario& scenario, const RunRequest& database, const RunRequest& model);
  Result<Performed> perform(RunEnvironment& environment, const RunRequest& request,
                            const std::vector<Choice>& schedule);

  const Scenario& scenario_;
  const RunRequest database_request_, model_request_;
  std::unique_ptr<RunEnvironment> database_, model_;
  std::vector<std::string> actors_;
};

}  // namespace lockstep
