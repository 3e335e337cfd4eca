// conductor.cc: the loop that runs a schedule.
#include "engine/schedule/conductor.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

constexpr Nanos kVirtualStep = std::chrono::microseconds(10);  ///< one step takes 0.01 ms of virtual time
/// Waiting for a server: whether it is blocked is looked at fast at first, then slower.
constexpr Nanos kPollFirst = std::chrono::microseconds(120);
constexpr Nanos kPollMost = std::chrono::milliseconds(16);
/// For a server's process to be woken and to have looked for a cycle, once it is time to.
constexpr Nanos kLookTakes = std::chrono::microseconds(200);
constexpr std::uint32_t kStepsMax = 1'000'000;
constexpr Nanos kDrainMax = std::chrono::milliseconds(500);  ///< for a server to answer the cancel of a stopped actor
/// A wait for a session that will never do anything again must show twice, this far apart: what is seen of a server is
/// no snapshot.
constexpr Nanos kLookAgain = std::chrono::milliseconds(20);

}  // namespace

void Conductor::woken(Actor& actor) noexcept {
  MutexLock lock(mutex_);
  woken_.push_back(&actor);
}

Actor* Conductor::pop_woken() {
  MutexLock lock(mutex_);
  if (heard_ < woken_.size()) return woken_[heard_++];
  woken_.clear();
  heard_ = 0;
  return nullptr;
}

bool Conductor::anybody_waits() const {
  return std::any_of(run_.actors.begin(), run_.actors.end(),
                     [](const auto& actor) { return actor->place == Actor::Place::waiting; });
}

bool Conductor::anybody_external() {
  bool external = false;
  for (const auto& actor : run_.actors) {
    actor->while_waiting([&](Operation& operation) { external = external || operation.waiting().external; });
  }
  return external;
}

bool Conductor::over_limit() {
  if (run_.elapsed() > run_.limit) return true;
  // A search makes millions of runs, most of them a few steps long: there the real clock is for a run that never ends.
  constexpr std::size_t kLookEvery = 16;
  const bool is_search = run_.footprint != nullptr && run_.virtual_time;
  if (is_search && taken_.size() % kLookEvery != kLookEvery - 1) return false;
  if (run_.is_over_budget()) return true;
  // A person who looks at the program in a debugger takes time.
  return run_.observer == nullptr && real_.now() - real_start_ > run_.limit;
}

Result<void> Conductor::conduct(Executor& executor) {
  real_start_ = real_.now();
  taken_.reserve(64);
  for (const auto& actor : run_.actors) {
    go(executor, *actor);
    settle(executor);
  }
  for (;;) {
    settle(executor);
    if (all_finished()) return {};
    const bool is_over_limit = over_limit();
    if (run_.stop_requested() || (is_over_limit && run_.is_over_budget())) {
      run_.end_as(record::Ending::interrupted);
      stop_and_drain(executor, Fault::cancelled);
      return {};
    }
    if (is_over_limit || taken_.size() > kStepsMax) {
      run_.note(fmt::format("the run's limit of {} ms is over",
                            std::chrono::duration_cast<std::chrono::milliseconds>(run_.limit).count()));
      run_.end_as(record::Ending::stuck);
      stop_and_drain(executor, Fault::hung);
      return {};
    }
    if (!find_candidates()) {
      if (schedule_.looks_ahead() && !std::exchange(closed_, true) && close(executor)) continue;
      if (advance()) continue;
      if (!schedule_.looks_ahead()) schedule_.nothing_left();
      run_.note_waits_for_signals();
      if (run_.observer != nullptr) run_.observer->look(run_, static_cast<std::uint32_t>(taken_.size()), nullptr);
      run_.end_as(record::Ending::stuck);
      stop_and_drain(executor, Fault::hung);
      return {};
    }
    const Result<Choice> next = schedule_.next(candidates_);
    if (!next) {
      run_.end_as(record::Ending::stuck);
      stop_and_drain(executor, Fault::cancelled);
      return next.error();
    }
    take(executor, run_.observer != nullptr ? shown(*next) : *next);
  }
}

