// against_model.cc: see against_model.h.
#include "engine/explore/model/against_model.h"

#include "engine/run/coordinates.h"
#include "engine/run/verdict.h"

namespace lockstep {
namespace {

constexpr int kTriesForVictim = 20;  ///< of one schedule: the clock decides whom a deadlock costs
constexpr int kTriesForOther = 3;    ///< the same must show again and again: what does not is the machine's doing

/// Takes the choices given. Passes over one that cannot be taken; after the last, whoever can go does so in turns.
class Followed final : public Schedule {
 public:
  explicit Followed(const std::vector<Choice>& order) : order_(order) {}

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    while (at_ < order_.size()) {
      const Choice choice = order_[at_++];
      const Candidate& named = candidates[static_cast<std::size_t>(choice.actor)];
      if (choice.timeout ? named.may_time_out : can_go(named)) return take(choice);
    }
    const int count = static_cast<int>(candidates.size());
    for (int i = 1; i <= count; ++i) {
      const Candidate& each = candidates[static_cast<std::size_t>((last_ + i) % count)];
      if (can_go(each)) return take({each.actor, false});
    }
    for (const Candidate& each : candidates) {
      if (each.may_time_out) return take({each.actor, true});
    }
    return Error{Fault::internal, {}, "a schedule was asked although nobody can go"};
  }
  bool looks_ahead() const noexcept override { return true; }

 private:
  static bool can_go(const Candidate& candidate) { return candidate.enabled && !candidate.would_wait; }
  Choice take(Choice choice) {
    last_ = choice.actor;
    return choice;
  }

  const std::vector<Choice>& order_;
  std::size_t at_ = 0;
  int last_ = -1;
};

bool is_of_deadlock(const Difference& difference) {
  const std::string_view deadlock = name_of(Fault::deadlock);
  return difference.model == deadlock || difference.database == deadlock;
}

RunRequest recorded(RunRequest request) {
  request.recording = true;
  return request;
}

}  // namespace

AgainstModel::AgainstModel(const Scenario& scenario, const RunRequest& database, const RunRequest& model)
    : scenario_(scenario), database_request_(recorded(database)), model_request_(recorded(model)) {
  for (const ActorSpec& spec : scenario.pattern_named(database.pattern)->actors) actors_.push_back(spec.name);
}

Result<std::unique_ptr<AgainstModel>> AgainstModel::open(const Scenario& scenario, const RunRequest& database,
                                                         const RunRequest& model, const StopSource* stop) {
  std::unique_ptr<AgainstModel> made(new AgainstModel(scenario, database, model));
  for (auto [request, environment] :
       {std::pair(&made->database_request_, &made->database_), std::pair(&made->model_request_, &made->model_)}) {
    Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, *request, stop);
    if (!opened) return opened.error();
    *environment = std::move(*opened);
  }
  if (Backend* const backend = made->database_->backend()) backend->serve_search();
  return made;
}

Result<Performed> AgainstModel::perform(RunEnvironment& environment, const RunRequest& request,
                                        const std::vector<Choice>& schedule) {
  RunRequest taken = request;
  taken.schedule = schedule_text(schedule, actors_);
  Performed performed{.run = run_at(scenario_, taken, environment), .rows = {}};
  Followed followed(schedule);
  if (const Result<void> done = environment.perform(&followed); !done) return done.error();
  performed.run.schedule = schedule_text(environment.taken(), actors_);
  environment.judge(performed.run);
  performed.rows = environment.final_rows();
  if (performed.run.ending == record::Ending::interrupted) return Error{Fault::cancelled, {}, "interrupted"};
  if (performed.run.ending == record::Ending::unavailable)
    return Error{Fault::unavailable, {}, "the store is gone: " + performed.run.summary};
  return performed;
}

Result<ModelComparison> AgainstModel::compare(const std::vector<Choice>& schedule) {
  const Result<Performed> expected = perform(*model_, model_request_, schedule);
  if (!expected) return expected.error();
  for (int tries = 1;; ++tries) {
    Result<Performed> seen = perform(*database_, database_request_, schedule);
    if (!seen) return seen.error();
    std::optional<Difference> difference = first_difference(*expected, *seen);
    const int most = !database_->is_in_virtual_time() && difference
                         ? (is_of_deadlock(*difference) ? kTriesForVictim : kTriesForOther)
                         : 1;
    if (difference && tries < most) continue;
    return ModelComparison{std::move(*seen), std::move(difference)};
  }
}

}  // namespace lockstep
