// lock_core.h: the model of one in-process lock: its holds and its waiting requests, in the order of arrival.
//
// One model for all executors.
//
//   idle --acquire()--> held                        it could be granted at once
//   idle --acquire()--> queued --(somebody lets go)--> granted --acquire()--> held
//                         \------withdraw()------> withdrawn
//
// 1. No barging: a request is granted when it goes together with every hold and with every request queued ahead of it.
// 2. A conversion of a hold (shared or upgrade to exclusive) stands before the other requests.
// 3. The actor that makes room writes the grant into the model. Then it wakes the request, once, with `mutex_` held
//    (the request cannot go away meanwhile). So no request slips in between, and the wait-for graph is right at every
//    moment.
//
// With threads that run one at a time (a schedule is in control) the model decides all the same. The first in the queue
// blocks in Boost's lock, where a debugger shows it; the others sleep on `changed_` until they are first. The model is
// changed before the real lock is given back, so the thread that gets the real lock has been granted it before.
//
// With threads that run freely Boost's lock decides (a mutex may be barged), and the model mirrors. The real lock is
// taken before the model says so, and given back after it. Two kinds of requests must not go to the real lock: they
// wait on `changed_`. One conflicts with a hold of the same actor, which would be undefined behaviour and is a cycle of
// length one. The other is a reader that came after a writer (rule 1: a queued writer keeps new readers out).
//
// Thread-safe. `mutex_` is a leaf but for Operation::wake(), which is called with it held.
#pragma once

#include <boost/thread/thread.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "engine/actor/actor.h"
#include "engine/actor/operation.h"
#include "engine/base/footprint.h"
#include "engine/sync/real_lock.h"
#include "kv/base/mutex.h"

namespace lockstep::sync {

class LockCore;

/// How the actors of a run come to their turns; this says whether the model or the real lock decides.
enum class Regime : std::uint8_t { suspended, threads_in_turn, threads_at_large };
Regime regime_of(const Actor& actor) noexcept;

/// Longest stay of a blocked thread in a real lock before it looks whether its wait was ended from outside.
inline constexpr Nanos kBlockSlice = std::chrono::milliseconds(25);

/// What an operation has standing in a lock's queue. Lives in the operation.
class LockRequest {
 public:
  /// `from`: what is already held and shall become `mode`; nullopt: nothing.
  LockRequest(LockMode mode, std::optional<LockMode> from, std::source_location where)
      : mode_(mode), from_(from), where_(where) {}

  LockMode mode() const noexcept { return mode_; }

 private:
  friend class LockCore;
  enum class Stage : std::uint8_t { idle, queued, granted, held, withdrawn };

  /// Once only: when the request is queued others read it.
  void belong_to(Operation& operation) noexcept {
    if (operation_ == nullptr) operation_ = &operation;
  }

  // Constant after construction, or after the first attempt.
  const LockMode mode_;
  const std::optional<LockMode> from_;
  const std::source_location where_;
  Operation* operation_ = nullptr;
  // Guarded by LockCore::mutex_.
  Stage stage_ = Stage::idle;
  // Used by the actor's own thread only.
  bool has_real_ = false;
};

/// One hold, for debuggers and tests.
struct Hold {
  const Actor* actor = nullptr;
  LockMode mode = LockMode::exclusive;
  std::source_location where;  ///< the line that asked for it
  boost::thread::id thread;    ///< of the actor, where it has one
};

class LockCore {
 public:
  LockCore(std::string name, std::unique_ptr<RealLock> real);
  /// Nobody may hold it or wait for it.
  ~LockCore();
  LockCore(const LockCore&) = delete;
  LockCore& operator=(const LockCore&) = delete;

  const std::string& name() const noexcept { return name_; }
  /// True when nobody can share it.
  bool is_exclusive() const noexcept { return real_->is_exclusive(); }
  /// True when an exclusive request that comes now would be queued.
  bool would_wait() const;