/// Shows a debugger how things stand before `next` is taken; answers that, or what the debugger wants instead.
Choice Conductor::shown(Choice next) {
  const int forced = run_.observer->look(run_, static_cast<std::uint32_t>(taken_.size()), &next);
  if (forced < 0 || forced >= static_cast<int>(candidates_.size())) return next;
  if (!candidates_[static_cast<std::size_t>(forced)].enabled) return next;
  schedule_.overruled();
  return {forced, false};
}

bool Conductor::all_finished() const {
  return std::all_of(run_.actors.begin(), run_.actors.end(),
                     [](const auto& actor) { return actor->place == Actor::Place::finished; });
}

bool Conductor::find_candidates() {
  const bool looks_ahead = schedule_.looks_ahead();
  const bool timeouts = schedule_.may_choose_timeout();
  candidates_.resize(run_.actors.size());
  bool any = false;
  for (const auto& actor : run_.actors) {
    Candidate& candidate = candidates_[static_cast<std::size_t>(actor->index)];
    candidate = {.actor = actor->index, .name = actor->name};
    candidate.enabled = actor->place == Actor::Place::at_gate;
    candidate.finished = actor->place == Actor::Place::finished;
    if (candidate.enabled && looks_ahead) candidate.would_wait = actor->current()->would_wait();
    if (actor->place == Actor::Place::waiting) {
      actor->while_waiting(
          [&](Operation& operation) { candidate.may_time_out = operation.waiting().deadline != kNever; });
    }
    any = any || (candidate.enabled && !candidate.would_wait) || (timeouts && candidate.may_time_out);
  }
  return any;
}

/// Lets the actor run to its next stop, in the sight of those who watch over turns.
void Conductor::go(Executor& executor, Actor& actor) {
  run_.turns.store(run_.turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  run_.has_turn.store(actor.index, std::memory_order_release);
  executor.go(actor);
  run_.has_turn.store(-1, std::memory_order_release);
}

void Conductor::take(Executor& executor, Choice choice) {
  was_for_ever_ = false;
  Actor& actor = *run_.actors[static_cast<std::size_t>(choice.actor)];
  taken_.push_back(choice);
  if (!choice.timeout) {
    if (run_.virtual_time) run_.virtual_clock().advance(kVirtualStep);
    go(executor, actor);
    return;
  }
  Operation& operation = *actor.current();
  if (run_.virtual_time && operation.waiting().deadline > run_.clock().now())
    run_.virtual_clock().advance_to(operation.waiting().deadline);
  if (operation.expire(operation.waiting().deadline_fault)) actor.executor.ready(actor);
}

/// The actors that are left stand before something that another one has for ever. Lets them wait, so that the wait-for
/// graph shows it. False when none is left.
bool Conductor::close(Executor& executor) {
  schedule_.nothing_left();
  bool any = false;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.enabled) continue;
    any = true;
    take(executor, {candidate.actor, false});
    settle(executor);
  }
  return any;
}

void Conductor::settle(Executor& executor) {
  do {
    while (Actor* const actor = pop_woken()) {
      was_for_ever_ = false;
      go(executor, *actor);
    }
    if (!anybody_waits()) return;
    if (!anybody_external()) look_for_cycles(run_.wait_graph());
  } while (settle_external());
}

/// The actors that wait for a server, in the order in which their answers are taken: first the one that was launched
/// last, of which it is not known yet whether it is blocked; then those that are, in the order in which they began.
std::vector<Actor*> Conductor::in_order_of_answers() {
  std::vector<Actor*> waiting;
  for (const auto& actor : run_.actors) {
    if (actor->place != Actor::Place::waiting) continue;
    actor->while_waiting([&](Operation& operation) {
      if (operation.waiting().external) waiting.push_back(actor.get());
    });
  }
  blocked_.resize(run_.actors.size());
  std::sort(waiting.begin(), waiting.end(), [this](const Actor* a, const Actor* b) {
    const bool a_is_blocked = is_known_blocked(*a), b_is_blocked = is_known_blocked(*b);
    if (a_is_blocked != b_is_blocked) return b_is_blocked;
    return a->waiting_step() < b->waiting_step();
  });
  return waiting;
}

