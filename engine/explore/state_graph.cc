// state_graph.cc: run after run, each one move beyond a state that is known and then on to a known state or to its end.
// So from every state that is kept a move that is kept leads on, until the run is over: no reader gets stuck.
#include "engine/explore/state_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include "engine/actor/actor.h"
#include "engine/explore/search/state_key.h"
#include "engine/run/run_environment.h"
#include "engine/run/verdict.h"
#include "engine/sync/lock_core.h"

namespace lockstep {
namespace {

using record::Event;
using record::EventKind;
using record::StateGraph;

constexpr std::size_t kLineMost = 1000;   // new states beyond a plan; a longer line is not kept
constexpr std::size_t kTurnsInARow = 20;  // of one actor beyond a plan, so that actors which wait for each other get on

/// Follows a plan, then goes on to a state that is known or to the end, and writes down the states that it comes
/// through.
class Charted final : public Schedule {
 public:
  Charted(RunState& run, StateGraph& graph, std::size_t most_bytes)
      : run_(run), graph_(graph), most_bytes_(most_bytes) {}

  /// Another run. `keeps_all`: also what is beyond the limit.
  void begin(std::vector<Choice> plan, bool keeps_all) {
    planned_ = plan.size();
    turns_in_a_row_ = 0;
    footprint_.clear_run();
    key_.clear();
    plan_ = std::move(plan);
    taken_ = 0;
    keeps_all_ = keeps_all;
    at_ = -1;
    seen_ = 0;
    stuck_ = false;
    too_long_ = false;
  }

  bool may_choose_timeout() const noexcept override { return true; }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    std::vector<Choice> choices;
    for (const Candidate& each : candidates) {
      if (each.enabled) choices.push_back({each.actor, false});
      if (each.may_time_out) choices.push_back({each.actor, true});
    }
    const std::size_t known = graph_.states.size();
    if (!arrive(choices)) return Error{Fault::cancelled, {}, {}};
    if (taken_ == plan_.size() && !goes_on(choices, graph_.states.size() > known))
      return Error{Fault::cancelled, {}, {}};
    const Choice choice = plan_[taken_++];
    if (std::find(choices.begin(), choices.end(), choice) == choices.end()) {
      wrong_ = fmt::format("after {} steps {} could not go", taken_ - 1, name_of(choice));
      return Error{Fault::cancelled, {}, {}};
    }
    return choice;
  }
  void nothing_left() override {
    stuck_ = true;
    arrive({});
  }
  /// Everybody has come to his end.
  void finished() {
    if (!stuck_) arrive({});
  }

  /// The state that the run has come to; -1: one that is not kept.
  int at() const noexcept { return at_; }
  Footprint& footprint() noexcept { return footprint_; }
  const std::string& wrong() const noexcept { return wrong_; }
  /// The run has come beyond its plan, to a state that leads to an end or to an end itself.
  bool is_whole() const noexcept { return !too_long_ && wrong_.empty(); }
  /// Drops the states that are new since the latest take_news(), but for the begin: the run did not come to an end.
  void forget_news() {
    const bool begins = std::erase(news_, 0) > 0;
    const std::size_t kept = graph_.states.size() - news_.size();
    std::erase_if(numbers_, [kept](const auto& each) { return static_cast<std::size_t>(each.second) >= kept; });
    graph_.states.resize(kept);
    came_from_.resize(kept);
    for (StateGraph::State& state : graph_.states) {
      for (StateGraph::Move& move : state.moves) {
        if (move.to >= static_cast<int>(kept)) move.to = -1;
      }
    }
    news_.clear();
    if (begins) news_.push_back(0);
  }
  /// The states that are new since the latest call.
  std::vector<int> take_news() { return std::exchange(news_, {}); }
  std::vector<Choice> way_to(int state) const {
    std::vector<Choice> way;
    for (int s = state; s > 0; s = came_from_[static_cast<std::size_t>(s)].first)
      way.push_back(came_from_[static_cast<std::size_t>(s)].second);
    std::reverse(way.begin(), way.end());
    return way;
  }

 private:
  std::string name_of(const Choice& choice) const {
    return lockstep::name_of(choice, graph_.actors[static_cast<std::size_t>(choice.actor)]);
  }

