// run_state.h: what all parts of one run share: its clock, its events, its actors, its joint wait-for graph, its stop.
//
// Thread-safe unless a member says otherwise. Lock order: an actor's wait_mutex_, then mutex_ here, then leaves.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <source_location>
#include <string>
#include <vector>

#include "engine/actor/actor.h"
#include "engine/actor/executor.h"
#include "engine/actor/run_observer.h"
#include "engine/actor/wait_graph.h"
#include "engine/base/footprint.h"
#include "engine/record/moments.h"
#include "engine/record/run.h"
#include "engine/store/backend.h"
#include "kv/base/clock.h"
#include "kv/base/mutex.h"

namespace lockstep {

namespace sync {
class LockCore;
class LockOrder;
}  // namespace sync

/// For a search: the step in hand touches a lock or its like.
void touch(const Actor& actor, std::string_view lock, Touch how);

/// For a search: the step in hand adds an edge to the wait-for graph, or a time-out takes one away. Whether a cycle is
/// ever seen depends on the order of these, and of nothing else: a grant breaks no cycle.
void touch_wait_begun(const Actor& actor);
void touch_wait_given_up(const Actor& actor);

/// ^C and its kin: set from a signal handler, looked at by every loop that may last.
class StopSource {
 public:
  void request() noexcept { requested_.store(true, std::memory_order_relaxed); }
  bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
};

class RunState final : public StoreObserver {
 public:
  /// `virtual_time`: the clock moves only when told. `recording`: events are kept.
  RunState(bool virtual_time, bool recording, Nanos limit, const StopSource* stop);

  const bool virtual_time;
  const bool recording;
  const Nanos limit;  ///< longest duration of the run on its clock

  /// Those that wait for an actor's body to end. They leave it when they do not wait any more.
  class EndWaiters {
   public:
    /// The operation will be woken when the actor has ended. False: it has ended before.
    bool add(const Actor& actor, Operation& waiter);
    void remove(Operation& waiter);
    /// The actor has ended: says so, and wakes those that wait for that.
    void note_end(std::atomic<bool>& ended, const Actor& actor);

   private:
    Mutex mutex_;  // a leaf but for Operation::wake()
    std::vector<std::pair<const Actor*, Operation*>> waiters_ LOCKSTEP_GUARDED_BY(mutex_);
  };
  EndWaiters end_waiters;

  std::vector<std::unique_ptr<Actor>> actors;  ///< fixed before the run starts
  /// What each step touches is written here when a search asks for it; nullptr = nobody asks. Outlives the run.
  Footprint* footprint = nullptr;
  /// Told of every in-process lock that is asked for, taken and given back; nullptr = nobody asks. Outlives the run.
  sync::LockOrder* lock_order = nullptr;
  /// Told of what happens; nullptr = nobody looks on. Set before the run, which it outlives.
  RunObserver* observer = nullptr;
  /// In-process locks are to be noted when they are taken: see for_each_lock(). Set before the run.
  bool keeps_locks = false;
  /// The locks of the store are to be noted as they change: see locks_over_time(). Set before a run under a schedule.
  bool keeps_store_locks = false;
  /// The store, and what its protocol is; nullptr when there is none. Outlives the run.
  Backend* backend = nullptr;
  const ProtocolTraits* protocol = nullptr;

  const Clock& clock() const noexcept { return virtual_time ? static_cast<const Clock&>(virtual_clock_) : real_clock_; }
  VirtualClock& virtual_clock() noexcept { return virtual_clock_; }
  /// Another run: nothing has happened yet. Virtual time goes on from where it was.
  void begin_anew();
  /// The run starts now: opening the store is not part of it.
  void start_clock() noexcept { started_at_ = clock().now(); }
  Nanos elapsed() const noexcept { return clock().now() - started_at_; }
  bool stop_requested() const noexcept { return stop_ != nullptr && stop_->requested(); }
  /// On the machine's clock: the run is given up then, as after ^C. Set before the run.
  Nanos give_up_at = kNever;
  bool is_over_budget() const noexcept { return give_up_at != kNever && real_clock_.now() > give_up_at; }

