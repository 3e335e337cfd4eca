// parker_test.cc: a thread that waits is woken whether it still spins, parks already or has not begun to wait.
#include <gtest/gtest.h>

#include <thread>

#include "kv/base/clock.h"
#include "kv/sync_facade.h"

namespace lockstep::kv {
namespace {

TEST(Parker, TakesAWakeUpThatCameBeforeIt) {
  Parker parker;
  parker.wake();
  EXPECT_TRUE(parker.park_until(kNever));
}

TEST(Parker, SaysThatTheDeadlinePassed) {
  Parker parker;
  EXPECT_FALSE(parker.park_until(RealClock().now()));
  EXPECT_FALSE(parker.park_until(RealClock().now())) << "also when it does it again";
}

TEST(Parker, ForgetsAWakeUpThatCameTooLate) {
  Parker parker;
  EXPECT_FALSE(parker.park_until(RealClock().now()));
  parker.wake();
  parker.reset();
  EXPECT_FALSE(parker.park_until(RealClock().now()));
}

// A lost wake-up would stop the two for ever; what one wrote before it woke the other is seen by the other.
TEST(Parker, TwoThreadsWakeEachOtherInTurn) {
  constexpr int kTurns = 5000;
  Parker one;
  Parker other;
  int turns = 0;
  std::thread thread([&] {
    for (int i = 0; i < kTurns; ++i) {
      ASSERT_TRUE(other.park_until(kNever));
      ++turns;
      one.wake();
    }
  });
  for (int i = 0; i < kTurns; ++i) {
    ++turns;
    // Now and then long enough for the other one to stop spinning and park.
    for (int pauses = i % 64 == 0 ? 2000 : 0; pauses > 0; --pauses) spin_pause();
    other.wake();
    ASSERT_TRUE(one.park_until(kNever));
  }
  thread.join();
  EXPECT_EQ(turns, 2 * kTurns);
}

}  // namespace
}  // namespace lockstep::kv
