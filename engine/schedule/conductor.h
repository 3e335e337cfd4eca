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

/// Where an actor is (Actor::place), and the function behind each arrow. All but woken() run in the conductor's thread,
/// or in an actor's while that actor has its turn:
///
///     not_started --go()--> running                                     conduct(), one actor after the other
///     running --Executor::turn()--> at_gate                             before its next operation
///     running --Executor::wait()--> waiting                             it must wait, and was not woken since
///     running --Executor::finished()--> finished
///     at_gate --go()--> running                                         take(): the schedule chose it
///     waiting --woken()--> in woken_ --go()--> running                  settle(), in the order of the wake-ups
///
///     what calls woken(), by Executor::ready()                          from
///     an actor that granted or killed the wait (Operation::wake())      any thread
///     a socket that is ready                                            settle_one(), stop_and_drain()
///     a deadline that passes                                            take() by choice, expire_deadlines() by time
///     a stop                                                            stop_and_drain()
///
/// States of the conductor itself, each with what it does and where it goes:
///
///     settle    lets woken actors run to their next stop, waits for     choose; drain on ^C and at the run's limit
///               servers until each wait there is known to be blocked;
///               answers are taken in the order of launching
///     choose    find_candidates(), then Schedule::next()                take; close or advance when there is none;
///                                                                       drain when the schedule refuses
///     take      one actor runs to its next stop, or its deadline        settle
///               passes
///     close     once, for a schedule that looks ahead: lets those       settle; advance when no actor is left
///               wait that would only wait, so that the graph shows it
///     advance   time jumps to the earliest deadline, or servers are     settle; drain when nothing will ever happen
///               polled
///     drain     stop_and_drain(): every wait and every next operation   the end
///               ends with a fault
///
/// conduct() returns from settle when every actor has finished (Ending::complete). Through drain it returns with
/// Ending::interrupted after ^C, else with Ending::stuck.
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
  /// How a look at one wait for a server ends.
  enum class LookEnded : std::uint8_t { answered, blocked, left };
  /// One pass over the waits for servers.
  struct AnswerPass {
    std::vector<Actor*> waiting;   ///< in the order in which their answers are taken
    std::vector<bool> is_in_hand;  ///< by actor: it is being settled, or was before the one in hand
  };
  LookEnded settle_one(Actor& actor, AnswerPass& tried);
  std::vector<Actor*> in_order_of_answers();
  bool is_known_blocked(const Actor& actor) const;
  bool hears(const std::vector<Actor*>& waiting, Nanos patience);
  Actor* who_gave_up(const Actor& actor) const;
  WaitGraph graph_as_seen(const std::vector<Actor*>& settled);
  void note_blocked(Actor& actor, std::vector<Blocker> blockers);
  Nanos left_for_detection(const std::vector<Actor*>& waiting, const WaitGraph& graph) const;
  bool advance();
  bool is_for_ever(const WaitGraph& graph) const;
  std::vector<Actor*> poll_servers(Nanos deadline);
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
  void go(Executor& executor, Actor& actor);
  void take(Executor& executor, Choice choice);
  bool close(Executor& executor);
  Choice shown(Choice next);

  RunState& run_;
  Schedule& schedule_;
  const Nanos detection_after_;
  std::vector<Choice> taken_;
  std::vector<Candidate> candidates_;
  bool closed_ = false;        // no actor was left that could go without waiting
  bool was_for_ever_ = false;  // at the latest look every wait was one for ever
  RealClock real_;
  Nanos real_start_{0};
  /// A wait for a server that is known to be held up: the actor's step, since when that is known, and by which actors
  /// at the latest look.
  struct Blocked {
    std::uint32_t step = 0;
    Nanos since{0};
    std::vector<Blocker> by = {};
  };
  std::vector<Blocked> blocked_;  // by actor
  std::vector<pollfd> fds_;       // of the latest hears(), in its order

  Mutex mutex_;
  std::vector<Actor*> woken_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t heard_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // of woken_: the others are still to be let go
};

}  // namespace lockstep