bool Conductor::is_known_blocked(const Actor& actor) const {
  const Blocked& known = blocked_[static_cast<std::size_t>(actor.index)];
  return known.step == actor.waiting_step() && known.step != 0;
}

/// Polls the sockets of the actors for at most `patience`. True when one of them has something to be read.
bool Conductor::hears(const std::vector<Actor*>& waiting, Nanos patience) {
  fds_.clear();
  for (Actor* const actor : waiting) {
    const Waiting& what = actor->current()->waiting();
    fds_.push_back({what.fd, what.events, 0});
  }
  const timespec span{.tv_sec = patience.count() / 1'000'000'000, .tv_nsec = patience.count() % 1'000'000'000};
  return ::ppoll(fds_.data(), fds_.size(), &span, nullptr) > 0;
}

/// One actor's wait for a server, until it is done or blocked. What set it free may be the answer of another actor that
/// waits, so the actors that it was last seen to wait for come first. An actor that the server itself made give up was
/// set free by nobody.
Conductor::LookEnded Conductor::settle_one(Actor& actor, AnswerPass& tried) {
  const auto index = static_cast<std::size_t>(actor.index);
  tried.is_in_hand[index] = true;
  if (is_known_blocked(actor) && !actor.current()->arrival().gave_up) {
    const std::vector<Blocker> last_seen = blocked_[index].by;
    for (const Blocker& blocker : last_seen) {
      if (blocker.actor < 0 || tried.is_in_hand[static_cast<std::size_t>(blocker.actor)]) continue;
      Actor& other = *run_.actors[static_cast<std::size_t>(blocker.actor)];
      const bool waits = std::find(tried.waiting.begin(), tried.waiting.end(), &other) != tried.waiting.end();
      if (!waits) continue;
      if (const LookEnded first = settle_one(other, tried); first != LookEnded::blocked) return first;
    }
  }
  Nanos patience = is_known_blocked(actor) ? Nanos(0) : kPollFirst;
  for (;;) {
    if (actor.current()->arrival().complete || hears({&actor}, patience)) {
      if (Actor* const cause = who_gave_up(actor)) return settle_one(*cause, tried);
      actor.current()->wake();
      return LookEnded::answered;
    }
    std::vector<Blocker> blockers;
    actor.while_waiting([&](Operation& operation) { blockers = operation.blockers(); });
    if (!blockers.empty()) {
      note_blocked(actor, std::move(blockers));
      return LookEnded::blocked;
    }
    patience = std::clamp(patience * 2, kPollFirst, kPollMost);
    if (run_.stop_requested() || over_limit()) return LookEnded::left;
  }
}

/// Of a circle that the server has broken: the actor that the server made give up, when the answer of `actor`, which
/// that has set free, is there too. nullptr: `actor` was set free by none that still waits, or gave up itself.
Actor* Conductor::who_gave_up(const Actor& actor) const {
  if (!is_known_blocked(actor) || actor.current()->arrival().gave_up) return nullptr;
  std::vector<const Actor*> chain{&actor};
  for (std::size_t at = 0; at < chain.size(); ++at) {
    for (const Blocker& blocker : blocked_[static_cast<std::size_t>(chain[at]->index)].by) {
      if (blocker.actor < 0) continue;
      Actor& other = *run_.actors[static_cast<std::size_t>(blocker.actor)];
      const bool waits = other.place == Actor::Place::waiting && is_known_blocked(other);
      if (!waits || std::find(chain.begin(), chain.end(), &other) != chain.end()) continue;
      if (other.current()->arrival().gave_up) return &other;
      chain.push_back(&other);
    }
  }
  return nullptr;
}

