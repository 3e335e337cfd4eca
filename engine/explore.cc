// explore.cc: a search through a scenario's runs.
#include "engine/explore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "engine/actor.h"
#include "engine/stage.h"
#include "engine/state_graph.h"
#include "engine/verdict.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 5> kStrategies = {"exhaustive", "unreduced", "walk", "pct", "pos"};
constexpr Nanos kDeadlockTimeout = std::chrono::milliseconds(1);  ///< of a server: every deadlock takes as long
constexpr int kRepeatsMost = 20;                                  ///< of one run on a server
constexpr int kRetries = 1;  ///< unless asked otherwise: every retry multiplies the interleavings

/// Lets a search decide who goes next, and tells it what each step touched.
class Explored final : public Schedule {
 public:
  Explored(RunState& run, Search& search) : run_(run), search_(&search) {}
  void use(Search& search) { search_ = &search; }

  void begin() {
    footprint_.clear_run();
    stepping_ = false;
    complete_ = true;
    blocked_.clear();
  }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    settle();
    choices_.clear();
    for (const Candidate& each : candidates) {
      if (each.enabled && !each.would_wait) choices_.push_back({each.actor, false});
      if (each.may_time_out) choices_.push_back({each.actor, true});
    }
    Choice choice;
    if (!search_->choose(choices_, choice)) {
      complete_ = false;
      find_blocked();
      return Error{Fault::cancelled, {}, {}};
    }
    stepping_ = true;
    return choice;
  }
  bool looks_ahead() const noexcept override { return true; }
  void nothing_left() override {
    settle();
    find_blocked();
  }

  /// The run is over: how many interleavings it stands for.
  double end() {
    settle();
    return search_->end(complete_, blocked_);
  }
  bool complete() const noexcept { return complete_; }
  Footprint& footprint() noexcept { return footprint_; }

 private:
  /// The latest step has had its consequences.
  void settle() {
    if (stepping_) search_->took(footprint_);
    stepping_ = false;
    footprint_.clear_step();
  }

  void find_blocked() {
    blocked_.clear();
    for (const auto& actor : run_.actors) {
      if (actor->place != Actor::Place::at_gate || !actor->current()->would_wait()) continue;
      footprint_.clear_step();
      actor->current()->foresee(footprint_);
      blocked_.push_back({.choice = {actor->index, false},
                          .actors = 1U << static_cast<unsigned>(actor->index),
                          .accesses = footprint_.accesses()});
    }
    footprint_.clear_step();
  }

  RunState& run_;
  Search* search_;
  Footprint footprint_;
  std::vector<Choice> choices_;
  std::vector<Step> blocked_;
  bool stepping_ = false;
  bool complete_ = true;
};

/// Somebody's last attempt failed: what the scenario promises of everybody's success cannot hold then.
bool gave_up(const RunState& state) {
  return std::any_of(state.actors.begin(), state.actors.end(), [](const auto& actor) {
    return actor->has_finished() && actor->ending() && is_retry_safe(actor->ending()->fault);
  });
}
bool gave_up(const record::Run& run) {
  return std::any_of(run.events.begin(), run.events.end(), [](const record::Event& event) {
    return event.kind == record::EventKind::finish && event.fault && is_retry_safe(*event.fault);
  });
}

/// What a run came to. `gave_up`: see above.
record::Verdict verdict_of(const record::Run& run, bool gave_up) {
  return gave_up && run.verdict == record::Verdict::anomaly ? record::Verdict::abort : run.verdict;
}

/// The same for people: runs that differ in this are told apart.
std::string what_of(const record::Run& run, bool gave_up) {
  if (gave_up) return "somebody gave up, the retries spent";
  if (run.verdict == record::Verdict::anomaly) {
    std::string text = "broken: ";
    for (const record::Invariant& each : run.invariants) {
      if (!each.held) text += fmt::format("{}{}", text.ends_with(' ') ? "" : ", ", each.text);
    }
    return text;
  }
  // On a server a cycle is seen in passing, or not.
  if (run.cycles.empty() || run.store == "postgres") return {};
  std::vector<std::string> cycles;
  for (const auto& cycle : run.cycles) {
    cycles.push_back(fmt::format("{} → {}", fmt::join(cycle, " → "), cycle.front()));
  }
  std::sort(cycles.begin(), cycles.end());
  return fmt::format("{}", fmt::join(cycles, ", "));
}

