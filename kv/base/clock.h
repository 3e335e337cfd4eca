// clock.h: time as a value that can be virtual. No layer asks the operating system for the time by itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace lockstep {

/// A moment or a span in nanoseconds. Moments count from an arbitrary start; only differences mean something.
using Nanos = std::chrono::nanoseconds;

/// The moment that never comes.
inline constexpr Nanos kNever = Nanos::max();

/// Monotonic time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos now() const noexcept = 0;

  /// `now() + span`, or kNever when `span` is kNever.
  Nanos after(Nanos span) const noexcept { return span == kNever ? kNever : now() + span; }
};

/// CLOCK_MONOTONIC.
class RealClock final : public Clock {
 public:
  Nanos now() const noexcept override {
    return std::chrono::duration_cast<Nanos>(std::chrono::steady_clock::now().time_since_epoch());
  }
};

/// Time that moves only when told, so that a schedule has the same time-outs on every machine.
class VirtualClock final : public Clock {
 public:
  // Relaxed: the thread that advances the clock hands the turn over through a lock, which orders the value.
  Nanos now() const noexcept override { return Nanos(now_.load(std::memory_order_relaxed)); }
  void advance(Nanos span) noexcept { now_.fetch_add(span.count(), std::memory_order_relaxed); }
  /// Moves to `moment`; never backwards.
  void advance_to(Nanos moment) noexcept {
    if (moment > now()) now_.store(moment.count(), std::memory_order_relaxed);
  }

 private:
  std::atomic<std::int64_t> now_{0};
};

}  // namespace lockstep