  /// Under a schedule: who runs now (-1: nobody but the conductor), and how many turns there have been. Any thread.
  std::atomic<int> has_turn{-1};
  std::atomic<std::uint64_t> turns{0};
  /// The latest number of an operation. Any thread.
  std::uint32_t last_step() const noexcept { return steps_.load(std::memory_order_relaxed); }
  /// The next number in the run's order of operations.
  std::uint32_t next_step() noexcept { return steps_.fetch_add(1, std::memory_order_relaxed) + 1; }
  void emit(record::Event event);
  void note(std::string text);
  /// Those from the one at this position on, copied. Any thread.
  std::vector<record::Event> events_from(std::size_t position) const;
  /// When recording: the line that asked for the operation with that number.
  void note_site(std::uint32_t step, const std::source_location& where);
  /// By the numbers of operations, from 1 at the front. After the run.
  std::vector<std::source_location> sites() const;
  /// An operation has ended or begun to wait: with keeps_store_locks, notes what the store's locks are from the latest
  /// event on.
  void note_store_locks();
  /// Each time that they changed. After the run.
  std::vector<record::Moments::Locks> locks_over_time() const;
  /// The events in their order. After the run, while its actors are there.
  std::vector<record::Event> take_events();
  /// Before the actors start of a run that nobody steers: each actor will write to its own buffer (event_buffer.h). Of
  /// an actor that runs transaction after transaction every `every`-th is on record; 1: all.
  void write_apart(std::uint32_t every);

  /// Stops every actor that has not finished.
  void stop_all(Fault why);
  /// Shows an in-process lock that has been taken to observers. It stays until the next run begins.
  void note_lock(const sync::LockCore& lock);
  void for_each_lock(const std::function<void(const sync::LockCore&)>& visit) const;

  /// How the run ends; the first to say so wins.
  void end_as(record::Ending ending) noexcept;
  record::Ending ending() const noexcept { return ending_.load(std::memory_order_relaxed); }

  /// The graph of the waits right now, over stores and in-process locks alike. May ask a server, but not for an actor
  /// for which `known` gives what it waits for.
  WaitGraph wait_graph(const std::function<const std::vector<Blocker>*(const Actor&)>& known = {});
  /// Nobody can go on by himself. Of the waits for a signal, which anybody might give, it is known now who is left to
  /// give it: those that have not ended. Adds these to the wait-for graph, and notes the cycles that go through a lock
  /// too.
  void note_waits_for_signals();
  /// Writes a cycle event unless the same actors' cycle was written since one of them last moved. `how`: what will
  /// break it, or that nobody will.
  void note_cycle(const std::vector<int>& cycle, const std::string& how);
  void forget_cycles_of(int actor);

  void on_deadlock(const std::vector<int>& cycle, int victim, const std::string& why) override;

  // Counted while running, read after it.
  std::atomic<std::uint64_t> committed{0}, aborted{0}, retries{0}, avoidances{0}, timeouts{0};
  void count_fault(Fault fault);
  std::map<std::string, std::uint64_t> faults() const;
  /// Every distinct cycle that was seen, in order.
  std::vector<std::vector<int>> cycles() const;
  /// Those that stood when the run got stuck.
  std::vector<std::vector<int>> cycles_at_end() const;
  std::vector<int> victims() const;
  /// An actor gave its transaction up as the victim of a cycle.
  void add_victim(int actor);

 private:
  const StopSource* const stop_;
  RealClock real_clock_;
  VirtualClock virtual_clock_;
  Nanos started_at_;  // set before the actors start
  std::atomic<std::uint32_t> steps_{0};
  std::atomic<record::Ending> ending_{record::Ending::complete};

  void put_in_order() LOCKSTEP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<record::Event> events_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<std::source_location> sites_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<record::Moments::Locks> store_locks_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t> faults_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<std::vector<int>> cycles_ LOCKSTEP_GUARDED_BY(mutex_);  ///< every distinct one, in order
  std::vector<std::vector<int>> standing_cycles_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<std::vector<int>> cycles_at_end_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<int> victims_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<const sync::LockCore*> locks_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep
