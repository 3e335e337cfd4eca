// timer_wheel.cc: where a timer lies, and how it comes down level by level.
#include "engine/runtime/timer_wheel.h"

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

void TimerWheel::put(Timer& timer, int bank, int level) noexcept {
  const int slot = digit(timer.tick_, level);
  append(ring(bank, level, slot), timer);
  occupied_[bank_of(bank, level)] |= std::uint64_t{1} << static_cast<unsigned>(slot);
}

void TimerWheel::insert(Timer& timer) noexcept {
  if (timer.tick_ <= now_) {
    append(due_, timer);
    return;
  }
  // The level is that of the highest digit in which its tick differs from now: there its slot is ahead of now's.
  const auto differs = static_cast<std::uint64_t>(timer.tick_ ^ now_);
  const int level = (63 - std::countl_zero(differs)) / kSlotBits;
  put(timer, this_lap(level), level);
}

void TimerWheel::take_ring(int bank, int level, int slot, TimerLink& into) noexcept {
  occupied_[bank_of(bank, level)] &= ~(std::uint64_t{1} << static_cast<unsigned>(slot));
  move_all(ring(bank, level, slot), into);
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

/// When the earliest slot with timers begins; -1: there is none.
std::int64_t TimerWheel::earliest() const noexcept {
  std::int64_t best = -1;
  const auto first_of = [](std::uint64_t slots, std::int64_t lap, int level) {
    return (lap << ((level + 1) * kSlotBits)) | (std::int64_t{std::countr_zero(slots)} << (level * kSlotBits));
  };
  for (int level = 0; level < kLevels; ++level) {
    const std::int64_t lap = now_ >> ((level + 1) * kSlotBits);
    const int position = digit(now_, level);
    const std::uint64_t ahead = position == kSlots - 1 ? 0
                                                       : occupied_[bank_of(this_lap(level), level)] &
                                                             (~std::uint64_t{0} << static_cast<unsigned>(position + 1));
    if (ahead != 0) {
      // Nothing of a level above is earlier; what has come down for the next lap of one below may be.
      const std::int64_t tick = first_of(ahead, lap, level);
      return best >= 0 ? std::min(best, tick) : tick;
    }
    if (const std::uint64_t next = occupied_[bank_of(next_lap(level), level)]; next != 0) {
      const std::int64_t tick = first_of(next, lap + 1, level);
      best = best >= 0 ? std::min(best, tick) : tick;
    }
  }
  return best;
}

/// Nothing is set for before `tick`.
void TimerWheel::go_to(std::int64_t tick) noexcept {
  for (int level = 0; level < kLevels; ++level) {
    const int above = (level + 1) * kSlotBits;
    const std::int64_t laps = (tick >> above) - (now_ >> above);
    if (laps == 0) break;
    // This lap's slots are empty; when more than one lap has gone by, so are those of the next.
    if (laps == 1) laps_[static_cast<std::size_t>(level)] = next_lap(level);
  }
  now_ = tick;
}

/// Moves the timers down from the slots that time has reached.
void TimerWheel::bring_down() noexcept {
  for (int level = kLevels - 1; level >= 0; --level) {
    const int slot = digit(now_, level);
    if (!is_occupied(this_lap(level), level, slot)) continue;
    TimerLink coming_down;
    take_ring(this_lap(level), level, slot, coming_down);
    while (!is_empty(coming_down)) {
      auto& timer = static_cast<Timer&>(*coming_down.next);
      take_out(timer);
      insert(timer);
    }
  }
}

bool TimerWheel::prepare() noexcept {
  bool is_more = false;
  for (int level = 1; level < kLevels; ++level) {
    const int position = digit(now_, level);
    const bool in_next_lap = position == kSlots - 1;
    const int bank = in_next_lap ? next_lap(level) : this_lap(level);
    const int slot = in_next_lap ? 0 : position + 1;
    if (!is_occupied(bank, level, slot)) continue;
    TimerLink& from = ring(bank, level, slot);
    for (int i = 0; i < kTogether && !is_empty(from); ++i) {
      auto& timer = static_cast<Timer&>(*from.next);
      take_out(timer);
      put(timer, next_lap(level - 1), level - 1);
    }
    if (is_empty(from)) occupied_[bank_of(bank, level)] &= ~(std::uint64_t{1} << static_cast<unsigned>(slot));
    is_more = true;
  }
  return is_more;
}

void TimerWheel::advance(Nanos now) noexcept {
  const std::int64_t before = now_;
  const std::int64_t target = std::max(now_, now.count() >> kTickBits);
  for (;;) {
    // A timer that is set while these fire waits for the next call. So a timer that sets itself anew cannot keep us
    // here.
    TimerLink firing;
    move_all(due_, firing);
    while (!is_empty(firing)) {
      auto& timer = static_cast<Timer&>(*firing.next);
      take_out(timer);
      --size_;
      __builtin_prefetch(firing.next);
      timer.fire();
    }
    const std::int64_t tick = earliest();
    if (tick < 0 || tick > target) break;
    go_to(tick);
    bring_down();
  }
  go_to(target);
  if (now_ != before) (void)prepare();
}

Nanos TimerWheel::next() const noexcept {
  if (!is_empty(due_)) return Nanos(now_ << kTickBits);
  const std::int64_t tick = earliest();
  return tick < 0 ? kNever : Nanos(tick << kTickBits);
}

}  // namespace lockstep::runtime
