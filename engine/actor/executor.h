// executor.h: how actors wait. The executor knows nothing of locks and stores; a store knows nothing of executors.
//
// Which thread resumes. On `threads`: always the actor's own. On `coroutines`: the worker that the actor is pinned to
// (free schedule), or the conductor's thread (controlled schedules).
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "kv/base/clock.h"

namespace lockstep {

class Actor;
class Operation;
class RunState;

class Executor {
 public:
  virtual ~Executor() = default;

  /// "threads", "coroutines".
  virtual std::string_view name() const noexcept = 0;
  /// True when a schedule is in control: one actor runs at a time.
  virtual bool controlled() const noexcept = 0;
  /// True when every actor has an OS thread of its own: in-process locks are then the real ones.
  virtual bool parks_threads() const noexcept = 0;

  // -- called in the actor's context --
  /// Before an operation, when a schedule is in control: waits for the actor's turn. True: go on in this stack. False:
  /// the coroutine is suspended.
  virtual bool turn(Actor& actor) = 0;
  /// The operation could not finish: waits until it is woken. True: make another attempt in this stack. False:
  /// suspended.
  virtual bool wait(Actor& actor, Operation& operation) = 0;
  /// The body has ended; on an executor that suspends this may be the last that is heard of the actor's stack.
  virtual void finished(Actor& actor) noexcept = 0;

  /// Operation::block() of waits that have no lock of their own to block in. Blocks the actor's thread until the
  /// operation is woken or it is the actor's turn, at most for `span` of real time. True when it was woken. Only with
  /// parks_threads().
  virtual bool park(Actor& actor, Operation& operation, Nanos span) = 0;

  // -- called by the thread that ends a wait --
  /// The actor's operation was woken. Any thread; called once for each time it was armed. Never blocks for long.
  virtual void ready(Actor& actor) noexcept = 0;
  /// Ends what the actor's body does outside our operations, where the executor can (boost::thread::interrupt). Any
  /// thread.
  virtual void interrupt(Actor& actor) noexcept = 0;

  // -- called by the run --
  /// Controlled schedules: lets the actor run until it stops (at its gate, in a wait, or at its end), then returns.
  virtual void go(Actor& actor) = 0;
  /// The free schedule: runs all actors at once; returns when every one has ended. Watches for deadlines, cycles that
  /// nobody will break, the run's time limit and ^C.
  virtual void run_free(std::span<const std::unique_ptr<Actor>> actors) = 0;
};

}  // namespace lockstep
