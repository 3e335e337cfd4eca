// conductor.h: runs the actors one at a time in the order of a schedule. One thread; the executor lends the stacks.
//
// After each step the conductor lets everybody who was woken run to the next gate, in the order of the wake-ups, before
// it asks the schedule who goes next. So a schedule gives the same run every time, on threads and on coroutines.
#pragma once

#include <poll.h>

#include <memory>
#include <span>
#include <vector>

#include "engine/actor/executor.h"
#include "engine/actor/run_state.h"
#include "engine/schedule/schedule.h"
#include "kv/base/mutex.h"

namespace lockstep {

class Conductor {
 public:
  /// Both outlive the conductor. `detection_after`: how long a wait lasts before a server looks, once, whether it is on
  /// a cycle (PostgreSQL manual 20.12, deadlock_timeout). The session that finds one gives up.
  Conductor(RunState& run, Schedule& schedule, Nanos detection_after)
      : run_(run), schedule_(schedule), detection_after_(detection_after) {}

  /// Runs every actor to its end, or until nobody can go on (Ending::stuck), the run's limit, ^C, or a store that
  /// fails. Fault::invalid when the schedule asks for what cannot be; the actors are then stopped.
  Result<void> conduct(Executor& executor);

  /// The actor's operation was woken. Any thread.
  void woken(Actor& actor) noexcept;

  /// The actors that were let go, in order, as run.
  const std::vector<Choice>& taken() const noexcept { return taken_; }

 private:
  void settle(Executor& executor);
  bool settle_external();
  std::vector<Actor*> find_external(std::vector<pollfd>& fds) const;
  bool note_blocked(Actor& actor, const WaitGraph& graph);
  Nanos left_for_detection(const std::vector<Actor*>& waiting, const WaitGraph& graph) const;
  bool advance();
  void wait_for_server(Nanos deadline);
  bool expire_deadlines();
  Actor* pop_woken();
  void stop_and_drain(Executor& executor, Fault why);
  void look_for_cycles(const WaitGraph& graph);
  bool anybody_waits() const;
  bool anybody_external();
  bool over_limit();
  /// What the schedule may choose from. Answers whether there is anything.
  bool find_candidates();
  bool all_finished() const;
  void take(Executor& executor, Choice choice);
  bool close(Executor& executor);
  Choice shown(Choice next);

  RunState& run_;
  Schedule& schedule_;
  const Nanos detection_after_;
  std::vector<Choice> taken_;
  std::vector<Candidate> candidates_;
  bool closed_ = false;  // no actor was left that could go without waiting
  RealClock real_;
  Nanos real_start_{0};
  /// A wait for a server that is known to be held up: the actor's step, and since when that is known.
  struct Blocked {
    std::uint32_t step = 0;
    Nanos since{0};
  };
  std::vector<Blocked> blocked_;  // by actor

  Mutex mutex_;
  std::vector<Actor*> woken_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t heard_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // of woken_: the others are still to be let go
};

}  // namespace lockstep
