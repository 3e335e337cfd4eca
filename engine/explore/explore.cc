// explore.cc: a search through a scenario's runs, from its coordinates to what it has found.
#include "engine/explore/explore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <thread>

#include "engine/explore/explore_by_model.h"
#include "engine/explore/findings.h"
#include "engine/explore/grain.h"
#include "engine/explore/parallel_search.h"
#include "engine/explore/scenario_subject.h"
#include "engine/explore/search_worker.h"
#include "engine/run/verdict.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 6> kStrategies = {"exhaustive", "unreduced", "bounded", "walk", "pct", "pos"};
constexpr Nanos kDeadlockTimeout = std::chrono::milliseconds(1);  ///< of a server: every deadlock takes as long
/// For the fewest preemptions: the states met are kept, at about 100 bytes each.
constexpr std::uint64_t kBoundedMost = 1'000'000;
constexpr std::size_t kReadableMost = 500;  ///< steps of a schedule that is worth the trouble
/// After the budget: for all findings together to be run once more, and for the state graph.
constexpr Nanos kRecordingLeast = std::chrono::milliseconds(400);
constexpr Nanos kDrawingLeast = std::chrono::milliseconds(200);

bool is_bad(const OutcomeKey& key) { return key.first < badness_of(record::Verdict::avoided); }

bool breaks_deadlocks_late(const RunRequest& resolved) {
  const BackendKind* const kind = backend_named(resolved.store);
  if (kind == nullptr) return false;
  return kind->protocol_named(resolved.protocol)->deadlocks == DeadlockBreaking::after_timeout;
}

/// One exploration, phase by phase.
class ExplorationRun {
 public:
  ExplorationRun(const Explorable& subject, const ExploreRequest& request, RunRequest resolved,
                 std::unique_ptr<ParallelSearch> parallel, Nanos begun)
      : subject_(subject),
        request_(request),
        resolved_(std::move(resolved)),
        parallel_(std::move(parallel)),
        begun_(begun),
        until_(request.most_time == kNever ? kNever : begun_ + request.most_time) {}

  Result<Exploration> go(int jobs) {
    result_.run = resolved_;
    result_.strategy = request_.strategy;
    Result<Halt> halt = Halt::news;
    while (halt && *halt == Halt::news) {
      parallel_->share_news();
      tally_ = {};
      done_ = 0;
      has_failed_ = false;
      halt = search();
    }
    if (!halt) return halt.error();
    result_.jobs = is_sampling(request_.strategy) ? parallel_->jobs_in_all() : jobs;
    result_.ranks = request_.ranks == nullptr ? 1 : request_.ranks->size();
    result_.complete = *halt == Halt::exhausted && tally_.left_out == 0;
    result_.interrupted = *halt == Halt::interrupted;
    result_.seconds = std::chrono::duration<double>(clock_.now() - begun_).count();
    result_.runs = tally_.runs;
    result_.pruned = tally_.pruned;
    result_.left_out = tally_.left_out;
    result_.interleavings = tally_.interleavings;
    if (request_.ranks != nullptr && !request_.ranks->leads()) return std::move(result_);
    if (Result<void> minimised = find_fewest_preemptions(); !minimised) return minimised.error();
    if (until_ != kNever) record_until_ = std::max(until_, clock_.now() + kRecordingLeast);
    for (auto& [key, outcome] : tally_.outcomes) {
      if (Result<void> recorded = record_outcome(key, outcome); !recorded) return recorded.error();
    }
    put_in_order(result_.findings);
    result_.potential = potential_of(result_.findings);
    if (Result<void> drawn = draw_graph(); !drawn) return drawn.error();
    return std::move(result_);
  }

 private:
  SearchOptions how() const { return {.strategy = request_.strategy, .seed = resolved_.seed}; }
  Limits limits() {
    Limits limits{
        .most_runs = request_.most_runs, .until = until_, .enough = {}, .done = &done_, .progress = request_.progress};
    if (!request_.until_failure) return limits;
    limits.enough = [this] { return has_failed_.load(std::memory_order_relaxed); };
    limits.seen = [this](const record::Run& run, double) {
      if (badness_of(run.verdict) < badness_of(record::Verdict::avoided))
        has_failed_.store(true, std::memory_order_relaxed);
    };
    return limits;
  }

  Result<Halt> search() {
    if (is_sampling(request_.strategy)) return parallel_->sample(how(), tally_, limits());
    if (request_.strategy == Strategy::exhaustive) return parallel_->search_all(tally_, limits());
    const std::unique_ptr<Search> alone = make_search(how());
    Result<Halt> halt = parallel_->first_worker().search(*alone, tally_, limits());
    if (request_.strategy == Strategy::bounded) result_.preemptions_seen = alone->preemptions() - 1;
    return halt;
  }

  /// Where it is known what a step touches.
  bool is_in_this_process() const { return subject_.knows_footprints(); }

  /// A search of its own, which takes the schedules in this order.
  Result<void> find_fewest_preemptions() {
    std::vector<OutcomeKey> wanted;
    for (const auto& [key, outcome] : tally_.outcomes) {
      if (is_bad(key) && outcome.schedule.size() <= kReadableMost) wanted.push_back(key);
    }
    if (request_.strategy == Strategy::bounded) {
      note_preemptions(wanted, tally_, result_.preemptions_seen);
      return {};
    }
    if (wanted.empty() || !request_.fewest_preemptions || result_.interrupted || !is_in_this_process()) return {};
    const Nanos now = clock_.now();
    const std::unique_ptr<Search> bounded = make_search({.strategy = Strategy::bounded});
    Tally found;
    int looked_at = 0;
    Limits limits{.most_runs = std::min(kBoundedMost, request_.most_runs),
                  .until = std::min(until_, now + std::max(request_.preemptions_least, now - begun_))};
    limits.enough = [&] {
      if (bounded->preemptions() == looked_at) return false;
      looked_at = bounded->preemptions();
      // A level has begun, so those below it are done.
      return std::all_of(wanted.begin(), wanted.end(), [&](const OutcomeKey& key) {
        const auto outcome = found.outcomes.find(key);
        return outcome != found.outcomes.end() && outcome->second.preemptions < looked_at;
      });
    };
    const Result<Halt> halt = parallel_->first_worker().search(*bounded, found, limits);
    // Then nothing is known of how few there could be.
    if (!halt && halt.fault() == Fault::unsupported) return {};
    if (!halt) return halt.error();
    for (const auto& [key, outcome] : found.outcomes) {
      if (result_.complete && !tally_.outcomes.contains(key)) {
        return Error{Fault::internal,
                     {},
                     fmt::format("{}: \"{}\" ends as {} {}, which the search has not found", subject_.name(),
                                 schedule_text(outcome.schedule, parallel_->first_worker().actors()),
                                 record::name_of(outcome.verdict), key.second)};
      }
    }
    const int seen = *halt == Halt::exhausted ? INT_MAX : bounded->preemptions() - 1;
    note_preemptions(wanted, found, seen);
    return {};
  }

  /// `seen`: every schedule with at most so many preemptions is in `found`.
  void note_preemptions(const std::vector<OutcomeKey>& wanted, const Tally& found, int seen) {
    for (const OutcomeKey& key : wanted) {
      const auto outcome = found.outcomes.find(key);
      if (outcome == found.outcomes.end()) continue;
      minimal_[key] = {outcome->second.preemptions, outcome->second.preemptions <= seen};
      tally_.outcomes[key].schedule = outcome->second.schedule;
    }
  }

  /// Runs it once more, recorded.
  Result<void> record_outcome(const OutcomeKey& key, const Outcome& outcome) {
    const std::string schedule = schedule_text(outcome.schedule, parallel_->first_worker().actors());
    Result<RecordedRun> shortest = subject_.record(schedule, record_until_);
    const auto ends_so = [&] { return shortest && shortest->key == key; };
    const auto is_too_late = [&] { return clock_.now() > record_until_; };
    const bool on_server = subject_.is_on_server();
    for (int i = 0; on_server && i < kRepeatsMost && !ends_so() && !is_too_late(); ++i)
      shortest = subject_.record(schedule, record_until_);
    const bool was_interrupted = !shortest && shortest.fault() == Fault::cancelled && !is_too_late();
    if (was_interrupted) result_.interrupted = true;
    const bool was_cut_short = was_interrupted || (is_too_late() && !ends_so());
    if (!shortest && !was_cut_short && !(on_server && shortest.fault() == Fault::invalid)) return shortest.error();
    if (was_cut_short) shortest = Error{Fault::cancelled, {}, "it was cut short"};
    if (!on_server && !was_cut_short && !ends_so()) {
      return Error{Fault::internal,
                   {},
                   fmt::format("{} does not do the same after the same choices: \"{}\" ended as {} {}, and then as {}",
                               subject_.name(), schedule, record::name_of(outcome.verdict), key.second,
                               record::name_of(shortest->run.verdict))};
    }
    if (!shortest) {
      record::Run unseen;  // the server did not do it again, or there was no time
      unseen.scenario = subject_.name();
      unseen.schedule = schedule;
      shortest = RecordedRun{std::move(unseen), key};
    }
    Finding finding;
    finding.verdict = outcome.verdict;
    finding.what = key.second;
    finding.runs = outcome.runs;
    finding.interleavings = outcome.interleavings;
    if (const auto minimal = minimal_.find(key); minimal != minimal_.end()) {
      finding.preemptions = minimal->second.first;
      finding.fewest_steps = minimal->second.second;
    }
    finding.shortest = std::move(shortest->run);
    result_.findings.push_back(std::move(finding));
    return {};
  }

  Result<void> draw_graph() {
    if (request_.most_states == 0 || !is_in_this_process()) return {};
    const Nanos most_time = until_ == kNever ? kNever : std::max(until_ - clock_.now(), kDrawingLeast);
    std::vector<std::vector<Choice>> ways;
    for (const Finding& each : result_.findings) {
      Result<std::vector<Choice>> way = choices_named(each.shortest.schedule, parallel_->first_worker().actors());
      if (way) ways.push_back(std::move(*way));
    }
    Result<std::optional<record::StateGraph>> graph = subject_.draw(request_.most_states, most_time, std::move(ways));
    if (!graph) return graph.error();
    result_.graph = std::move(*graph);
    return {};
  }

  const Explorable& subject_;
  const ExploreRequest& request_;
  const RunRequest resolved_;
  const std::unique_ptr<ParallelSearch> parallel_;
  const RealClock clock_;
  const Nanos begun_, until_;
  Nanos record_until_ = kNever;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> has_failed_{false};
  Tally tally_;
  std::map<OutcomeKey, std::pair<int, bool>> minimal_;  ///< preemptions; whether fewer steps are ruled out too
  Exploration result_;
};

/// What is said of it beside what was found.
void conclude(const Scenario& scenario, Exploration& explored, bool bodies_have_code) {
  explored.grain = grain_of(scenario, explored, bodies_have_code);
  const std::optional<record::Verdict> expected =
      scenario.pattern_named(explored.run.pattern)->expected(explored.run.store, explored.run.protocol);
  const bool is_bad_end = expected && badness_of(*expected) < badness_of(record::Verdict::avoided);
  const bool was_seen = std::any_of(explored.findings.begin(), explored.findings.end(),
                                    [&expected](const Finding& each) { return each.verdict == expected; });
  if (is_bad_end && !was_seen && !explored.interrupted) explored.missed = expected;
}

}  // namespace

std::string_view name_of(Strategy strategy) noexcept { return kStrategies[static_cast<std::size_t>(strategy)]; }

