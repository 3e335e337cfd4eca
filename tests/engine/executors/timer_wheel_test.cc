// timer_wheel_test.cc: timers fire in their order, never early, and cancelled ones not at all.
#include "engine/executors/timer_wheel.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace lockstep::runtime {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Nanos kTick{1 << 14};

struct Noted final : Timer {
  Noted(std::vector<Noted*>& l, Nanos m) : list(l), moment(m) {}
  void fire() noexcept override { list.push_back(this); }
  std::vector<Noted*>& list;
  const Nanos moment;
};

TEST(TimerWheel, FiresNothingEarlyAndEverythingWithinATick) {
  std::vector<Noted*> fired;
  TimerWheel wheel(milliseconds(1));
  Noted timer(fired, milliseconds(5));
  wheel.set(timer, timer.moment);
  wheel.advance(milliseconds(5) - Nanos(1));
  EXPECT_TRUE(fired.empty());
  EXPECT_LE(wheel.next(), milliseconds(5) + kTick);
  wheel.advance(milliseconds(5) + kTick);
  EXPECT_EQ(fired.size(), 1U);
  EXPECT_FALSE(timer.is_set());
  EXPECT_EQ(wheel.next(), kNever);
}

TEST(TimerWheel, FiresAtOnceWhatIsPastAndNeverWhatNeverComes) {
  std::vector<Noted*> fired;
  TimerWheel wheel(hours(10));
  Noted past(fired, hours(9)), never(fired, kNever);
  wheel.set(past, past.moment);
  wheel.set(never, never.moment);
  wheel.advance(hours(10));
  EXPECT_EQ(fired, std::vector<Noted*>{&past});
  wheel.advance(hours(24 * 365 * 50));
  EXPECT_TRUE(never.is_set());
  wheel.cancel(never);
}

TEST(TimerWheel, FiresTenThousandInTheirOrderAndNoneThatWasCancelled) {
  constexpr unsigned kSeed = 7;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::vector<Noted*> fired;
  std::vector<std::unique_ptr<Noted>> timers;
  TimerWheel wheel(Nanos(0));
  for (int i = 0; i < 10'000; ++i) {
    // From nanoseconds to weeks: every level of the wheel.
    const Nanos moment(static_cast<std::int64_t>(random() >> (14 + random() % 40)));
    timers.push_back(std::make_unique<Noted>(fired, moment));
    wheel.set(*timers.back(), moment);
  }
  std::size_t cancelled = 0;
  for (std::size_t i = 0; i < timers.size(); i += 3, ++cancelled) wheel.cancel(*timers[i]);
  EXPECT_EQ(wheel.size(), timers.size() - cancelled);
  Nanos now{0};
  while (wheel.next() != kNever) {
    const std::size_t before = fired.size();
    now = std::max(now + Nanos(1), wheel.next());
    wheel.advance(now);
    for (std::size_t i = before; i < fired.size(); ++i) {
      ASSERT_LE(fired[i]->moment, now) << "too early";
      ASSERT_GE(fired[i]->moment + kTick, now) << "too late";
    }
  }
  EXPECT_EQ(fired.size(), timers.size() - cancelled);
  EXPECT_EQ(wheel.size(), 0U);
}

struct Chained final : Timer {
  void fire() noexcept override {
    ++count;
    wheel->cancel(*other);
    wheel->set(*this, Nanos(0));  // again, at once
  }
  TimerWheel* wheel = nullptr;
  Chained* other = nullptr;
  int count = 0;
};

TEST(TimerWheel, LetsATimerCancelAnotherOfItsTickAndSetItselfAgain) {
  TimerWheel wheel(Nanos(0));
  Chained a, b;
  a.wheel = b.wheel = &wheel;
  a.other = &b;
  b.other = &a;
  wheel.set(a, kTick * 3);
  wheel.set(b, kTick * 3);
  wheel.advance(kTick * 3);
  EXPECT_EQ(a.count + b.count, 1);
  EXPECT_TRUE(a.is_set()) << "waits for the next call";
  EXPECT_FALSE(b.is_set());
  wheel.cancel(a);
}

}  // namespace
}  // namespace lockstep::runtime
