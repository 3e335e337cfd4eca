// timer_wheel.h: the timers of one loop: a hierarchical wheel (Varghese and Lauck, "Hashed and hierarchical timing
// wheels", SOSP 1987, scheme 7). A hundred thousand timers, most of them cancelled, cost nothing but their own making:
// set and cancel are a few instructions each and allocate nothing.
//
// Eight levels of 64 slots over ticks of 16,384 ns: a timer fires at its moment or up to one tick later, never earlier.
// The timers in a slot of a higher level come down to the level below when the slot's time has come. Some come down
// earlier, a few with every tick and whenever the loop is idle. To move a million timers at once would take tens of
// milliseconds. A level therefore has two banks of slots, one for the lap it is in and one for the next. The banks
// change places between laps.
//
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
  /// Does a few microseconds of what must be done before next() at the latest. False when there is no more of it.
  bool prepare() noexcept;
  /// How many are set.
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr int kTickBits = 14;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 8;

  static constexpr int kBanks = 2;
  static constexpr int kTogether = 32;  ///< so many come down from each level at a time

  void insert(Timer& timer) noexcept;
  void put(Timer& timer, int bank, int level) noexcept;
  void go_to(std::int64_t tick) noexcept;
  void bring_down() noexcept;
  std::int64_t earliest() const noexcept;

  /// The slot of `tick` at a level: one of its digits.
  static int digit(std::int64_t tick, int level) noexcept {
    return static_cast<int>(tick >> (level * kSlotBits)) & (kSlots - 1);
  }
  static std::size_t bank_of(int bank, int level) noexcept { return static_cast<std::size_t>(bank * kLevels + level); }
  int this_lap(int level) const noexcept { return laps_[static_cast<std::size_t>(level)]; }
  int next_lap(int level) const noexcept { return 1 - this_lap(level); }
  bool is_occupied(int bank, int level, int slot) const noexcept {
    return (occupied_[bank_of(bank, level)] >> static_cast<unsigned>(slot) & 1) != 0;
  }
  void take_ring(int bank, int level, int slot, detail::TimerLink& into) noexcept;
  detail::TimerLink& ring(int bank, int level, int slot) noexcept {
    return rings_[bank_of(bank, level) * kSlots + static_cast<std::size_t>(slot)];
  }

  std::int64_t now_;
  std::size_t size_ = 0;
  detail::TimerLink due_;                                   ///< its tick is not after now_
  std::array<int, kLevels> laps_{};                         ///< the bank of the lap that a level is in
  std::array<std::uint64_t, kBanks * kLevels> occupied_{};  ///< a bit for each slot with timers
  std::array<detail::TimerLink, kBanks * kLevels * kSlots> rings_;
};

}  // namespace lockstep::runtime