std::optional<Strategy> strategy_named(std::string_view name) noexcept {
  const auto found = std::find(kStrategies.begin(), kStrategies.end(), name);
  if (found == kStrategies.end()) return std::nullopt;
  return static_cast<Strategy>(found - kStrategies.begin());
}

std::uint64_t Exploration::runs_ending(record::Verdict verdict) const {
  std::uint64_t sum = 0;
  for (const Finding& each : findings) sum += each.verdict == verdict ? each.runs : 0;
  return sum;
}

double Exploration::share_ending(record::Verdict verdict) const {
  const bool sampled = is_sampling(strategy);
  const double whole = sampled ? static_cast<double>(runs) : interleavings;
  if (whole < 0) return -1;
  double part = 0;
  for (const Finding& each : findings) {
    if (each.verdict != verdict) continue;
    if (!sampled && each.interleavings < 0) return -1;
    part += sampled ? static_cast<double>(each.runs) : each.interleavings;
  }
  return whole == 0 ? 0 : part / whole;
}

int jobs_by_default(const ExploreRequest& request) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return request.ranks == nullptr ? cores : std::max(1, cores / request.ranks->here());
}

Result<Exploration> explore(const Explorable& subject, const RunRequest& resolved, const ExploreRequest& asked,
                            int jobs, const StopSource* stop, Nanos begun) {
  ExploreRequest request = asked;
  if (request.ranks != nullptr && !is_sampling(request.strategy)) {
    if (!request.ranks->leads()) return Exploration();
    request.ranks = nullptr;
  }
  Result<std::unique_ptr<ParallelSearch>> parallel = ParallelSearch::open(subject, jobs, stop, request.ranks);
  if (!parallel) return parallel.error();
  return ExplorationRun(subject, request, resolved, std::move(*parallel), begun).go(jobs);
}

Result<Exploration> explore(const Scenario& scenario, const ExploreRequest& asked_for, const StopSource* stop) {
  const Nanos begun = RealClock().now();  // a server that has to be started first is part of the budget
  ExploreRequest request = asked_for;
  RunRequest asked = request.run;
  asked.executor = "coroutines";
  asked.schedule.clear();
  asked.recording = false;
  if (!asked.retries) asked.retries = kExploreRetries;
  Result<RunRequest> resolved = resolve(scenario, asked);
  if (!resolved) return resolved.error();
  const std::size_t actors = scenario.pattern_named(resolved->pattern)->actors.size();
  if (actors > kMostActors) {
    return Error{Fault::invalid, {}, fmt::format("{} actors; at most {} can be explored", actors, kMostActors)};
  }
  if (breaks_deadlocks_late(*resolved) && !resolved->deadlock_timeout) resolved->deadlock_timeout = kDeadlockTimeout;
  const bool in_process = knows_footprints(*resolved);
  if (request.ranks != nullptr && !(in_process && is_sampling(request.strategy))) {
    if (!request.ranks->leads()) return Exploration();
    request.ranks = nullptr;
  }
  std::string why_no_model;
  if (!in_process && request.strategy == Strategy::exhaustive && !request.direct) {
    const ModelChoice choice = model_of(scenario, *resolved);
    if (choice.model) {
      Result<Exploration> explored = explore_by_model(scenario, request, *resolved, *choice.model, stop, begun);
      if (explored) conclude(scenario, *explored, request.bodies_have_code);
      return explored;
    }
    why_no_model = choice.why_not;
  }
  const int wanted = request.jobs > 0 ? request.jobs : jobs_by_default(request);
  const int jobs = in_process && is_sampling(request.strategy) ? wanted : 1;
  const ScenarioExplorable subject(scenario, *resolved, request.run.executor, stop);
  Result<Exploration> explored = explore(subject, *resolved, request, jobs, stop, begun);
  if (explored && (request.ranks == nullptr || request.ranks->leads())) {
    explored->why_no_model = std::move(why_no_model);
    conclude(scenario, *explored, request.bodies_have_code);
  }
  return explored;
}

}  // namespace lockstep
