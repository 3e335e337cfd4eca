// kv_call.h: calls of the in-house store as waits of a strand, so that tasks on loops use kv without an engine around
// it.
//
//   const Result<bool> found = co_await kv_call(txn, [&](Waiter& w) { return txn.read("alice", balance, w); });
//
// Gives the call's answer once it is no longer pending. A call is pending while it waits for a lock, or while a commit
// waits for its group. A call that is answered at once neither suspends nor allocates. A cancel of the strand ends the
// wait as kv's own time-out does: the call answers with the fault. The transaction has then been given up, and has
// given back its locks.
//
// Which thread resumes: the one of the strand's loop.
#pragma once

#include <atomic>
#include <utility>

#include "engine/runtime/strand.h"
#include "kv/store.h"

namespace lockstep::runtime {

/// `Call`: gives a kv::Attempt; called again after every wake-up.
template <class Call>
class [[nodiscard]] KvCall final : public Wait, private Waiter, private Timer {
 public:
  KvCall(kv::Transaction& txn, Call call) noexcept : txn_(txn), call_(std::move(call)) {}

  auto await_resume() noexcept { return std::move(*attempt_); }
  void cancel(Fault why) noexcept override {
    txn_.cancel_wait(why);
    wake();
  }
  const char* doing() const noexcept override { return "waiting for kv"; }

 private:
  bool queue() noexcept override {
    woken_.store(false, std::memory_order_relaxed);  // kv does not know of this waiter before the call
    attempt_ = call_(static_cast<Waiter&>(*this));
    if (attempt_) return false;
    if (const Nanos deadline = txn_.wait_deadline(); deadline != kNever) loop().timers().set(*this, deadline);
    return true;
  }
  bool waits_again() noexcept override {
    loop().timers().cancel(*this);
    return queue();
  }
  void fire() noexcept override { cancel(Fault::lock_timeout); }
  void wake() noexcept override {
    if (!woken_.exchange(true, std::memory_order_acq_rel)) complete();  // kv, the deadline or a cancel: the first
  }

  kv::Transaction& txn_;
  Call call_;
  decltype(std::declval<Call&>()(std::declval<Waiter&>())) attempt_;
  std::atomic<bool> woken_{false};
};

template <class Call>
KvCall<Call> kv_call(kv::Transaction& txn, Call call) noexcept {
  return {txn, std::move(call)};
}

}  // namespace lockstep::runtime
