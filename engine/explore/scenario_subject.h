// scenario_subject.h: a scenario at fixed coordinates, as what a search runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/explore/subject.h"
#include "engine/run/run.h"
#include "engine/run/run_environment.h"

namespace lockstep {

/// `resolved` comes from resolve(). `scenario` and `stop` outlive it.
class ScenarioExplorable final : public Explorable {
 public:
  /// `executor`: of the runs for the record.
  ScenarioExplorable(const Scenario& scenario, RunRequest resolved, std::string executor, const StopSource* stop)
      : scenario_(scenario), resolved_(std::move(resolved)), executor_(std::move(executor)), stop_(stop) {}

  std::string name() const override;
  Result<std::unique_ptr<Subject>> open() const override;
  Result<RecordedRun> record(const std::string& schedule, Nanos until) const override;
  bool knows_footprints() const override { return lockstep::knows_footprints(resolved_); }
  bool is_on_server() const override;
  Result<std::optional<record::StateGraph>> draw(std::size_t most_states, Nanos most_time,
                                                 std::vector<std::vector<Choice>> ways) const override;

 private:
  const Scenario& scenario_;
  const RunRequest resolved_;
  const std::string executor_;
  const StopSource* const stop_;
};

}  // namespace lockstep
