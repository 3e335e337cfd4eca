// session_executor.h: how one session of a load waits: an Executor for a single actor.
//
// Sessions share nothing but the store: each has an actor, a RunState and an executor of its own. No lock or counter of
// the driver is touched by two of them. So the driver costs the same at one session and at a thousand.
#pragma once

#include <atomic>
#include <memory>

#include "engine/actor/actor.h"
#include "engine/actor/executor.h"
#include "engine/runtime/loop.h"
#include "engine/task/coroutines.h"
#include "kv/base/mutex.h"

namespace lockstep::load {

/// Counts the sessions that have not ended. Thread-safe.
class CompletionLatch {
 public:
  explicit CompletionLatch(std::size_t sessions) : left_(sessions) {}
  void ended() noexcept {
    MutexLock lock(mutex_);
    if (--left_ == 0) all_ended_.notify_all();
  }
  /// True when every session has ended; false after `span`.
  bool wait(Nanos span) noexcept {
    const auto until = std::chrono::steady_clock::now() + span;
    MutexLock lock(mutex_);
    while (left_ > 0) {
      if (!all_ended_.wait_until(mutex_, until)) break;
    }
    return left_ == 0;
  }

 private:
  Mutex mutex_;
  CondVar all_ended_;
  std::size_t left_ LOCKSTEP_GUARDED_BY(mutex_);
};

class SessionExecutor : public Executor {
 public:
  explicit SessionExecutor(CompletionLatch& latch) : latch_(latch) {}

  bool controlled() const noexcept final { return false; }
  bool turn(Actor&) final { return true; }
  void go(Actor&) final {}
  void interrupt(Actor&) noexcept final {}
  void run_free(std::span<const std::unique_ptr<Actor>>) final {}
  void finished(Actor&) noexcept override { latch_.ended(); }

  /// Waits for somebody else (not for a time of its own choosing) since the executor was made, and how long they took.
  /// For the session itself, and after it has ended.
  std::uint64_t waits() const noexcept { return waits_; }
  Nanos waited() const noexcept { return waited_; }

 protected:
  static bool is_for_somebody(const Operation& operation);

  CompletionLatch& latch_;
  RealClock clock_;
  std::uint64_t waits_ = 0;
  Nanos waited_{0};
};

/// Parks the session's own thread.
std::unique_ptr<SessionExecutor> make_thread_session_executor(CompletionLatch& latch);
/// Suspends; the session runs on `loop`, where begin() starts it.
std::unique_ptr<SessionExecutor> make_loop_session_executor(CompletionLatch& latch, runtime::Loop& loop);
/// For an executor made by make_loop_session_executor(): the actor starts when its loop comes to it. Once, before the
/// loops run. `shown`: where debuggers find it; outlives the executor's loop.
void begin(SessionExecutor& executor, Actor& actor, debugging::CoroutineGroup& shown);

}  // namespace lockstep::load
