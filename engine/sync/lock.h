// lock.h: the guard of an in-process lock and the operations on it. Made by the locks of engine/sync/sync.h.
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "engine/actor/operation.h"
#include "engine/sync/lock_core.h"

namespace lockstep::sync {

class UnlockOperation;

/// Holds a lock for a scope, or nothing. Its destructor gives the lock back at once: that is no step of the schedule,
/// and is recorded as a release. Belongs to the actor that locked: to be destroyed in it, and before the lock.
class [[nodiscard]] Guard {
 public:
  Guard() noexcept = default;
  Guard(LockCore& core, Actor& actor, LockMode mode) noexcept : core_(&core), actor_(&actor), mode_(mode) {}
  Guard(Guard&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), actor_(other.actor_), mode_(other.mode_) {}
  Guard& operator=(Guard&& other) noexcept {
    if (this != &other) {
      reset();
      core_ = std::exchange(other.core_, nullptr);
      actor_ = other.actor_;
      mode_ = other.mode_;
    }
    return *this;
  }
  ~Guard() { reset(); }

  /// True when it holds a lock.
  explicit operator bool() const noexcept { return core_ != nullptr; }
  LockMode mode() const noexcept { return mode_; }
  /// The lock held; nullptr when it is empty.
  LockCore* core() const noexcept { return core_; }

  /// Gives the lock back as a step of the schedule: `co_await guard.unlock();`. Fault::invalid when it holds nothing.
  UnlockOperation unlock();
  /// Gives the lock back now, if it holds one, as the destructor does.
  void reset() noexcept;

 private:
  friend class ConvertOperation;

  LockCore* core_ = nullptr;
  Actor* actor_ = nullptr;
  LockMode mode_ = LockMode::exclusive;
};

/// Takes a lock; gives its guard.
class [[nodiscard]] LockOperation final : public AwaitableOperation {
 public:
  enum class Patience : std::uint8_t {
    waits,           ///< until it is granted; a limit ends the task with Fault::lock_timeout
    waits_or_empty,  ///< the same, but at the limit it gives an empty guard
    tries,           ///< never waits: gives an empty guard
  };

  LockOperation(LockCore& core, LockMode mode, Patience patience, Nanos limit, std::source_location where)
      : core_(core), request_(mode, std::nullopt, where), patience_(patience), limit_(limit) {}
  ~LockOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return core_.blockers(request_); }
  Description describe() const override;
  std::string answer() const override { return obtained_ ? std::string() : "not obtained"; }
  bool block(Actor&, Nanos span) override { return core_.block(request_, span); }
  bool would_wait() const override;
  void foresee(Footprint& footprint) const override;

  Guard await_resume() noexcept {
    return std::exchange(obtained_, false) ? Guard(core_, actor(), request_.mode()) : Guard();
  }

 private:
  /// Under a search the actor stands before the lock until it is free, instead of queueing. It may: nobody can share
  /// what it takes, nothing but its turn ends its wait, and no request enters the queue unasked.
  bool stands_before_it() const;

  LockCore& core_;
  LockRequest request_;
  const Patience patience_;
  const Nanos limit_;
  Waiting waiting_;
  bool gave_up_ = false;
  bool waits_ = false;
  bool obtained_ = false;  ///< held, and no guard has been made of it yet
};

/// Gives back what a guard holds, as a step.
class [[nodiscard]] UnlockOperation final : public AwaitableOperation {
 public:
  explicit UnlockOperation(Guard& guard) : guard_(guard), name_(guard ? guard.core()->name() : std::string()) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override { return {.verb = "unlock", .object = name_, .detail = {}}; }
  void await_resume() const noexcept {}

 private:
  Guard& guard_;
  const std::string name_;
  Waiting waiting_;
};

/// Makes a hold stronger (waits) or weaker (does not). The guard keeps what it had when it does not succeed.
class [[nodiscard]] ConvertOperation final : public AwaitableOperation {
 public:
  ConvertOperation(LockCore& core, Guard& guard, LockMode to, Nanos limit, std::source_location where)
      : core_(core), guard_(guard), request_(to, guard.mode(), where), limit_(limit) {}
  ~ConvertOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return core_.blockers(request_); }
  Description describe() const override;
  bool block(Actor&, Nanos span) override { return core_.block(request_, span); }
  void await_resume() const noexcept {}

 private:
  bool is_upgrade() const noexcept { return request_.mode() == LockMode::exclusive; }

  LockCore& core_;
  Guard& guard_;
  LockRequest request_;
  const Nanos limit_;
  Waiting waiting_;
  bool gave_up_ = false;
  bool waits_ = false;
};

inline UnlockOperation Guard::unlock() { return UnlockOperation(*this); }

}  // namespace lockstep::sync
