// run_state.cc: events, the joint wait-for graph, counts and the stop of one run.
#include "engine/actor/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace lockstep {

using record::Event;
using record::EventKind;

void touch(const Actor& actor, std::string_view lock, Touch how) {
  if (Footprint* const footprint = actor.run.footprint) footprint->lock(lock, how);
}

namespace {
constexpr std::string_view kWaitEdges = "waits";
}

void touch_wait_begun(const Actor& actor) {
  if (Footprint* const footprint = actor.run.footprint) footprint->global(kWaitEdges, Touch::shares);
}

void touch_wait_given_up(const Actor& actor) {
  if (Footprint* const footprint = actor.run.footprint) footprint->global(kWaitEdges, Touch::looks);
}

RunState::RunState(bool is_virtual, bool keeps_events, Nanos longest, const StopSource* stop)
    : virtual_time(is_virtual), recording(keeps_events), limit(longest), stop_(stop), started_at_(clock().now()) {}

void RunState::begin_anew() {
  steps_ = 0;
  ending_ = record::Ending::complete;
  for (auto* count : {&committed, &aborted, &retries, &avoidances, &timeouts}) *count = 0;
  MutexLock lock(mutex_);
  events_.clear();
  sites_.clear();
  store_locks_.clear();
  faults_.clear();
  cycles_.clear();
  standing_cycles_.clear();
  cycles_at_end_.clear();
  victims_.clear();
  locks_.clear();
}

void RunState::emit(Event event) {
  if (!recording) return;
  MutexLock lock(mutex_);
  event.seq = events_.size() + 1;
  event.at_ns = elapsed().count();
  events_.push_back(std::move(event));
}

void RunState::note(std::string text) { emit({.kind = EventKind::note, .detail = std::move(text)}); }

std::vector<Event> RunState::events_from(std::size_t position) const {
  MutexLock lock(mutex_);
  if (position >= events_.size()) return {};
  return {events_.begin() + static_cast<std::ptrdiff_t>(position), events_.end()};
}

void RunState::note_site(std::uint32_t step, const std::source_location& where) {
  MutexLock lock(mutex_);
  if (sites_.size() < step) sites_.resize(step);
  sites_[step - 1] = where;
}

void RunState::note_store_locks() {
  if (!keeps_store_locks || backend == nullptr) return;
  std::vector<record::HeldLock> held;
  for (Blocker& each : backend->holders()) {
    if (each.actor >= 0) held.push_back({each.actor, std::move(each.object), std::move(each.what)});
  }
  MutexLock lock(mutex_);
  const bool same = store_locks_.empty() ? held.empty() : store_locks_.back().held == held;
  if (!same) store_locks_.push_back({.since = events_.size(), .held = std::move(held)});
}

std::vector<record::Moments::Locks> RunState::locks_over_time() const {
  MutexLock lock(mutex_);
  return store_locks_;
}

std::vector<std::source_location> RunState::sites() const {
  MutexLock lock(mutex_);
  return sites_;
}

void RunState::write_apart(std::uint32_t every) {
  for (const auto& actor : actors) actor->write_apart(every);
}

