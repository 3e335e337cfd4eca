// scenario_subject.cc: see scenario_subject.h.
#include "engine/explore/scenario_subject.h"

#include "engine/actor/actor.h"
#include "engine/explore/state_graph.h"
#include "engine/store/backend.h"

namespace lockstep {
namespace {

class ScenarioSubject final : public Subject {
 public:
  ScenarioSubject(std::string scenario, const RunRequest& resolved, std::unique_ptr<RunEnvironment> environment)
      : scenario_(std::move(scenario)), run_(resolved), environment_(std::move(environment)) {
    for (const ActorSpec& spec : environment_->pattern().actors) actors_.push_back(spec.name);
  }
  ~ScenarioSubject() override { environment_->state().footprint = nullptr; }

  std::string name() const override { return scenario_ + " on " + run_.store; }
  const std::vector<std::string>& actors() const noexcept override { return actors_; }
  bool is_deterministic() const noexcept override { return environment_->state().virtual_time; }
  bool is_quick() const noexcept override { return environment_->state().virtual_time; }
  void tell(Footprint* footprint) override { environment_->state().footprint = footprint; }
  void give_up_at(Nanos until) override { environment_->state().give_up_at = until; }
  Result<void> perform(Schedule& schedule) override { return environment_->perform(&schedule); }
  record::Ending ending() const noexcept override { return environment_->state().ending(); }
  const std::vector<Choice>& taken() const noexcept override { return environment_->taken(); }

  void find_blocked(Footprint& footprint, std::vector<Step>& blocked) override {
    for (const auto& actor : environment_->state().actors) {
      if (actor->place != Actor::Place::at_gate || !actor->current()->would_wait()) continue;
      footprint.clear_step();
      actor->current()->foresee(footprint);
      blocked.push_back({.choice = {actor->index, false},
                         .actors = 1U << static_cast<unsigned>(actor->index),
                         .accesses = footprint.accesses()});
    }
    footprint.clear_step();
  }

  RunEnd judge(record::Run& run) override {
    run.store = run_.store;
    run.protocol = run_.protocol;
    run.virtual_time = environment_->is_in_virtual_time();
    run.actors = actors_;
    environment_->judge(run);
    const bool spent = gave_up(environment_->state());
    return {outcome_of(run, spent), verdict_of(run, spent)};
  }

 private:
  const std::string scenario_;
  const RunRequest run_;
  const std::unique_ptr<RunEnvironment> environment_;
  std::vector<std::string> actors_;
};

}  // namespace

std::string ScenarioExplorable::name() const { return scenario_.name; }

Result<std::unique_ptr<Subject>> ScenarioExplorable::open() const {
  Result<std::unique_ptr<RunEnvironment>> environment = RunEnvironment::open(scenario_, resolved_, stop_);
  if (!environment) return environment.error();
  if (Backend* const backend = (*environment)->backend()) backend->serve_search();
  return std::unique_ptr<Subject>(
      std::make_unique<ScenarioSubject>(scenario_.name, resolved_, std::move(*environment)));
}

bool ScenarioExplorable::is_on_server() const {
  const BackendKind* const kind = backend_named(resolved_.store);
  return kind != nullptr && kind->traits.waits == Waits::external;
}

Result<RecordedRun> ScenarioExplorable::record(const std::string& schedule, Nanos until) const {
  RunRequest again = resolved_;
  again.executor = executor_;
  again.schedule = schedule;
  again.recording = true;
  again.until = until;
  Result<record::Run> ran = run(scenario_, again);
  if (!ran) return ran.error();
  OutcomeKey key = outcome_of(*ran, gave_up(*ran));
  return RecordedRun{std::move(*ran), std::move(key)};
}

Result<std::optional<record::StateGraph>> ScenarioExplorable::draw(std::size_t most_states, Nanos most_time,
                                                                   std::vector<std::vector<Choice>> ways) const {
  StateGraphRequest asked{.run = resolved_, .most_states = most_states};
  asked.most_time = std::min(asked.most_time, most_time);
  asked.ways = std::move(ways);
  Result<record::StateGraph> graph = state_graph(scenario_, asked, stop_);
  if (!graph) return graph.error();
  return std::optional(std::move(*graph));
}

}  // namespace lockstep
