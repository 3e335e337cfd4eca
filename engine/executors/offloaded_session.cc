// offloaded_session.cc: an attempt that is made elsewhere looks to the actor like any other wait.
//
//   home --attempt()--> out --the helper has made the call--> back --attempt()--> home, or out again
//
// A call that comes back unfinished waits in the store (SQLite is busy). When the store wakes it, it goes out once
// more.
#include "engine/executors/offloaded_session.h"

#include <optional>
#include <utility>

#include "kv/base/mutex.h"

namespace lockstep {
namespace {

class OffloadedSession final : public Session, runtime::Job, Waiter {
 public:
  explicit OffloadedSession(std::unique_ptr<Session> inner) : inner_(std::move(inner)) {}
  ~OffloadedSession() override = default;

  bool attempt(Pending& pending, Waiter& waiter) override;

  /// A call that is out ends when it ends; what waits in the store is given up by the next attempt.
  void cancel(Pending& /*pending*/, Fault why) override {
    MutexLock lock(mutex_);
    if (!cancelled_with_) cancelled_with_ = why;
  }

  std::vector<Blocker> blockers(const Pending& /*pending*/) override {
    {
      MutexLock lock(mutex_);
      if (!waits_in_store_) return {};
    }
    return inner_->blockers(call_);  // nobody but the actor can take the request out again, and it waits
  }

  bool in_transaction() const noexcept override { return inner_->in_transaction(); }
  bool has_limit() const noexcept override { return inner_->has_limit(); }
  bool holds_beyond_transaction() const noexcept override { return inner_->holds_beyond_transaction(); }

 private:
  enum class Place : std::uint8_t { home, out, back };

  void go_out(Waiter& waiter);
  /// The call, in a helper thread.
  void run() noexcept override;
  /// From the store, possibly with a lock of its own held.
  void wake() noexcept override;

  const std::unique_ptr<Session> inner_;
  Pending call_;  ///< what the store is asked: the helper's while it is out, else the actor's

  Mutex mutex_;  // a leaf
  Place place_ LOCKSTEP_GUARDED_BY(mutex_) = Place::home;
  bool finished_ LOCKSTEP_GUARDED_BY(mutex_) = false;        ///< it is back with an answer
  bool waits_in_store_ LOCKSTEP_GUARDED_BY(mutex_) = false;  ///< it is back without one, and the actor knows
  bool woken_ LOCKSTEP_GUARDED_BY(mutex_) = false;           ///< by the store, since it went out
  std::optional<Fault> cancelled_with_ LOCKSTEP_GUARDED_BY(mutex_);
  Waiter* waiter_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
};

bool OffloadedSession::attempt(Pending& pending, Waiter& waiter) {
  // Nothing that anybody could see, so neither a wait for somebody nor a time-out; it ends by itself.
  const Waiting elsewhere{.deadline_fault = Fault::idle_timeout, .external = true};
  std::optional<Fault> gives_up;
  {
    MutexLock lock(mutex_);
    if (place_ == Place::home) {
      call_ = Pending{};
      call_.request = pending.request;
      cancelled_with_.reset();
    } else if (place_ == Place::out) {
      pending.waiting = elsewhere;
      return false;
    } else if (finished_) {
      place_ = Place::home;
      pending.reply = std::move(call_.reply);
      pending.error = std::move(call_.error);
      return true;
    } else if (!waits_in_store_ && !woken_ && !cancelled_with_) {
      waits_in_store_ = true;
      pending.waiting = call_.waiting;
      return false;
    }
    gives_up = std::exchange(cancelled_with_, std::nullopt);
  }
  if (gives_up) inner_->cancel(call_, *gives_up);
  go_out(waiter);
  pending.waiting = elsewhere;
  return false;
}

void OffloadedSession::go_out(Waiter& waiter) {
  {
    MutexLock lock(mutex_);
    place_ = Place::out;
    finished_ = waits_in_store_ = woken_ = false;
    waiter_ = &waiter;
  }
  runtime::detail::give_to_helper(*this);
}

void OffloadedSession::run() noexcept {
  const bool finished = inner_->attempt(call_, *this);
  MutexLock lock(mutex_);
  place_ = Place::back;
  finished_ = finished;
  waiter_->wake();  // with the lock held: the request may be over as soon as the actor sees that it is back
}

void OffloadedSession::wake() noexcept {
  MutexLock lock(mutex_);
  woken_ = true;
  if (waits_in_store_) waiter_->wake();
}

}  // namespace

std::unique_ptr<Session> make_offloaded_session(std::unique_ptr<Session> inner) {
  return std::make_unique<OffloadedSession>(std::move(inner));
}

}  // namespace lockstep
