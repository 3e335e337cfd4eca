// timer_wheel.h: the timers of one loop: a hierarchical wheel (Varghese and Lauck, "Hashed and hierarchical timing
// wheels", SOSP 1987, scheme 7), so that a hundred thousand of them, most of which are cancelled, cost nothing but
// their own making: set and cancel are a few instructions each and allocate nothing.
//
// Eight levels of 64 slots over ticks of 16,384 ns: a timer fires at its moment or up to one tick later, never earlier.
// Not thread-safe: a wheel belongs to the thread of its loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kv/base/clock.h"

namespace lockstep::runtime {

namespace detail {
/// A member of one of the wheel's rings.
struct TimerLink {
  TimerLink* previous = nullptr;
  TimerLink* next = nullptr;
};
}  // namespace detail

/// Something that happens at a moment. Lives where its owner likes, such as in the frame of a coroutine that sleeps;
/// must be cancelled or have fired before it is destroyed.
class Timer : private detail::TimerLink {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// The moment has come. In the loop's thread; the timer may be set again, or destroyed, from here.
  virtual void fire() noexcept = 0;
  /// Set, and neither fired nor cancelled.
  bool is_set() const noexcept { return next != nullptr; }

 protected:
  ~Timer() = default;

 private:
  friend class TimerWheel;
  std::int64_t tick_ = 0;
};

class TimerWheel {
 public:
  /// Counts from `now`.
  explicit TimerWheel(Nanos now) noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// `timer` is not set. A moment in the past fires at the next advance().
  void set(Timer& timer, Nanos moment) noexcept;
  /// No effect when it is not set.
  void cancel(Timer& timer) noexcept;
  /// Fires what is due at `now`, earliest tick first, within a tick in no particular order.
  void advance(Nanos now) noexcept;
  /// The latest moment at which advance() must be called next; kNever when no timer is set. May be too early.
  Nanos next() const noexcept;
  /// How many are set.
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr int kTickBits = 14;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 8;

  struct Place {
    int level = -1;  ///< -1: there is none
    int slot = 0;
    std::int64_t tick = 0;  ///< when the slot begins
  };

  void insert(Timer& timer) noexcept;
  Place earliest() const noexcept;
  detail::TimerLink& ring(int level, int slot) noexcept {
    return rings_[static_cast<std::size_t>(level * kSlots + slot)];
  }

  std::int64_t now_;
  std::size_t size_ = 0;
  detail::TimerLink due_;                          ///< its tick is not after now_
  std::array<std::uint64_t, kLevels> occupied_{};  ///< a bit for each slot with timers
  std::array<detail::TimerLink, kLevels * kSlots> rings_;
};

}  // namespace lockstep::runtime