/// Takes the answers of servers in the order of launching, one at a time: done or blocked, then the next. So a grant
/// never stands before the commit that gave it, and the order of events is the same every time. The price is a question
/// to the server for each wait before it. True when somebody was woken.
bool Conductor::settle_external() {
  for (;;) {
    AnswerPass tried{.waiting = in_order_of_answers(), .is_in_hand = {}};
    if (tried.waiting.empty()) return false;
    for (Actor* const actor : tried.waiting) {
      tried.is_in_hand.assign(run_.actors.size(), false);
      const LookEnded settled = settle_one(*actor, tried);
      if (settled != LookEnded::blocked) return settled == LookEnded::answered;
    }
    const WaitGraph graph = graph_as_seen(tried.waiting);
    look_for_cycles(graph);
    const Nanos left = left_for_detection(tried.waiting, graph);
    if (left == Nanos(0)) return false;
    (void)hears(tried.waiting, left);
    if (run_.stop_requested() || over_limit()) return false;
  }
}

/// The wait-for graph, with what the latest look at each of these actors has shown.
WaitGraph Conductor::graph_as_seen(const std::vector<Actor*>& settled) {
  return run_.wait_graph([&](const Actor& actor) -> const std::vector<Blocker>* {
    const bool was_asked = std::find(settled.begin(), settled.end(), &actor) != settled.end();
    return was_asked ? &blocked_[static_cast<std::size_t>(actor.index)].by : nullptr;
  });
}

/// Writes down that others hold the actor's wait up.
void Conductor::note_blocked(Actor& actor, std::vector<Blocker> blockers) {
  actor.note_blockers(*actor.current(), blockers);
  Blocked& known = blocked_[static_cast<std::size_t>(actor.index)];
  if (!is_known_blocked(actor)) known = {.step = actor.waiting_step(), .since = real_.now(), .by = {}};
  known.by = std::move(blockers);
}

/// How long to wait for the answers although all are blocked: until the server has looked for cycles and broken those
/// that it breaks. 0: no longer. A search needs the same run every time. So an actor that waits has looked in vain
/// before another one can close a cycle, and the cycle costs the actor that closes it.
Nanos Conductor::left_for_detection(const std::vector<Actor*>& waiting, const WaitGraph& graph) const {
  const bool waits_out = schedule_.waits_for_detection(detection_after_);
  if (!waits_out && !schedule_.looks_ahead()) return Nanos(0);
  const auto cycles = graph.cycles();
  const bool will_be_broken = std::any_of(cycles.begin(), cycles.end(), [&graph](const std::vector<int>& cycle) {
    return graph.breaker_of(cycle) == WaitGraph::Breaker::store;
  });
  if (will_be_broken) return kPollMost;
  if (!waits_out) return Nanos(0);
  Nanos left{0};
  for (const Actor* const actor : waiting) {
    const Nanos until = blocked_[static_cast<std::size_t>(actor->index)].since + detection_after_ + kLookTakes;
    left = std::max(left, until - real_.now());
  }
  return left;
}

/// Nobody stands at a gate. Lets time pass until somebody is woken; false when nothing will ever happen.
bool Conductor::advance() {
  Nanos earliest = kNever;
  bool external = false;
  for (const auto& actor : run_.actors) {
    actor->while_waiting([&](Operation& operation) {
      earliest = std::min(earliest, operation.waiting().deadline);
      external = external || operation.waiting().external;
    });
  }
  if (external) {
    const WaitGraph graph = run_.wait_graph();
    const auto cycles = graph.cycles();
    const bool nobody_breaks = !cycles.empty() && std::none_of(cycles.begin(), cycles.end(), [&](const auto& c) {
      return graph.breaker_of(c) != WaitGraph::Breaker::nobody;
    });
    if (nobody_breaks && earliest == kNever) return false;
    const bool for_ever = earliest == kNever && is_for_ever(graph);
    if (for_ever && was_for_ever_) return false;
    was_for_ever_ = for_ever;
    poll_servers(for_ever ? run_.clock().now() + kLookAgain : earliest);
  } else if (earliest == kNever) {
    return false;
  } else if (run_.virtual_time) {
    if (earliest - run_.clock().now() > run_.limit - run_.elapsed()) return false;  // beyond the run's limit
    run_.virtual_clock().advance_to(earliest);
  } else {
    poll_servers(earliest);
  }
  return expire_deadlines() || external || !run_.virtual_time;
}

