// clock.cc: clocks and sleeps. Time passes with steps, and jumps to where a sleep or a time-out ends.
#include "engine/foreign/preload/clock.h"

#include <errno.h>
#include <sched.h>
#include <sys/time.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLook = 1'000;  ///< as long takes a look at the clock: a loop that waits for a time ends

std::int64_t nanoseconds(const timespec* time) noexcept { return time->tv_sec * kSecond + time->tv_nsec; }

timespec as_timespec(std::int64_t nanoseconds) noexcept {
  return {.tv_sec = nanoseconds / kSecond, .tv_nsec = nanoseconds % kSecond};
}

std::int64_t look(clockid_t clock) noexcept {
  board->model.pass(kLook);
  return base_of(clock) + board->model.now();
}

constexpr std::uint32_t kYieldsInRow = 16;

/// What waits by itself looks a few times before it waits in a futex, and yields in between. As on a machine with
/// nobody else to run, such a yield comes back at once: else each wait would be many steps.
bool is_look_before_wait() noexcept {
  static std::uint32_t behind[kThreadsMost], yields[kThreadsMost];
  if (!board->waits_by_itself) return false;
  if (behind[self] != own_operations()) {
    behind[self] = own_operations();
    yields[self] = 0;
  }
  return ++yields[self] <= kYieldsInRow;
}

void rest(std::int64_t nanoseconds, std::uint64_t caller) noexcept {
  (void)stand_before({.verb = Act::sleep, .deadline = nanoseconds > 0 ? nanoseconds : 0, .caller = caller});
}

}  // namespace

std::int64_t base_of(clockid_t clock) noexcept {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
      return kRealBase;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return 0;
    default:
      return kMonotonicBase;
  }
}

std::int64_t virtual_time(clockid_t clock, const timespec* time) noexcept {
  return time == nullptr ? 0 : nanoseconds(time) - base_of(clock);
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static auto* const next = next_function<int(clockid_t, timespec*)>("clock_gettime");
  if (!is_controlled()) return next(clock, time);
  *time = as_timespec(look(clock));
  return 0;
}

LOCKSTEP_EXPORTED int gettimeofday(timeval* time, void* zone) noexcept {
  static auto* const next = next_function<int(timeval*, void*)>("gettimeofday");
  if (!is_controlled()) return next(time, zone);
  const timespec now = as_timespec(look(CLOCK_REALTIME));
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

LOCKSTEP_EXPORTED time_t time(time_t* to) noexcept {
  static auto* const next = next_function<time_t(time_t*)>("time");
  if (!is_controlled()) return next(to);
  const time_t now = as_timespec(look(CLOCK_REALTIME)).tv_sec;
  if (to != nullptr) *to = now;
  return now;
}

LOCKSTEP_EXPORTED int timespec_get(timespec* time, int base) noexcept {
  static auto* const next = next_function<int(timespec*, int)>("timespec_get");
  if (!is_controlled() || base != TIME_UTC) return next(time, base);
  *time = as_timespec(look(CLOCK_REALTIME));
  return base;
}

LOCKSTEP_EXPORTED unsigned int sleep(unsigned int seconds) {
  static auto* const next = next_function<unsigned int(unsigned int)>("sleep");
  if (!is_controlled()) return next(seconds);
  rest(seconds * kSecond, LOCKSTEP_CALLER);
  return 0;
}

LOCKSTEP_EXPORTED int usleep(useconds_t microseconds) {
  static auto* const next = next_function<int(useconds_t)>("usleep");
  if (!is_controlled()) return next(microseconds);
  rest(std::int64_t{microseconds} * 1000, LOCKSTEP_CALLER);
  return 0;
}

LOCKSTEP_EXPORTED int nanosleep(const timespec* span, timespec* left) {
  static auto* const next = next_function<int(const timespec*, timespec*)>("nanosleep");
  if (!is_controlled()) return next(span, left);
  rest(nanoseconds(span), LOCKSTEP_CALLER);
  return 0;
}

LOCKSTEP_EXPORTED int clock_nanosleep(clockid_t clock, int flags, const timespec* span, timespec* left) {
  static auto* const next = next_function<int(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep");
  if (!is_controlled()) return next(clock, flags, span, left);
  const bool is_time = (flags & TIMER_ABSTIME) != 0;
  rest(is_time ? virtual_time(clock, span) - board->model.now() : nanoseconds(span), LOCKSTEP_CALLER);
  return 0;
}

LOCKSTEP_EXPORTED int sched_yield() noexcept {
  static auto* const next = next_function<int()>("sched_yield");
  if (!is_controlled()) return next();
  if (is_look_before_wait()) return 0;
  (void)stand_before({.verb = Act::yield, .caller = LOCKSTEP_CALLER});
  return 0;
}