/// Merges what the actors have written with what stands here, by time, and numbers events and operations anew.
void RunState::put_in_order() {
  std::vector<EventBuffer::Written> all;
  for (Event& event : events_) all.push_back({std::move(event), {}});
  std::uint64_t transactions = 0, kept = 0;
  for (const auto& actor : actors) {
    EventBuffer* const buffer = actor->buffer();
    if (buffer == nullptr) return;
    buffer->take(all);
    transactions += buffer->transactions();
    kept += buffer->kept();
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.event.at_ns < b.event.at_ns; });
  events_.clear();
  sites_.clear();
  std::vector<std::vector<std::uint32_t>> numbers(actors.size());  // of operations, by actor and by its own number
  std::uint32_t last = 0;
  for (EventBuffer::Written& each : all) {
    Event& event = each.event;
    event.seq = events_.size() + 1;
    if (event.actor >= 0 && event.step > 0) {
      auto& own = numbers[static_cast<std::size_t>(event.actor)];
      if (own.size() <= event.step) own.resize(event.step + std::size_t{1});
      if (own[event.step] == 0) own[event.step] = ++last;
      event.step = own[event.step];
      if (each.site.line() != 0) {
        if (sites_.size() < event.step) sites_.resize(event.step);
        sites_[event.step - 1] = each.site;
      }
    }
    events_.push_back(std::move(event));
  }
  if (kept == transactions) return;
  events_.push_back(
      {.seq = events_.size() + 1,
       .at_ns = events_.back().at_ns,
       .kind = EventKind::note,
       .detail = fmt::format("{} of {} transactions are on record ({:.1f} %): the first {} of each actor, "
                             "then some at equal distances",
                             kept, transactions, 100 * static_cast<double>(kept) / static_cast<double>(transactions),
                             EventBuffer::kWhole)});
}

std::vector<Event> RunState::take_events() {
  MutexLock lock(mutex_);
  if (!actors.empty() && actors.front()->buffer() != nullptr) put_in_order();
  return std::move(events_);
}

void RunState::stop_all(Fault why) {
  for (const auto& actor : actors) actor->stop(why);
}

void RunState::note_lock(const sync::LockCore& lock) {
  MutexLock guard(mutex_);
  if (std::find(locks_.begin(), locks_.end(), &lock) == locks_.end()) locks_.push_back(&lock);
}

void RunState::for_each_lock(const std::function<void(const sync::LockCore&)>& visit) const {
  std::vector<const sync::LockCore*> locks;
  {
    MutexLock guard(mutex_);
    locks = locks_;
  }
  for (const sync::LockCore* lock : locks) visit(*lock);  // takes the lock's own mutex, under which it was noted here
}

void RunState::end_as(record::Ending ending) noexcept {
  record::Ending complete = record::Ending::complete;
  if (!ending_.compare_exchange_strong(complete, ending, std::memory_order_relaxed)) return;
  if (ending != record::Ending::stuck) return;
  MutexLock lock(mutex_);
  cycles_at_end_ = standing_cycles_;
}

WaitGraph RunState::wait_graph(const std::function<const std::vector<Blocker>*(const Actor&)>& known) {
  WaitGraph graph;
  for (const auto& actor : actors) {
    actor->while_waiting([&](Operation& operation) {
      const bool store_breaks = operation.cycle_is_broken_by_store();
      const bool has_deadline =
          operation.waiting().deadline != kNever || (!store_breaks && operation.has_limit_elsewhere());
      const std::vector<Blocker>* const seen = known ? known(*actor) : nullptr;
      for (Blocker& blocker : seen != nullptr ? std::vector<Blocker>(*seen) : operation.blockers()) {
        graph.add({.from = actor->index,
                   .to = blocker.actor,
                   .object = std::move(blocker.object),
                   .what = std::move(blocker.what),
                   .has_deadline = has_deadline,
                   .store_breaks = store_breaks,
                   .any = blocker.any || blocker.avoidance});
      }
    });
  }
  return graph;
}

bool RunState::EndWaiters::add(const Actor& actor, Operation& waiter) {
  MutexLock lock(mutex_);
  if (actor.has_finished()) return false;
  waiters_.emplace_back(&actor, &waiter);
  return true;
}

void RunState::EndWaiters::remove(Operation& waiter) {
  MutexLock lock(mutex_);
  std::erase_if(waiters_, [&waiter](const auto& each) { return each.second == &waiter; });
}

void RunState::EndWaiters::note_end(std::atomic<bool>& ended, const Actor& actor) {
  MutexLock lock(mutex_);
  ended.store(true, std::memory_order_release);
  for (const auto& [whom, waiter] : waiters_) {
    if (whom == &actor) waiter->wake();
  }
}