/// Everybody who waits does so for somebody who has ended, for somebody who waits so himself, or for a signal that
/// nobody is left to give: no server, no time-out and no detector will change that.
bool Conductor::is_for_ever(const WaitGraph& graph) const {
  bool limited = false;
  for (const auto& actor : run_.actors) {
    actor->while_waiting(
        [&](Operation& operation) { limited = limited || operation.has_limit_elsewhere() || operation.is_woken(); });
  }
  if (limited) return false;
  const auto may_move = [&graph](const std::unique_ptr<Actor>& actor) {
    if (actor->place == Actor::Place::finished) return false;
    if (actor->place != Actor::Place::waiting) return true;
    bool external = false, is_held_up = false, outside = false;
    actor->while_waiting([&](Operation& operation) { external = operation.waiting().external; });
    for (const WaitForEdge& edge : graph.edges()) {
      if (edge.from != actor->index) continue;
      is_held_up = true;
      outside = outside || edge.to < 0;
    }
    return outside || (external && !is_held_up);
  };
  if (std::any_of(run_.actors.begin(), run_.actors.end(), may_move)) return false;
  // A cycle of the server's own waits is the server's to break.
  const auto cycles = graph.cycles();
  return std::none_of(cycles.begin(), cycles.end(), [&graph](const std::vector<int>& cycle) {
    return graph.breaker_of(cycle) != WaitGraph::Breaker::nobody;
  });
}

/// Real time: polls the servers' sockets until one is ready, `deadline` passes, or a short while is over. Gives the
/// actors whose sockets are ready.
std::vector<Actor*> Conductor::poll_servers(Nanos deadline) {
  const std::vector<Actor*> waiting = in_order_of_answers();
  const Nanos left = deadline == kNever ? kPollMost : deadline - run_.clock().now();
  std::vector<Actor*> ready;
  if (!hears(waiting, std::clamp(left, Nanos(0), kPollMost))) return ready;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (fds_[i].revents != 0) ready.push_back(waiting[i]);
  }
  return ready;
}

/// Ends every wait that has come to its deadline, the earliest first. True when there was one.
bool Conductor::expire_deadlines() {
  std::vector<std::pair<Nanos, Actor*>> due;
  for (const auto& actor : run_.actors) {
    actor->while_waiting([&](Operation& operation) {
      if (operation.waiting().deadline <= run_.clock().now())
        due.emplace_back(operation.waiting().deadline, actor.get());
    });
  }
  std::stable_sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [when, actor] : due) {
    Operation& operation = *actor->current();
    if (operation.expire(operation.waiting().deadline_fault)) actor->executor.ready(*actor);
  }
  return !due.empty();
}

void Conductor::look_for_cycles(const WaitGraph& graph) {
  for (const std::vector<int>& cycle : graph.cycles()) {
    run_.note_cycle(cycle, std::string(name_of(graph.breaker_of(cycle))));
  }
}

void Conductor::stop_and_drain(Executor& executor, Fault why) {
  run_.stop_all(why);
  const Nanos until = real_.now() + kDrainMax;
  bool pressed = false;
  for (;;) {
    bool moved = false;
    while (Actor* const actor = pop_woken()) {
      go(executor, *actor);
      moved = true;
    }
    bool all_finished = true;
    for (const auto& actor : run_.actors) {
      if (actor->place == Actor::Place::at_gate) {
        go(executor, *actor);
        moved = true;
      }
      all_finished = all_finished && actor->place == Actor::Place::finished;
    }
    if (all_finished) return;
    if (moved) continue;
    for (Actor* const actor : poll_servers(kNever)) actor->current()->wake();
    if (real_.now() > until && !pressed) {
      // The server does not answer the cancel either: a second one drops the connection.
      pressed = true;
      run_.stop_all(why);
      for (const auto& actor : run_.actors) {
        if (actor->place != Actor::Place::waiting) continue;
        Operation& operation = *actor->current();
        if (operation.expire(why)) actor->executor.ready(*actor);
      }
    }
  }
}

}  // namespace lockstep
