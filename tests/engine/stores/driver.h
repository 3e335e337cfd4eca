// driver.h: drives sessions by hand, without the engine: start a request, see it wait, do something else, let it
// finish.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/backend.h"

namespace lockstep {

/// Counts its wake-ups; a thread can sleep until the next one.
class CountingWaiter final : public Waiter {
 public:
  void wake() noexcept override {
    const std::lock_guard lock(mutex_);
    ++wakes_;
    condition_.notify_all();
  }
  int wakes() const {
    const std::lock_guard lock(mutex_);
    return wakes_;
  }
  /// True when it was woken more than `seen` times before `limit` passed.
  bool wait_beyond(int seen, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return condition_.wait_for(lock, limit, [&] { return wakes_ > seen; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable condition_;
  int wakes_ = 0;
};

/// One request under way. Stays where it is.
class Call {
 public:
  Call(Session& session, Request request) : session_(session) { pending.request = request; }
  /// Gives up what is not finished: nobody may wake it any more.
  ~Call() {
    if (started_ && !done_) session_.cancel(pending, Fault::cancelled);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// One attempt; true when the request is answered.
  bool attempt() {
    started_ = true;
    seen_ = waiter.wakes();
    done_ = session_.attempt(pending, waiter);
    return done_;
  }

  /// Attempts until the request is answered, or `patience` of real time has passed: then false. With a virtual clock
  /// the time jumps to the deadline when nobody wakes the request; `clock` nullptr: the deadline is of the real clock.
  bool finish(VirtualClock* clock = nullptr, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    bool fresh = !started_;
    while (!done_) {
      if ((fresh || ready(clock)) && attempt()) break;
      fresh = false;
      if (std::chrono::steady_clock::now() > end) return false;
    }
    return true;
  }

  /// Starts it and lets it come as far as it can without anybody else: true when it waits for another session.
  bool blocks(std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    if (attempt()) return false;
    while (session_.blockers(pending).empty()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (ready(nullptr, false) && attempt()) return false;
    }
    return true;
  }

  /// Gives it up; one more attempt answers it.
  bool cancel(Fault why) {
    session_.cancel(pending, why);
    return pending.waiting.fd >= 0 ? finish() : attempt();
  }

  bool done() const { return done_; }
  bool ok() const { return done_ && !pending.error; }
  Fault fault() const { return pending.error ? pending.error->fault : Fault::internal; }
  std::string text() const { return pending.error ? pending.error->message : std::string(); }
  const std::vector<Blocker> blockers() { return session_.blockers(pending); }

  Pending pending;
  CountingWaiter waiter;

 private:
  /// Waits a little for a reason to make another attempt. False: there was none yet.
  bool ready(VirtualClock* clock, bool may_expire = true) {
    const Waiting& waiting = pending.waiting;
    if (waiting.fd >= 0) {
      pollfd descriptor{waiting.fd, waiting.events, 0};
      if (::poll(&descriptor, 1, 10) > 0) return true;
    } else if (waiter.wait_beyond(seen_, std::chrono::milliseconds(clock == nullptr ? 10 : 0))) {
      return true;
    }
    if (waiting.retry_at != kNever) return true;
    if (!may_expire || waiting.deadline == kNever) return false;
    if (clock != nullptr) clock->advance_to(waiting.deadline);
    if (clock == nullptr && RealClock().now() < waiting.deadline) return false;
    session_.cancel(pending, waiting.deadline_fault);
    return true;
  }

  Session& session_;
  int seen_ = 0;
  bool started_ = false;
  bool done_ = false;
};

}  // namespace lockstep