  /// Beyond the plan: chooses who goes next, the same actor as long as it may. False: the state was known before, or
  /// the line has become too long.
  bool goes_on(const std::vector<Choice>& choices, bool is_new) {
    if (!is_new || choices.empty()) return false;
    too_long_ = taken_ >= planned_ + kLineMost;
    if (too_long_) return false;
    const int last = plan_.empty() ? -1 : plan_.back().actor;
    std::vector<Choice> steps;
    for (const Choice& each : choices) {
      if (!each.timeout) steps.push_back(each);
    }
    // Nobody can go: a deadline passes, of each actor in turn, so that no actor pauses for ever while others could end.
    const bool only_deadlines = steps.empty();
    if (only_deadlines) steps = choices;
    const bool in_turn = only_deadlines || ++turns_in_a_row_ > kTurnsInARow;
    auto next =
        std::find_if(steps.begin(), steps.end(), [&](const Choice& each) { return !in_turn && each.actor == last; });
    if (next == steps.end()) {
      turns_in_a_row_ = 0;
      next = std::find_if(steps.begin(), steps.end(), [last](const Choice& each) { return each.actor > last; });
      if (next == steps.end()) next = steps.begin();
    }
    plan_.push_back(*next);
    return true;
  }

  /// The latest step has had its consequences. False: the state is not kept, or something is wrong.
  bool arrive(const std::vector<Choice>& choices) {
    StateGraph::Move* const move = taken_ == 0 ? nullptr : move_of(at_, plan_[taken_ - 1]);
    if (taken_ > 0) key_.add(plan_[taken_ - 1], footprint_);
    footprint_.clear_step();
    const std::vector<Event> events = run_.events_from(seen_);
    seen_ += events.size();
    const int from = at_;
    at_ = state_now(choices, from);
    if (move == nullptr || !wrong_.empty()) return at_ >= 0 && wrong_.empty();
    // A new state may have moved the list of the states.
    StateGraph::Move& made = *move_of(from, plan_[taken_ - 1]);
    if (made.what.empty()) {
      for (const Event& event : events) {
        if (std::string text = story_of(event); !text.empty()) made.what.push_back(std::move(text));
      }
    }
    made.to = at_;
    return at_ >= 0;
  }

  StateGraph::Move* move_of(int state, const Choice& choice) {
    if (state < 0) return nullptr;
    for (StateGraph::Move& each : graph_.states[static_cast<std::size_t>(state)].moves) {
      if (each.actor == choice.actor && each.timeout == choice.timeout) return &each;
    }
    return nullptr;
  }

  int state_now(const std::vector<Choice>& choices, int from) {
    const auto known = numbers_.find(key_.value());
    if (known != numbers_.end()) {
      compare(graph_.states[static_cast<std::size_t>(known->second)], choices);
      return known->second;
    }
    // A line of play that has gone beyond its plan is on its way to an end, and is kept whole.
    const bool is_first = taken_ <= planned_;
    const bool is_full = graph_.states.size() >= graph_.limit || bytes_ >= most_bytes_;
    if (is_full && is_first && !keeps_all_) {
      graph_.limit = std::min(graph_.limit, graph_.states.size());
      return -1;
    }
    const int number = static_cast<int>(graph_.states.size());
    numbers_.emplace(key_.value(), number);
    graph_.states.push_back(describe(choices));
    bytes_ += bytes_of(graph_.states.back());
    came_from_.emplace_back(from, taken_ == 0 ? Choice{} : plan_[taken_ - 1]);
    news_.push_back(number);
    return number;
  }

  void compare(const StateGraph::State& state, const std::vector<Choice>& choices) {
    std::vector<std::string> before, now;
    for (const StateGraph::Move& each : state.moves) before.push_back(name_of({each.actor, each.timeout}));
    for (const Choice& each : choices) now.push_back(name_of(each));
    if (before != now) {
      wrong_ = fmt::format("after {} steps it had the choice of {}, and then of {}", taken_, fmt::join(before, ", "),
                           fmt::join(now, ", "));
    }
  }