int changes_of_actor(const std::vector<Choice>& choices) {
  int changes = 0;
  for (std::size_t i = 1; i < choices.size(); ++i) changes += choices[i].actor != choices[i - 1].actor ? 1 : 0;
  return changes;
}

/// The best schedule so far that ends in one way.
struct Ending {
  Finding finding;
  std::vector<Choice> schedule;

  void consider(const std::vector<Choice>& other) {
    const bool shorter = schedule.empty() || other.size() < schedule.size() ||
                         (other.size() == schedule.size() && changes_of_actor(other) < changes_of_actor(schedule));
    if (shorter) schedule = other;
  }
};

/// How bad it is: for the order of the findings.
int badness(record::Verdict verdict) {
  using record::Verdict;
  constexpr std::array<Verdict, 8> kWorstFirst = {Verdict::deadlock, Verdict::hung,  Verdict::starved, Verdict::anomaly,
                                                  Verdict::timeout,  Verdict::abort, Verdict::avoided, Verdict::clean};
  return static_cast<int>(std::find(kWorstFirst.begin(), kWorstFirst.end(), verdict) - kWorstFirst.begin());
}

using EndingKey = std::pair<int, std::string>;  ///< badness, what

bool ends_as(const record::Run& run, const EndingKey& key) {
  const bool spent = gave_up(run);
  return badness(verdict_of(run, spent)) == key.first && what_of(run, spent) == key.second;
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

Result<Exploration> explore(const Scenario& scenario, const ExploreRequest& request, const StopSource* stop) {
  RunRequest asked = request.run;
  asked.executor = "coroutines";
  asked.schedule.clear();
  asked.recording = false;
  if (!asked.retries) asked.retries = kRetries;
  Result<RunRequest> resolved = resolve(scenario, asked);
  if (!resolved) return resolved.error();
  if (resolved->store == "postgres" && !resolved->deadlock_timeout) resolved->deadlock_timeout = kDeadlockTimeout;
  Result<std::unique_ptr<Stage>> opened = Stage::open(scenario, *resolved, stop);
  if (!opened) return opened.error();
  Stage& stage = **opened;
  std::vector<std::string> names;
  for (const ActorSpec& spec : stage.pattern().actors) names.push_back(spec.name);
  if (names.size() > kMostActors) {
    return Error{Fault::invalid, {}, fmt::format("{} actors; at most {} can be explored", names.size(), kMostActors)};
  }

  Exploration result;
  result.run = *resolved;
  result.strategy = request.strategy;
  const SearchOptions how{.strategy = request.strategy, .seed = resolved->seed};
  std::unique_ptr<Search> search = make_search(how);
  Explored explored(stage.state(), *search);
  stage.state().footprint = &explored.footprint();
  std::map<EndingKey, Ending> endings;
  int repeated = 0;
  const RealClock clock;
  const Nanos begun = clock.now();
  for (;;) {
    if (!search->begin()) {
      result.complete = search->exhaustive() && result.left_out == 0;
      break;
    }
    if (stop != nullptr && stop->requested()) {
      result.interrupted = true;
      break;
    }
    const std::uint64_t done = result.runs + result.pruned;
    if (done >= request.most_runs || (done % 64 == 0 && clock.now() - begun > request.most_time)) break;
    if (request.progress && done % 4096 == 0) request.progress(done);

    explored.begin();
    const Result<void> performed = stage.perform(&explored);
    if (stage.state().ending() == record::Ending::interrupted) {
      result.interrupted = true;
      break;
    }
    if (!performed && performed.fault() != Fault::cancelled) return performed.error();
    if (stage.state().ending() == record::Ending::unavailable)
      return Error{Fault::unavailable, {}, "the store is gone"};
    if (!search->disagreement().empty() && !stage.state().virtual_time && ++repeated < kRepeatsMost) {
      // A server decides some things by the clock, such as which of two gives up for a deadlock.
      search->repeat();
      continue;
    }
    if (!search->disagreement().empty() && !stage.state().virtual_time) {
      repeated = 0;
      ++result.left_out;
      search->leave_out();
      continue;
    }
    if (!search->disagreement().empty()) {
      return Error{Fault::invalid,
                   {},
                   fmt::format("{} on {} does not do the same after the same choices: {}", scenario.name,
                               resolved->store, search->disagreement())};
    }
    if (explored.footprint().take_news()) {
      // The choices themselves are others now: from the begin.
      search = make_search(how);
      explored.use(*search);
      endings.clear();
      result.runs = result.pruned = 0;
      result.interleavings = 0;
      continue;
    }
    repeated = 0;
    const double orders = explored.end();
    if (!explored.complete()) {
      ++result.pruned;
      continue;
    }
    ++result.runs;
    record::Run run;
    run.store = resolved->store;
    run.protocol = resolved->protocol;
    run.actors = names;
    stage.judge(run);
    const bool spent = gave_up(stage.state());
    const record::Verdict verdict = verdict_of(run, spent);
    Ending& ending = endings[{badness(verdict), what_of(run, spent)}];
    ending.finding.verdict = verdict;
    ++ending.finding.runs;
    const auto add = [orders](double& sum) { sum = orders < 0 || sum < 0 ? -1 : sum + orders; };
    add(ending.finding.interleavings);
    add(result.interleavings);
    const std::vector<Choice>& taken = stage.taken();
    if (ending.schedule.empty() || taken.size() <= ending.schedule.size()) {
      std::vector<Choice> calm = search->calmest();
      calm.insert(calm.end(), taken.begin() + static_cast<std::ptrdiff_t>(calm.size()), taken.end());
      ending.consider(calm);
    }
  }
  result.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  stage.state().footprint = nullptr;

  // Every way to end once more, recorded.
  for (auto& [key, ending] : endings) {
    RunRequest again = *resolved;
    again.executor = request.run.executor;
    again.schedule = schedule_text(ending.schedule, names);
    again.recording = true;
    Result<record::Run> shortest = run(scenario, again);
    const bool on_server = resolved->store == "postgres";
    for (int i = 0; on_server && i < kRepeatsMost && (!shortest || !ends_as(*shortest, key)); ++i) {
      shortest = run(scenario, again);
    }
    if (!shortest && !(on_server && shortest.fault() == Fault::invalid)) return shortest.error();
    if (!shortest) {
      record::Run unseen;  // the server did not do it again
      unseen.scenario = scenario.name;
      unseen.schedule = again.schedule;
      shortest = std::move(unseen);
    }
    ending.finding.what = key.second;
    ending.finding.shortest = std::move(*shortest);
    if (!on_server && !ends_as(ending.finding.shortest, key)) {
      return Error{Fault::internal,
                   {},
                   fmt::format("{} does not do the same after the same choices: \"{}\" ended as {} {}, and then as {}",
                               scenario.name, again.schedule, record::name_of(ending.finding.verdict), key.second,
                               record::name_of(ending.finding.shortest.verdict))};
    }
    result.findings.push_back(std::move(ending.finding));
  }
  std::stable_sort(result.findings.begin(), result.findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(badness(a.verdict), -static_cast<double>(a.runs)) <
           std::pair(badness(b.verdict), -static_cast<double>(b.runs));
  });
  if (request.most_states > 0 && stage.state().virtual_time && resolved->store != "sqlite") {
    StateGraphRequest asked_for{.run = *resolved, .most_states = request.most_states};
    for (const Finding& each : result.findings) {
      Result<std::vector<Choice>> way = choices_named(each.shortest.schedule, names);
      if (way) asked_for.ways.push_back(std::move(*way));
    }
    Result<record::StateGraph> graph = state_graph(scenario, asked_for, stop);
    if (!graph) return graph.error();
    result.graph = std::move(*graph);
  }
  return result;
}

}  // namespace lockstep
