// sync_facade.h: the store with plain calls that block: an operation that must wait spins for a moment and then parks
// its thread.
//
//   auto store = kv::Store::open({.protocol = "2pl-detect"});
//   kv::SyncTransaction txn(store.value()->begin({.label = "T1"}));
//   std::string balance;
//   Result<bool> found = txn.read_for_update("account/1", balance);   // may park, until the lock is granted
//   if (found.ok() && *found) {
//     Result<void> written = txn.write("account/1", "90");
//     Result<void> committed = txn.commit();                          // a fault says why not; retry if is_retry_safe()
//   }                                                                 // dropping it without commit aborts it
//
// For stores with a real clock (Options.clock is nullptr or a RealClock).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/base/spin.h"
#include "kv/store.h"

namespace lockstep::kv {

/// Whether a wait may end within microseconds, as that for a lock does, or surely lasts longer, as that for a disk.
enum class Expect : std::uint8_t { soon, later };

/// A waiter that is a thread: it spins for a moment and then parks. A thread waits for one thing at a time, so one
/// serves all its waits.
///
/// idle --wake()--> woken, without the mutex: the waiting thread may be gone at once. idle --the waiter--> parked
/// --wake()--> woken: with the mutex held. woken --the waiter--> idle.
class Parker final : public Waiter {
 public:
  static Parker& of_this_thread() {
    thread_local Parker parker;
    return parker;
  }

  void wake() noexcept override {
    State expected = State::idle;
    // Release: what the waker has given, for the thread that takes the wake-up.
    if (state_.compare_exchange_strong(expected, State::woken, std::memory_order_acq_rel)) return;
    MutexLock lock(mutex_);
    state_.store(State::woken, std::memory_order_release);
    condition_.notify_one();  // with the mutex held: the parker may be gone as soon as it is free
  }

  /// False when `deadline` (a moment of a RealClock) passed first.
  bool park_until(Nanos deadline, Expect expect = Expect::soon) {
    if (expect == Expect::soon && woken_while_spinning()) return true;
    MutexLock lock(mutex_);
    State expected = State::idle;
    state_.compare_exchange_strong(expected, State::parked, std::memory_order_acq_rel);
    while (state_.load(std::memory_order_acquire) == State::parked) {
      if (deadline == kNever) {
        condition_.wait(mutex_);
      } else if (!condition_.wait_until(mutex_, std::chrono::steady_clock::time_point(deadline))) {
        break;
      }
    }
    return state_.exchange(State::idle, std::memory_order_acq_rel) == State::woken;
  }
  /// Nobody will wake it any more: forgets a wake-up that came after the deadline.
  void reset() {
    MutexLock lock(mutex_);  // a waker that found it parked has left then
    state_.store(State::idle, std::memory_order_relaxed);
  }

 private:
  enum class State : std::uint8_t { idle, parked, woken };

  bool woken_while_spinning() noexcept {
    const bool woken = spin_until([this] { return state_.load(std::memory_order_acquire) == State::woken; });
    if (woken) state_.store(State::idle, std::memory_order_relaxed);
    return woken;
  }

  std::atomic<State> state_{State::idle};
  Mutex mutex_;
  CondVar condition_;
};

/// A Transaction whose operations block. The same rules: one thread at a time; the answers are those of Transaction.
class SyncTransaction {
 public:
  explicit SyncTransaction(Transaction transaction) noexcept : transaction_(std::move(transaction)) {}

  Result<bool> read(KeyView key, std::string& value) {
    return wait([&](Waiter& w) { return transaction_.read(key, value, w); });
  }
  Result<bool> read_for_update(KeyView key, std::string& value) {
    return wait([&](Waiter& w) { return transaction_.read_for_update(key, value, w); });
  }
  Result<void> write(KeyView key, std::string_view value) {
    return wait([&](Waiter& w) { return transaction_.write(key, value, w); });
  }
  Result<void> insert(KeyView key, std::string_view value) {
    return wait([&](Waiter& w) { return transaction_.insert(key, value, w); });
  }
  Result<bool> write_if(KeyView key, std::string_view expected, std::string_view value) {
    return wait([&](Waiter& w) { return transaction_.write_if(key, expected, value, w); });
  }
  Result<bool> erase(KeyView key) {
    return wait([&](Waiter& w) { return transaction_.erase(key, w); });
  }
  Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) {
    return wait([&](Waiter& w) { return transaction_.scan(from, to, limit, rows, w); });
  }
  Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) {
    return wait([&](Waiter& w) { return transaction_.scan_for_update(from, to, limit, rows, w); });
  }

  Result<void> savepoint(std::string_view name) { return transaction_.savepoint(name); }
  Result<void> rollback_to(std::string_view name) { return transaction_.rollback_to(name); }
  Result<void> release(std::string_view name) { return transaction_.release(name); }

  void prefetch(std::span<const KeyView> keys) const { transaction_.prefetch(keys); }

  Result<void> commit() {
    return wait([&](Waiter& w) { return transaction_.commit(w); }, Expect::later);
  }
  void abort() noexcept { transaction_.abort(); }

  bool active() const noexcept { return transaction_.active(); }
  TxnId id() const noexcept { return transaction_.id(); }

 private:
  template <class Call>
  auto wait(Call call, Expect expect = Expect::soon) -> std::remove_cvref_t<decltype(*call(std::declval<Waiter&>()))> {
    Parker& parker = Parker::of_this_thread();
    while (true) {
      if (auto answer = call(parker)) return *std::move(answer);
      if (parker.park_until(transaction_.wait_deadline(), expect)) continue;
      transaction_.cancel_wait(Fault::lock_timeout);
      // Now the parker is in no queue; the wake-up may have come at the same moment.
      parker.reset();
    }
  }

  Transaction transaction_;
};

}  // namespace lockstep::kv
