// condition.h: the condition variable of engine/sync/sync.h.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

#include "engine/actor/operation.h"
#include "engine/sync/gate.h"
#include "engine/sync/lock.h"

namespace lockstep::sync {

class CondVar;

/// Lets go of the guard's mutex, waits for a notification, and takes the mutex again. When it does not succeed the
/// guard is left empty.
class [[nodiscard]] WaitOperation final : public AwaitableOperation {
 public:
  WaitOperation(CondVar& condition, Guard& guard, Nanos limit, std::source_location where)
      : condition_(condition),
        guard_(guard),
        core_(guard.core()),
        request_(LockMode::exclusive, std::nullopt, where),
        limit_(limit) {}
  ~WaitOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override;
  Description describe() const override;
  std::string answer() const override;
  bool block(Actor&, Nanos span) override;
  void await_resume() const noexcept {}

 private:
  friend class CondVar;
  friend class NotifyOperation;
  enum class Stage : std::uint8_t { idle, waiting, notified, withdrawn, done };

  CondVar& condition_;
  Guard& guard_;
  LockCore* const core_;  ///< of the mutex; nullptr when the guard was empty
  LockRequest request_;
  const Nanos limit_;
  Waiting waiting_;
  bool asked_ = false;         ///< for the mutex, after the notification
  Stage stage_ = Stage::idle;  ///< guarded by CondVar::gate_ while it waits
};

/// Moves waiters to the mutex's queue.
class [[nodiscard]] NotifyOperation final : public AwaitableOperation {
 public:
  NotifyOperation(CondVar& condition, bool all) : condition_(condition), all_(all) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  std::string answer() const override { return woken_; }
  void await_resume() const noexcept {}

 private:
  CondVar& condition_;
  const bool all_;
  std::string woken_;
  Waiting waiting_;
};

/// A condition variable, first come, first notified, without spurious wake-ups. A notification that nobody waits for is
/// lost, and the recording says so. No actor is known to be the one that will notify: a wait for a notification that
/// never comes ends as `hung`. On threads: boost::mutex and boost::condition_variable.
///
/// Thread-safe. `gate_` is taken before LockCore::mutex_.
class CondVar {
 public:
  explicit CondVar(std::string name) : name_(std::move(name)) {}
  /// Nobody may wait in it.
  ~CondVar();
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// `guard` holds a Mutex or TimedMutex; Fault::invalid when it does not. Wait in a `while` loop over the condition:
  /// an actor that locks between the notification and the wake-up may have changed it.
  WaitOperation wait(Guard& guard, std::source_location where = std::source_location::current()) {
    return {*this, guard, kNever, where};
  }
  /// Ends the task with Fault::lock_timeout when neither the notification nor the mutex came within `limit`.
  WaitOperation wait_for(Guard& guard, Nanos limit, std::source_location where = std::source_location::current()) {
    return {*this, guard, limit, where};
  }
  NotifyOperation notify_one() { return {*this, false}; }
  NotifyOperation notify_all() { return {*this, true}; }

  std::size_t waiters() const;

 private:
  friend class WaitOperation;
  friend class NotifyOperation;

  const std::string name_;
  mutable Gate gate_;
  std::vector<WaitOperation*> waiters_ LOCKSTEP_GUARDED_BY(gate_);
};

}  // namespace lockstep::sync
