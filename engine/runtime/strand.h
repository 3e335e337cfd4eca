// strand.h: a strand is one task with everything that it awaits. It is pinned to a loop, cancelled as a whole, and
// suspended in one wait at a time: a sleep, a lock, a socket, its children.
//
// Which thread resumes: always the one of the strand's loop, from the loop's queue, never inside the code that
// completes the wait. So stacks do not grow, and the strand that unlocks goes on before the strand that waited.
//
// Cancellation ends the wait in hand: the task ends there with the fault (as after `co_await fail(...)`), destructors
// run, guards give back what they hold. Later waits of a cancelled strand end at once. Only waits for children go on
// until the children have ended. What never waits is never cancelled.
//
//   idle --suspend()--> queued --complete()--> in the loop's queue --run()--> the task goes on
//                          \------cancel()----> in the loop's queue --run()--> the task ends with the fault
#pragma once

#include <coroutine>
#include <string>

#include "engine/runtime/loop.h"
#include "engine/task/task.h"

namespace lockstep::runtime {

class Strand;

/// The base of everything that a strand can be suspended in; lives in the frame that awaits it, once.
/// A derived class says what the wait gives: await_resume().
class Wait : public Job {
 public:
  bool await_ready() const noexcept { return false; }
  /// True: suspended, or the task has ended because its strand was cancelled.
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location at = std::source_location::current()) noexcept {
    handle_ = handle;
    handle.promise().at = at;
    return suspend(handle.promise());
  }
  /// Told to end: takes itself out of its queue and calls end_with(), or ends soon by itself. In the loop's thread.
  virtual void cancel(Fault why) noexcept = 0;
  /// For people: "asleep", "waiting for a lock".
  virtual const char* doing() const noexcept = 0;

  void run() noexcept final;

 protected:
  ~Wait() = default;

  /// Queues itself and answers true, or answers false when there is nothing to wait for. May be completed by another
  /// thread before it returns.
  virtual bool queue() noexcept = 0;
  /// After complete(), before the task goes on: true when it has queued itself once more.
  virtual bool waits_again() noexcept { return false; }
  /// True for a wait that a cancelled strand enters all the same.
  virtual bool is_cleanup() const noexcept { return false; }

  /// It is over; the task goes on. Called once, by the thread that took it out of its queue. Any thread.
  void complete() noexcept;
  /// It is over; the task ends with `why`. In the loop's thread.
  void end_with(Fault why) noexcept;
  /// end_with() for a wait that complete() has put into the loop's queue already.
  void end_in_turn_with(Fault why) noexcept { ends_with_ = static_cast<std::int16_t>(why); }

  Strand& strand() const noexcept { return *promise_->strand; }
  Loop& loop() const noexcept;

 private:
  bool suspend(lockstep::detail::PromiseBase& promise) noexcept;

  std::coroutine_handle<> handle_;
  lockstep::detail::PromiseBase* promise_ = nullptr;
  std::int16_t ends_with_ = -1;  ///< a Fault, or -1
};

/// Belongs to the thread of its loop.
class Strand : public debugging::Coroutine {
 public:
  Strand(Loop& loop, Name name) noexcept : loop_(loop) {
    label = name.text;
    number = name.number;
  }
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  Loop& loop() const noexcept { return loop_; }
  Name name() const noexcept { return {label, number}; }
  /// What it is suspended in; nullptr while it runs or is about to.
  const Wait* waiting() const noexcept { return waiting_; }

  /// Its wait and all later ones end with `why`. The first to say so counts. In the loop's thread.
  void cancel(Fault why) noexcept {
    if (is_cancelled()) return;
    cancelled_with_ = static_cast<std::int16_t>(why);
    if (waiting_ != nullptr) waiting_->cancel(why);
  }
  bool is_cancelled() const noexcept { return cancelled_with_ >= 0; }
  /// Valid when it is cancelled.
  Fault cancelled_with() const noexcept { return static_cast<Fault>(cancelled_with_); }

 private:
  friend class Wait;
  Loop& loop_;
  Wait* waiting_ = nullptr;
  std::int16_t cancelled_with_ = -1;
};

/// `Strand& self = co_await this_strand();`
struct [[nodiscard]] ThisStrand {
  Strand* strand = nullptr;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    strand = handle.promise().strand;
    LOCKSTEP_CHECK(strand != nullptr, "the task does not run on a loop (runtime::run)");
    return false;
  }
  Strand& await_resume() const noexcept { return *strand; }
};
inline ThisStrand this_strand() { return {}; }

inline Loop& Wait::loop() const noexcept { return strand().loop(); }
inline void Wait::complete() noexcept { loop().post(*this); }

inline bool Wait::suspend(lockstep::detail::PromiseBase& promise) noexcept {
  promise_ = &promise;
  LOCKSTEP_CHECK(promise.strand != nullptr, "the task does not run on a loop (runtime::run)");
  Strand& self = strand();
  if (self.is_cancelled() && !is_cleanup()) {
    const Fault why = self.cancelled_with();
    promise.abandon({why, {}, {}});
    return true;
  }
  if (!queue()) return false;
  self.innermost = &promise;
  self.waiting_ = this;  // another thread may have completed it: it is run in this one, later
  return true;
}

inline void Wait::run() noexcept {
  Strand& self = strand();
  self.loop().entered(self.name());
  self.waiting_ = nullptr;
  self.innermost = nullptr;
  if (ends_with_ < 0) {
    if (waits_again()) {
      self.waiting_ = this;
      self.innermost = promise_;
    } else {
      handle_.resume();
    }
  } else {
    promise_->abandon({static_cast<Fault>(ends_with_), {}, to_string(self.name()) + " was stopped, " + doing()});
  }
}

inline void Wait::end_with(Fault why) noexcept {
  ends_with_ = static_cast<std::int16_t>(why);
  loop().push(*this);
}

}  // namespace lockstep::runtime