  /// Tells a search that the step in hand touches the lock: what stands in the way of others before and after.
  /// Lives as long as the touch lasts; without a search it does nothing.
  class Touching {
   public:
    /// `needs_free`: the actor was not let go before the lock was free.
    Touching(const LockCore& core, const Actor& actor, bool needs_free = false);
    ~Touching();
    Touching(const Touching&) = delete;
    Touching& operator=(const Touching&) = delete;
    void as(Touch touch) noexcept { touch_ = touch; }

   private:
    const LockCore& core_;
    Footprint* const footprint_;
    Touch touch_ = Touch::changes;
    Passage gate_;
  };

  /// One attempt of `operation`, which owns `request`: true when the lock is held now, false when the request is
  /// queued.
  bool acquire(LockRequest& request, Operation& operation);
  /// acquire() that never queues.
  bool try_acquire(LockRequest& request, Operation& operation);
  /// Queues the request of another actor's operation, which will be woken when it is granted (that may be now). Not
  /// with threads at large.
  void enqueue(LockRequest& request, Operation& operation);
  /// Blocks the actor's thread for a while; true when another attempt makes sense.
  bool block(LockRequest& request, Nanos span);
  /// Leaves the queue. False: too late, the grant came first and the next acquire() succeeds.
  bool withdraw(LockRequest& request);
  /// Drops a request when its operation ends without having used the grant; gives back what the request holds.
  void abandon(LockRequest& request, Actor& actor) noexcept;

  /// Gives back a hold. LOCKSTEP_CHECK that the actor has it, and that its thread took it.
  void release(Actor& actor, LockMode mode);
  void downgrade(Actor& actor, LockMode from, LockMode to);

  /// The actors that the queued request waits for. They have the holds that conflict with it, and the requests
  /// ahead of it in the queue that wait for some other actor besides.
  std::vector<Blocker> blockers(const LockRequest& request) const;
  /// "held by T1, T2" or "held by nobody".
  std::string held_by() const;
  std::vector<Hold> holds() const;
  std::size_t queue_length() const;

 private:
  bool acquire_in_turn(LockRequest& request);
  bool acquire_real_first(LockRequest& request);
  void take_real(LockRequest& request);
  void give_real_back(LockRequest& request);
  bool real_try(LockRequest& request, Nanos span);
  bool block_in_turn(LockRequest& request, Nanos span);
  bool block_at_large(LockRequest& request, Nanos span);

  bool conflicts(const LockRequest& request, const Hold& hold) const noexcept;
  bool conflicts_with_own(const LockRequest& request) const noexcept LOCKSTEP_REQUIRES(mutex_);
  bool must_sleep(const LockRequest& request) const noexcept LOCKSTEP_REQUIRES(mutex_);
  bool grantable(const LockRequest& request, std::size_t ahead) const noexcept LOCKSTEP_REQUIRES(mutex_);
  void grant(LockRequest& request) LOCKSTEP_REQUIRES(mutex_);
  void push(LockRequest& request) LOCKSTEP_REQUIRES(mutex_);
  std::size_t position(const LockRequest& request) const noexcept LOCKSTEP_REQUIRES(mutex_);
  void serve() LOCKSTEP_REQUIRES(mutex_);
  void drop(Actor& actor, LockMode mode) LOCKSTEP_REQUIRES(mutex_);
  std::string holders_for_people() const LOCKSTEP_REQUIRES(mutex_);

  const std::string name_;
  const std::unique_ptr<RealLock> real_;

  mutable ::lockstep::Mutex mutex_;
  ::lockstep::CondVar changed_;  ///< the queue or the holds have changed
  std::vector<Hold> holds_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<LockRequest*> queue_ LOCKSTEP_GUARDED_BY(mutex_);
  /// Grants of the model whose threads have not taken the real lock yet. No other thread goes to the real lock
  /// meanwhile.
  std::size_t unsettled_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep::sync