  StateGraph::State describe(const std::vector<Choice>& choices) {
    StateGraph::State state{.steps = static_cast<std::uint32_t>(taken_)};
    for (const auto& actor : run_.actors) {
      const bool over = actor->place == Actor::Place::finished;
      state.actors.push_back(
          {.standing = over                                    ? record::Standing::finished
                       : actor->place == Actor::Place::waiting ? record::Standing::waits
                                                               : record::Standing::ready,
           .doing = over || actor->current() == nullptr ? "" : text_of(actor->current()->describe())});
    }
    run_.for_each_lock([&state](const sync::LockCore& lock) {
      for (const sync::Hold& hold : lock.holds())
        state.holds.push_back({hold.actor->index, lock.name(), std::string(sync::name_of(hold.mode))});
    });
    if (run_.backend != nullptr) {
      for (const Blocker& held : run_.backend->holders()) {
        if (held.actor >= 0) state.holds.push_back({held.actor, held.object, held.what});
      }
    }
    const WaitGraph graph = run_.wait_graph();
    for (const WaitForEdge& edge : graph.edges()) {
      if (edge.from >= 0) state.waits.push_back({edge.from, edge.to, edge.object, edge.what});
    }
    if (const auto cycles = graph.cycles(); !cycles.empty()) state.cycle = cycles.front();
    for (const Choice& each : choices) state.moves.push_back({.actor = each.actor, .timeout = each.timeout});
    return state;
  }

  static std::string text_of(const Description& described) {
    std::string text = described.verb;
    for (const std::string& part : {described.object, described.detail}) {
      if (!part.empty()) text += " " + part;
    }
    return text;
  }

  /// For people: "T1 lock A: granted". Empty for what the move itself says.
  std::string story_of(const Event& event) const {
    const auto name = [&](int actor) {
      return actor < 0 ? std::string("somebody outside") : graph_.actors[static_cast<std::size_t>(actor)];
    };
    const auto names = [&] {
      std::vector<std::string> all;
      for (const int other : event.others) all.push_back(name(other));
      return all;
    };
    const std::string what = event.object.empty() ? event.verb : event.verb + " " + event.object;
    switch (event.kind) {
      case EventKind::request:
      case EventKind::invariant:
      case EventKind::time:
      case EventKind::figure:
        return {};
      case EventKind::wait:
        return fmt::format("{} {}: waits for {}", name(event.actor), what, fmt::join(names(), ", "));
      case EventKind::grant:
        return fmt::format("{} {}: {}", name(event.actor), what, event.detail.empty() ? "done" : event.detail);
      case EventKind::fault:
        return fmt::format("{} {}: {}", name(event.actor), what,
                           lockstep::name_of(event.fault.value_or(Fault::internal)));
      case EventKind::release:
        return fmt::format("{} gives back {}", name(event.actor), event.object);
      case EventKind::cycle:
        return fmt::format("cycle {} → {}: {}", fmt::join(names(), " → "),
                           event.others.empty() ? "" : name(event.others.front()), event.detail);
      case EventKind::retry:
        return fmt::format("{} begins again", name(event.actor));
      case EventKind::finish:
        return fmt::format("{} has finished{}", name(event.actor),
                           event.fault ? fmt::format(": {}", lockstep::name_of(*event.fault)) : "");
      case EventKind::note:
      case EventKind::notice:
        return event.detail;
    }
    return {};
  }

  /// About, as JSON: to_json() of the whole graph is too slow to be asked for each state.
  static std::size_t bytes_of(const StateGraph::State& state) {
    return 80 + 16 * state.actors.size() + 12 * state.holds.size() + 14 * state.waits.size() + 30 * state.moves.size();
  }

  RunState& run_;
  StateGraph& graph_;
  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;
  Footprint footprint_;
  StateKey key_;
  std::vector<Choice> plan_;
  std::size_t planned_ = 0;  // of the plan as it was given
  std::size_t turns_in_a_row_ = 0;
  bool too_long_ = false;
  std::size_t taken_ = 0;
  bool keeps_all_ = false;
  int at_ = -1;
  std::size_t seen_ = 0;  // of the events
  bool stuck_ = false;
  std::unordered_map<std::uint64_t, int> numbers_;
  std::vector<std::pair<int, Choice>> came_from_;  // by state
  std::vector<int> news_;
  std::string wrong_;
};

/// Draws one graph.
class Chart {
 public:
  Chart(RunEnvironment& environment, StateGraph& graph, const StateGraphRequest& request, const StopSource* stop)
      : environment_(environment),
        graph_(graph),
        request_(request),
        stop_(stop),
        charted_(environment.state(), graph, request.most_bytes) {
    environment_.state().footprint = &charted_.footprint();
    environment_.state().keeps_locks = true;
  }
  ~Chart() {
    environment_.state().footprint = nullptr;
    environment_.state().keeps_locks = false;
  }

