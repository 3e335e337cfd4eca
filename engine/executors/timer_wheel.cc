// timer_wheel.cc: where a timer lies, and how it comes down level by level.
#include "engine/executors/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace lockstep::runtime {

using detail::TimerLink;

namespace {

constexpr std::int64_t kLastTick = (std::int64_t{1} << 48) - 1;

void make_empty(TimerLink& ring) noexcept { ring.previous = ring.next = &ring; }

bool is_empty(const TimerLink& ring) noexcept { return ring.next == &ring; }

void append(TimerLink& ring, TimerLink& link) noexcept {
  link.previous = ring.previous;
  link.next = &ring;
  ring.previous->next = &link;
  ring.previous = &link;
}

void take_out(TimerLink& link) noexcept {
  link.previous->next = link.next;
  link.next->previous = link.previous;
  link.previous = link.next = nullptr;
}

/// Everything in `from` goes to `to`, which is empty.
void move_all(TimerLink& from, TimerLink& to) noexcept {
  make_empty(to);
  if (is_empty(from)) return;
  to.next = from.next;
  to.previous = from.previous;
  to.next->previous = to.previous->next = &to;
  make_empty(from);
}

}  // namespace

TimerWheel::TimerWheel(Nanos now) noexcept : now_(now.count() >> kTickBits) {
  make_empty(due_);
  for (TimerLink& each : rings_) make_empty(each);
}

void TimerWheel::set(Timer& timer, Nanos moment) noexcept {
  constexpr std::int64_t kRoundUp = (std::int64_t{1} << kTickBits) - 1;
  timer.tick_ =
      moment.count() > (kLastTick << kTickBits) - kRoundUp ? kLastTick : (moment.count() + kRoundUp) >> kTickBits;
  insert(timer);
  ++size_;
}

void TimerWheel::insert(Timer& timer) noexcept {
  if (timer.tick_ <= now_) {
    append(due_, timer);
    return;
  }
  // The level is that of the highest digit in which its tick differs from now: there its slot is ahead of now's.
  const auto differs = static_cast<std::uint64_t>(timer.tick_ ^ now_);
  const int level = (63 - std::countl_zero(differs)) / kSlotBits;
  const int slot = static_cast<int>(timer.tick_ >> (level * kSlotBits)) & (kSlots - 1);
  append(ring(level, slot), timer);
  occupied_[static_cast<std::size_t>(level)] |= std::uint64_t{1} << static_cast<unsigned>(slot);
}

void TimerWheel::cancel(Timer& timer) noexcept {
  if (!timer.is_set()) return;
  TimerLink* const neighbour = timer.previous;
  const bool was_last = neighbour == timer.next;
  take_out(timer);
  --size_;
  // Alone, its neighbour was the ring itself; that of due_ and of a batch that is just being fired has no bit.
  const bool in_wheel = neighbour >= rings_.data() && neighbour < rings_.data() + rings_.size();
  if (!was_last || !in_wheel) return;
  const auto index = static_cast<std::size_t>(neighbour - rings_.data());
  occupied_[index / kSlots] &= ~(std::uint64_t{1} << (index % kSlots));
}

TimerWheel::Place TimerWheel::earliest() const noexcept {
  for (int level = 0; level < kLevels; ++level) {
    const int position = static_cast<int>(now_ >> (level * kSlotBits)) & (kSlots - 1);
    if (position == kSlots - 1) continue;
    const std::uint64_t ahead =
        occupied_[static_cast<std::size_t>(level)] & (~std::uint64_t{0} << static_cast<unsigned>(position + 1));
    if (ahead == 0) continue;
    const int slot = std::countr_zero(ahead);
    const int above = (level + 1) * kSlotBits;
    const std::int64_t tick = ((now_ >> above) << above) | (std::int64_t{slot} << (level * kSlotBits));
    return {.level = level, .slot = slot, .tick = tick};
  }
  return {};
}

void TimerWheel::advance(Nanos now) noexcept {
  const std::int64_t target = std::max(now_, now.count() >> kTickBits);
  for (;;) {
    // What is set anew while these fire waits for the next call, so that nobody who sets himself again keeps us here.
    TimerLink firing;
    move_all(due_, firing);
    while (!is_empty(firing)) {
      auto& timer = static_cast<Timer&>(*firing.next);
      take_out(timer);
      --size_;
      timer.fire();
    }
    const Place place = earliest();
    if (place.level < 0 || place.tick > target) break;
    now_ = place.tick;
    occupied_[static_cast<std::size_t>(place.level)] &= ~(std::uint64_t{1} << static_cast<unsigned>(place.slot));
    TimerLink coming_down;
    move_all(ring(place.level, place.slot), coming_down);
    while (!is_empty(coming_down)) {
      auto& timer = static_cast<Timer&>(*coming_down.next);
      take_out(timer);
      insert(timer);
    }
  }
  now_ = target;
}

Nanos TimerWheel::next() const noexcept {
  if (!is_empty(due_)) return Nanos(now_ << kTickBits);
  const Place place = earliest();
  return place.level < 0 ? kNever : Nanos(place.tick << kTickBits);
}

}  // namespace lockstep::runtime