void RunState::note_waits_for_signals() {
  WaitGraph graph = wait_graph();
  std::set<int> for_locks;
  for (const WaitForEdge& edge : graph.edges()) for_locks.insert(edge.from);
  std::map<int, std::vector<Blocker>> givers;
  for (const auto& actor : actors) {
    if (for_locks.contains(actor->index)) continue;
    actor->while_waiting([&](Operation& operation) {
      if (operation.waiting().deadline != kNever || operation.waiting().external) return;
      const std::string signal = operation.describe().object;
      for (const auto& other : actors) {
        if (other->has_finished() || other == actor) continue;
        const std::string what = "nobody else is left to give it";
        givers[actor->index].push_back({.actor = other->index, .object = signal, .what = what, .any = true});
        graph.add({.from = actor->index, .to = other->index, .object = signal, .what = what, .any = true});
      }
    });
  }
  if (givers.empty()) return;
  for (const std::vector<int>& cycle : graph.cycles()) {
    const auto is_for_lock = [&for_locks](int actor) { return for_locks.contains(actor); };
    if (std::none_of(cycle.begin(), cycle.end(), is_for_lock)) continue;
    for (const int index : cycle) {
      const auto of_actor = givers.find(index);
      if (of_actor == givers.end()) continue;
      Actor& actor = *actors[static_cast<std::size_t>(index)];
      actor.while_waiting([&](Operation& operation) { actor.note_blockers(operation, of_actor->second); });
    }
    note_cycle(cycle, std::string(name_of(WaitGraph::Breaker::nobody)));
  }
}

void RunState::note_cycle(const std::vector<int>& cycle, const std::string& how) {
  const std::vector<int> shape = canonical(cycle);
  {
    MutexLock lock(mutex_);
    if (std::find(standing_cycles_.begin(), standing_cycles_.end(), shape) != standing_cycles_.end()) return;
    standing_cycles_.push_back(shape);
    if (std::find(cycles_.begin(), cycles_.end(), shape) == cycles_.end()) cycles_.push_back(shape);
  }
  emit({.kind = EventKind::cycle, .detail = how, .others = cycle});
  if (observer != nullptr) observer->cycle_closed(*this, cycle);
}

void RunState::forget_cycles_of(int actor) {
  MutexLock lock(mutex_);
  std::erase_if(standing_cycles_, [actor](const std::vector<int>& cycle) {
    return std::find(cycle.begin(), cycle.end(), actor) != cycle.end();
  });
}

void RunState::on_deadlock(const std::vector<int>& cycle, int victim, const std::string& why) {
  // The request that closed the cycle is still inside its attempt: its wait comes before the cycle in the story.
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    Actor& actor = *actors[static_cast<std::size_t>(cycle[i])];
    if (Operation* const operation = actor.current(); operation != nullptr && !actor.has_noted_wait()) {
      actor.note_blockers(*operation, {{.actor = cycle[(i + 1) % cycle.size()], .object = {}, .what = {}}});
    }
  }
  note_cycle(cycle, fmt::format("victim {} ({})", actors[static_cast<std::size_t>(victim)]->name, why));
}

void RunState::count_fault(Fault fault) {
  MutexLock lock(mutex_);
  ++faults_[std::string(name_of(fault))];
}

std::map<std::string, std::uint64_t> RunState::faults() const {
  MutexLock lock(mutex_);
  return faults_;
}

std::vector<std::vector<int>> RunState::cycles() const {
  MutexLock lock(mutex_);
  return cycles_;
}

std::vector<std::vector<int>> RunState::cycles_at_end() const {
  MutexLock lock(mutex_);
  return cycles_at_end_;
}

std::vector<int> RunState::victims() const {
  MutexLock lock(mutex_);
  return victims_;
}

void RunState::add_victim(int actor) {
  MutexLock lock(mutex_);
  if (std::find(victims_.begin(), victims_.end(), actor) == victims_.end()) victims_.push_back(actor);
}

}  // namespace lockstep
