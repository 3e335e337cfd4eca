// operation.h: the one seam through which everything waits.
//
// An operation either finishes at its first attempt or later, exactly once. It never decides how to wait. An attempt
// that cannot finish says what it waits for, and the actor's executor parks its thread, suspends its coroutine or
// polls. The operation lives in the frame of the coroutine that awaits it: no allocation, no lock on the path that does
// not wait.
//
//   idle --attempt() false--> (queued) --arm()--> armed --wake()--> woken --attempt()--> ...
//                                 \______ wake() before arm() ______/
//
// `wake()` may come from any thread, also before the executor has armed the operation. The waker, a deadline or a stop
// turns `armed` into `woken`: exactly one does, and hands the actor back to its executor.
#pragma once

#include <atomic>
#include <coroutine>
#include <optional>
#include <string>
#include <vector>

#include "engine/store/backend.h"
#include "engine/task/task.h"

namespace lockstep {

class Actor;
class Footprint;

/// How an operation shows in a recording.
struct Description {
  std::string verb;
  std::string object;
  std::string detail;
};

class Operation;

/// Runs the operation in the actor of the awaiting task. False: it succeeded and the task goes on at once. True: the
/// task is suspended, or has ended with the operation's fault. (The body of every operation's await_suspend.)
bool perform(Operation& operation, detail::PromiseBase& promise, std::coroutine_handle<> handle);

class Operation : public Waiter {
 public:
  Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// Why it did not succeed; valid when it has finished.
  std::optional<Error> error;

  /// Makes progress. true: finished. false: queued; waiting() says what for.
  virtual bool attempt() = 0;
  /// Gives up waiting: the next attempt() finishes with `why`, or with the answer if that came first.
  virtual void cancel(Fault why) = 0;
  /// Valid after attempt() answered false.
  virtual const Waiting& waiting() const = 0;
  /// The actors that it waits for now. Called only while it waits, possibly by another thread. Empty: nobody known.
  virtual std::vector<Blocker> blockers() = 0;
  /// True when the store will find and break a cycle through this wait.
  virtual bool cycle_is_broken_by_store() const { return false; }
  /// True when attempt() itself may block the thread for long; cancel() and blockers() may then come from another
  /// thread.
  virtual bool may_block() const { return false; }
  /// Before the first attempt: true when it would only wait, and no other actor would notice that. The first to come is
  /// served first. (A lock that nobody may share, without a limit.)
  virtual bool would_wait() const { return false; }
  /// What its first attempt will touch, where would_wait() may be true.
  virtual void foresee(Footprint&) const {}
  /// Called only while it waits: what has come from a server.
  virtual Arrival arrival() { return {}; }
  /// True when its wait is in a server, which may end it by a limit of its own.
  virtual bool has_limit_elsewhere() const { return false; }
  /// False for a pause, which waits for nobody.
  virtual bool is_wait() const { return true; }
  /// True for what must run even while the actor is being stopped (an abort).
  virtual bool is_cleanup() const { return false; }
  virtual Description describe() const = 0;
  /// What the request event, and the event of its end, have besides (record::Event::facts).
  virtual Facts facts_asked() const { return {}; }
  virtual Facts facts_answered() const { return error ? error->facts : Facts{}; }
  /// What came back, for the recording; valid when it has finished without an error.
  virtual std::string answer() const { return {}; }

  /// On the threads executor: blocks the calling OS thread for at most `span` of real time; true when another attempt
  /// makes sense now. The default parks the actor; an in-process lock blocks in the real lock instead. May return
  /// early.
  virtual bool block(Actor& actor, Nanos span);

  void wake() noexcept final;

  /// For executors. True when it has been woken, by any thread, since the last attempt.
  bool is_woken() const noexcept { return state_.load(std::memory_order_acquire) == State::woken; }
  /// From idle to armed; false when it was woken before.
  bool arm() noexcept {
    State idle = State::idle;
    return state_.compare_exchange_strong(idle, State::armed, std::memory_order_acq_rel);
  }
  /// Ends the wait from outside with `why` (deadline, stop). True when this call did it: the caller must then hand the
  /// actor back to its executor. The actor itself then calls cancel(why).
  bool expire(Fault why) noexcept;

  Actor& actor() const noexcept { return *actor_; }
  /// Of the task that awaits it.
  const debugging::TaskFrame& frame() const noexcept { return *promise_; }

 protected:
  ~Operation() = default;

 private:
  friend class Actor;
  friend bool perform(Operation&, detail::PromiseBase&, std::coroutine_handle<>);
  enum class State : std::uint8_t { idle, armed, woken };

  Actor* actor_ = nullptr;
  std::atomic<State> state_{State::idle};
  std::atomic<int> expired_with_{-1};  ///< a Fault, or -1; written before `woken`
  detail::PromiseBase* promise_ = nullptr;
  std::coroutine_handle<> handle_;
};

/// Base of the awaitable operations: `co_await` it once. await_resume() is given by the derived class.
class AwaitableOperation : public Operation {
 public:
  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> handle, std::source_location at = std::source_location::current()) {
    handle.promise().at = at;
    return perform(*this, handle.promise(), handle);
  }

 protected:
  ~AwaitableOperation() = default;
};

}  // namespace lockstep
