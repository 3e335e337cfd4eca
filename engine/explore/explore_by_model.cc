// explore_by_model.cc: see explore_by_model.h.
#include "engine/explore/explore_by_model.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include "engine/explore/findings.h"
#include "engine/explore/model/against_model.h"
#include "engine/explore/parallel_search.h"
#include "engine/explore/scenario_subject.h"
#include "engine/run/verdict.h"

namespace lockstep {
namespace {

/// Of the model: more than a database can be asked for in hours.
constexpr std::uint64_t kModelRunsMost = 1'000'000;
/// The part of the time that the search on the model may take.
constexpr int kModelPart = 4;

/// One exploration, phase by phase.
class ExpeditionByModel {
 public:
  ExpeditionByModel(const Scenario& scenario, const ExploreRequest& request, const RunRequest& database,
                    const Model& model, const StopSource* stop, Nanos begun)
      : scenario_(scenario),
        request_(request),
        database_(within(database, request, begun)),
        model_(model),
        stop_(stop),
        begun_(begun) {
    model_.request.until = database_.until;
  }

  Result<Exploration> go() {
    result_.run = database_;
    result_.strategy = request_.strategy;
    result_.model = model_.name;
    if (Result<void> searched = search_model(); !searched) return searched.error();
    const Nanos search_over = clock_.now();
    if (!result_.interrupted) {
      if (Result<void> ran = run_classes(); !ran) return ran.error();
    }
    result_.complete = result_.is_model_complete && result_.runs == result_.classes;
    result_.seconds = std::chrono::duration<double>(clock_.now() - search_over).count();
    for (auto& [key, outcome] : tally_.outcomes) add_finding(key, outcome);
    put_in_order(result_.findings);
    result_.potential = potential_of(result_.findings);
    for (auto& [key, each] : disagreements_) result_.disagreements.push_back(std::move(each));
    std::stable_sort(result_.disagreements.begin(), result_.disagreements.end(),
                     [](const Disagreement& a, const Disagreement& b) { return a.classes > b.classes; });
    return std::move(result_);
  }

 private:
  static RunRequest within(RunRequest run, const ExploreRequest& request, Nanos begun) {
    if (request.most_time != kNever) run.until = begun + request.most_time;
    return run;
  }
  bool is_late() const { return database_.until != kNever && clock_.now() > database_.until; }

  using DisagreementKey = std::tuple<Difference::Kind, std::string, std::string, std::string, std::string>;

  Result<void> search_model() {
    const ScenarioExplorable on_model(scenario_, model_.request, {}, stop_);
    Result<std::unique_ptr<ParallelSearch>> parallel = ParallelSearch::open(on_model, result_.jobs, stop_);
    if (!parallel) return parallel.error();
    Limits limits{.most_runs = kModelRunsMost, .keeps_runs = true};
    if (request_.most_time != kNever) limits.until = begun_ + request_.most_time / kModelPart;
    Tally found;
    Result<Halt> halt = Halt::news;
    while (halt && *halt == Halt::news) {
      (*parallel)->share_news();
      found = {};
      halt = (*parallel)->search_all(found, limits);
    }
    if (!halt) return halt.error();
    result_.is_model_complete = *halt == Halt::exhausted;
    result_.interrupted = *halt == Halt::interrupted;
    result_.classes = found.runs;
    result_.pruned = 0;
    classes_ = std::move(found.representatives);
    // What a budget leaves of them is a fair sample.
    std::shuffle(classes_.begin(), classes_.end(), std::mt19937_64(database_.seed));
    return {};
  }

  Result<void> run_classes() {
    Result<std::unique_ptr<AgainstModel>> both = AgainstModel::open(scenario_, database_, model_.request, stop_);
    if (!both) return both.error();
    for (const Representative& each : classes_) {
      if (stop_ != nullptr && stop_->requested()) result_.interrupted = true;
      if (result_.interrupted || is_late() || result_.runs >= request_.most_runs) return {};
      if (request_.progress && result_.runs % 64 == 0) request_.progress(result_.runs);
      Result<ModelComparison> compared = (*both)->compare(each.schedule);
      if (!compared && compared.fault() == Fault::cancelled) {
        result_.interrupted = stop_ != nullptr && stop_->requested();
        return {};
      }
      if (!compared) return compared.error();
      if (compared->difference) note_difference(each, (*both)->actors(), *compared);
      add_up(each, std::move(compared->database.run));
    }
    return {};
  }

  void add_up(const Representative& representative, record::Run run) {
    ++result_.runs;
    const auto add = [&representative](double& sum) {
      const double more = representative.interleavings;
      sum = sum < 0 || more < 0 ? -1 : sum + more;
    };
    add(result_.interleavings);
    const OutcomeKey key = outcome_of(run, gave_up(run));
    Outcome& outcome = tally_.outcomes[key];
    outcome.verdict = verdict_of(run, gave_up(run));
    ++outcome.runs;
    add(outcome.interleavings);
    const std::vector<Choice> before = outcome.schedule;
    outcome.consider(representative.schedule, -1);
    if (outcome.schedule != before) shortest_[key] = std::move(run);
  }

  void note_difference(const Representative& representative, const std::vector<std::string>& actors,
                       const ModelComparison& compared) {
    const Difference& difference = *compared.difference;
    Disagreement& known = disagreements_[{difference.kind, difference.actor, difference.operation, difference.model,
                                          difference.database}];
    ++known.classes;
    std::string schedule = schedule_text(representative.schedule, actors);
    const bool better =
        known.classes == 1 || std::pair(schedule.size(), schedule) < std::pair(known.schedule.size(), known.schedule);
    if (!better) return;
    known.difference = difference;
    known.schedule = std::move(schedule);
    known.run = compared.database.run;
    known.run.documents[kModelDifferenceDocument] = to_json(difference, model_.name);
  }

  void add_finding(const OutcomeKey& key, const Outcome& outcome) {
    Finding finding;
    finding.verdict = outcome.verdict;
    finding.what = key.second;
    finding.runs = outcome.runs;
    finding.interleavings = outcome.interleavings;
    finding.shortest = std::move(shortest_[key]);
    result_.findings.push_back(std::move(finding));
  }

  const Scenario& scenario_;
  const ExploreRequest& request_;
  const RunRequest database_;
  Model model_;
  const StopSource* const stop_;
  const RealClock clock_;
  const Nanos begun_;
  std::vector<Representative> classes_;
  Tally tally_;
  std::map<OutcomeKey, record::Run> shortest_;
  std::map<DisagreementKey, Disagreement> disagreements_;
  Exploration result_;
};

}  // namespace

Result<Exploration> explore_by_model(const Scenario& scenario, const ExploreRequest& request,
                                     const RunRequest& database, const Model& model, const StopSource* stop,
                                     Nanos begun) {
  return ExpeditionByModel(scenario, request, database, model, stop, begun).go();
}

}  // namespace lockstep
