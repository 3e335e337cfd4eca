// semaphore.h: the counting semaphore of engine/sync/sync.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/actor/operation.h"
#include "engine/sync/gate.h"

namespace lockstep::sync {

class Semaphore;

/// Takes permits. Gives true; false only from try_acquire().
class [[nodiscard]] AcquireOperation final : public AwaitableOperation {
 public:
  AcquireOperation(Semaphore& semaphore, int permits, bool waits, Nanos limit)
      : semaphore_(semaphore), permits_(permits), waits_(waits), limit_(limit) {}
  ~AcquireOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override;
  Description describe() const override;
  std::string answer() const override;
  bool block(Actor&, Nanos span) override;
  bool await_resume() noexcept { return stage_ == Stage::granted; }

 private:
  friend class Semaphore;
  enum class Stage : std::uint8_t { idle, queued, granted, refused };

  Semaphore& semaphore_;
  const int permits_;
  const bool waits_;
  const Nanos limit_;
  Waiting waiting_;
  bool waiting_began_ = false;
  Stage stage_ = Stage::idle;  ///< guarded by Semaphore::gate_ while it is queued
};

/// Gives permits back, or adds new ones.
class [[nodiscard]] ReleaseOperation final : public AwaitableOperation {
 public:
  ReleaseOperation(Semaphore& semaphore, int permits) : semaphore_(semaphore), permits_(permits) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  void await_resume() const noexcept {}

 private:
  Semaphore& semaphore_;
  const int permits_;
  Waiting waiting_;
};

/// A counting semaphore, first come, first served: a request for many permits is not passed by later ones for few.
///
/// Permits are `free` or `owned`. Free ones are a signal: any actor may release, so nobody is known to be waited for.
/// Owned ones are a pool: the actor that took them gives them back. So a wait is for the owners, and a release of
/// permits that an actor does not have is Fault::invalid.
///
/// On threads: boost::mutex and boost::condition_variable. Thread-safe. `gate_` is a leaf but for Operation::wake().
class Semaphore {
 public:
  enum class Permits : std::uint8_t { free, owned };

  /// `available`: how many there are at first, at least 0.
  Semaphore(std::string name, int available, Permits permits = Permits::free);
  /// Nobody may wait in it.
  ~Semaphore();
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  const std::string& name() const noexcept { return name_; }

  AcquireOperation acquire(int permits = 1) { return {*this, permits, true, kNever}; }
  /// Ends the task with Fault::lock_timeout at the limit.
  AcquireOperation acquire_for(Nanos limit, int permits = 1) { return {*this, permits, true, limit}; }
  /// Gives false instead of waiting.
  AcquireOperation try_acquire(int permits = 1) { return {*this, permits, false, kNever}; }
  ReleaseOperation release(int permits = 1) { return {*this, permits}; }

  int available() const;

 private:
  friend class AcquireOperation;
  friend class ReleaseOperation;

  void take(AcquireOperation& operation) LOCKSTEP_REQUIRES(gate_);
  void serve() LOCKSTEP_REQUIRES(gate_);

  const std::string name_;
  const Permits permits_;
  mutable Gate gate_;
  int available_ LOCKSTEP_GUARDED_BY(gate_);
  std::vector<AcquireOperation*> queue_ LOCKSTEP_GUARDED_BY(gate_);
  /// By actor: permits taken and not given back. Only of owned permits.
  std::map<int, int> taken_ LOCKSTEP_GUARDED_BY(gate_);
};

}  // namespace lockstep::sync
