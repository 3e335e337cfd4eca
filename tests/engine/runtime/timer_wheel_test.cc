// timer_wheel_test.cc: timers fire in their order, never early, and cancelled ones not at all.
#include "engine/runtime/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
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

// So many in a slot that only a part of it has come down when its time comes; set, cancelled and fired on the way.
TEST(TimerWheel, FiresWhatIsDueHoweverTheTimePasses) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 8; ++round) {
    std::vector<Noted*> fired;
    std::vector<std::unique_ptr<Noted>> timers;
    std::multimap<std::int64_t, Noted*> expected;  // by tick
    Nanos now(static_cast<std::int64_t>(random() >> (14 + random() % 40)));
    TimerWheel wheel(now);
    const auto set = [&] {
      // Most within a few laps of the third level, some far away.
      const Nanos moment =
          now + Nanos(static_cast<std::int64_t>(random() % (random() % 8 == 0 ? 1ULL << 40 : 1ULL << 28)));
      timers.push_back(std::make_unique<Noted>(fired, moment));
      wheel.set(*timers.back(), moment);
      expected.emplace((moment + kTick - Nanos(1)) / kTick, timers.back().get());
    };
    for (int i = 0; i < 5'000; ++i) set();
    for (int step = 0; !expected.empty(); ++step) {
      for (int i = 0; i < 3 && step < 5'000; ++i) set();
      if (const auto some = expected.lower_bound(now / kTick + static_cast<std::int64_t>(random() % 20'000));
          step % 2 == 0 && some != expected.end()) {
        wheel.cancel(*some->second);
        expected.erase(some);
      }
      // A tick, some of them, until the next one, or a long time.
      const std::uint64_t kind = random() % 64;
      now += kind < 48 ? kTick : kind < 60 ? kTick * static_cast<std::int64_t>(random() % 200) : Nanos(0);
      if (kind == 60 && step >= 5'000) now += kTick * static_cast<std::int64_t>(random() % 1'000'000);
      if (kind > 60) now = std::max(now, wheel.next() == kNever ? now : wheel.next());
      if (step % 3 == 0) (void)wheel.prepare();
      fired.clear();
      wheel.advance(now);
      const auto due = expected.upper_bound(now / kTick);
      ASSERT_EQ(fired.size(), static_cast<std::size_t>(std::distance(expected.begin(), due)));
      for (const Noted* each : fired) ASSERT_LE(each->moment, now) << "too early";
      expected.erase(expected.begin(), due);
      ASSERT_EQ(wheel.size(), expected.size());
      if (!expected.empty()) {
        ASSERT_LE(wheel.next(), kTick * expected.begin()->first);
      }
    }
    EXPECT_EQ(wheel.next(), kNever);
  }
}

TEST(TimerWheel, IsPreparedWhenItHasNothingMoreToDoBeforehand) {
  std::vector<Noted*> fired;
  std::vector<std::unique_ptr<Noted>> timers;
  TimerWheel wheel(Nanos(0));
  for (int i = 0; i < 1'000; ++i) {
    // In the second slot of the fourth level, and of the third, and nearer.
    for (const std::int64_t ticks : {64 * 64 * 64 + 5 + i, 64 * 64 + i, i}) {
      timers.push_back(std::make_unique<Noted>(fired, kTick * ticks));
      wheel.set(*timers.back(), timers.back()->moment);
    }
  }
  int times = 0;
  while (wheel.prepare()) ASSERT_LT(++times, 3'000);
  EXPECT_GT(times, 1'000 / 64) << "a few at a time";
  EXPECT_TRUE(fired.empty());
  wheel.advance(kTick * (64 * 64 * 64 + 2'000));
  EXPECT_EQ(fired.size(), timers.size());
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