  Result<void> draw() {
    const RealClock clock;
    const Nanos until = clock.now() + request_.most_time;
    if (Result<void> began = follow({}, true); !began) return began;
    for (const std::vector<Choice>& way : request_.ways) {
      if (Result<void> followed = follow(way, true); !followed) return followed;
    }
    graph_.complete = true;
    while (!open_.empty()) {
      const auto shallowest = open_.begin();
      const auto [state, choice] = shallowest->second.front();
      shallowest->second.pop_front();
      if (shallowest->second.empty()) open_.erase(shallowest);
      const bool is_over = (stop_ != nullptr && stop_->requested()) || clock.now() > until;
      if (is_over) graph_.complete = false;
      if (is_over) break;
      if (leads_somewhere(state, choice)) continue;
      std::vector<Choice> plan = charted_.way_to(state);
      plan.push_back(choice);
      if (Result<void> followed = follow(std::move(plan), false); !followed) return followed;
      if (charted_.at() < 0) graph_.complete = false;
    }
    return {};
  }

 private:
  bool leads_somewhere(int state, const Choice& choice) const {
    const auto& moves = graph_.states[static_cast<std::size_t>(state)].moves;
    return std::any_of(moves.begin(), moves.end(), [&](const StateGraph::Move& each) {
      return each.actor == choice.actor && each.timeout == choice.timeout && each.to >= 0;
    });
  }

  Result<void> follow(std::vector<Choice> plan, bool keeps_all) {
    charted_.begin(std::move(plan), keeps_all);
    const Result<void> performed = environment_.perform(&charted_);
    if (!performed && performed.fault() != Fault::cancelled) return performed.error();
    if (performed) {
      charted_.finished();
      judge();
    }
    if (!charted_.wrong().empty()) {
      return Error{Fault::invalid,
                   {},
                   fmt::format("{} on {} does not do the same after the same choices: {}", graph_.scenario,
                               graph_.store, charted_.wrong())};
    }
    if (!charted_.is_whole()) {
      charted_.forget_news();
      graph_.complete = false;
    }
    for (const int state : charted_.take_news()) {
      const StateGraph::State& found = graph_.states[static_cast<std::size_t>(state)];
      for (const StateGraph::Move& each : found.moves)
        open_[found.steps].emplace_back(state, Choice{each.actor, each.timeout});
    }
    return {};
  }

  void judge() {
    if (charted_.at() < 0) return;
    StateGraph::State& state = graph_.states[static_cast<std::size_t>(charted_.at())];
    if (state.verdict) return;
    record::Run run;
    run.store = graph_.store;
    run.protocol = graph_.protocol;
    run.actors = graph_.actors;
    environment_.judge(run);
    state.verdict = run.verdict;
    state.summary = run.summary;
  }

  RunEnvironment& environment_;
  StateGraph& graph_;
  const StateGraphRequest& request_;
  const StopSource* const stop_;
  Charted charted_;
  std::map<std::uint32_t, std::deque<std::pair<int, Choice>>> open_;  // by the steps that lead to the state
};

}  // namespace

Result<StateGraph> state_graph(const Scenario& scenario, const StateGraphRequest& request, const StopSource* stop) {
  RunRequest asked = request.run;
  asked.executor = "coroutines";
  asked.schedule.clear();
  asked.recording = true;
  if (!asked.retries) asked.retries = kExploreRetries;
  Result<RunRequest> resolved = resolve(scenario, asked);
  if (!resolved) return resolved.error();
  if (!knows_footprints(*resolved)) {
    std::string known;
    for (const BackendKind& kind : backends()) {
      if (kind.traits.footprints == Footprints::known)
        known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.name);
    }
    return Error{
        Fault::invalid,
        {},
        fmt::format("no state graph of {} on {}: what its steps touch is known on {} and in-process locks alone",
                    scenario.name, resolved->store, known)};
  }
  Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, *resolved, stop);
  if (!opened) return opened.error();
  StateGraph graph;
  graph.scenario = scenario.name;
  graph.store = resolved->store;
  graph.protocol = resolved->protocol;
  graph.pattern = resolved->pattern;
  graph.retries = resolved->retries.value_or(0);
  graph.limit = request.most_states;
  for (const ActorSpec& spec : (*opened)->pattern().actors) graph.actors.push_back(spec.name);
  if (graph.actors.size() > kMostActors) {
    return Error{
        Fault::invalid, {}, fmt::format("{} actors; at most {} can be explored", graph.actors.size(), kMostActors)};
  }
  Chart chart(**opened, graph, request, stop);
  if (Result<void> drawn = chart.draw(); !drawn) return drawn.error();
  return graph;
}

}  // namespace lockstep
