// scripted_test.cc: an order of steps, its end, and its errors.
#include <gtest/gtest.h>

#include "engine/base/suggest.h"
#include "engine/schedule/schedule.h"

namespace lockstep {
namespace {

const std::vector<std::string> kActors{"T1", "T2", "T3"};

std::vector<Candidate> candidates(std::vector<bool> enabled) {
  std::vector<Candidate> list;
  for (std::size_t i = 0; i < enabled.size(); ++i) {
    list.push_back({.actor = static_cast<int>(i), .name = kActors[i], .enabled = enabled[i], .finished = false});
  }
  return list;
}

TEST(ScriptedSchedule, FollowsTheOrderAndThenTakesTurns) {
  auto schedule = *scripted("T2 T2 T1 …", kActors, true);
  std::vector<int> taken;
  for (int i = 0; i < 6; ++i) taken.push_back(schedule->next(candidates({true, true, true}))->actor);
  EXPECT_EQ(taken, (std::vector<int>{1, 1, 0, 1, 2, 0}));
}

TEST(ScriptedSchedule, PassesOverWhoeverCannotGoUnlessStrict) {
  auto lenient = *scripted("T1 T2", kActors, false);
  EXPECT_EQ(lenient->next(candidates({false, true, true}))->actor, 1);
  auto strict = *scripted("T1 T2", kActors, true);
  const Result<Choice> refused = strict->next(candidates({false, true, true}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault(), Fault::invalid);
  EXPECT_EQ(refused.error().message, "schedule, position 1: T1 waits and cannot go; allowed here: T2, T3");
}

TEST(ScriptedSchedule, NamesThePositionOfAnUnknownActor) {
  const auto schedule = scripted("T1 T9", kActors, true);
  ASSERT_FALSE(schedule.ok());
  EXPECT_EQ(schedule.fault(), Fault::invalid);
  EXPECT_NE(schedule.error().message.find("position 2"), std::string::npos) << schedule.error().message;
}

TEST(ScriptedSchedule, ReadsCommasAndAnyWhiteSpace) {
  auto schedule = *scripted(" T3,\tT1\n", kActors, true);
  EXPECT_EQ(schedule->next(candidates({true, true, true}))->actor, 2);
  EXPECT_EQ(schedule->next(candidates({true, true, true}))->actor, 0);
}

TEST(ScriptedSchedule, LetsADeadlinePassWhereSomebodyWaitsWithOne) {
  auto schedule = *scripted("T1:timeout T2:timeout", kActors, true);
  std::vector<Candidate> list = candidates({false, true, true});
  list[0].may_time_out = true;
  const Result<Choice> next = schedule->next(list);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(*next, (Choice{0, true}));
  EXPECT_EQ(name_of(*next, "T1"), "T1:timeout");
  const Result<Choice> refused = schedule->next(list);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "schedule, position 2: T2 does not wait with a deadline; allowed here: T1:timeout, T2, T3");
}

TEST(Suggest, FindsTheNearestNameOrTheLastPartOfAPath) {
  const std::vector<std::string> names{"deadlock/two-lock", "deadlock/upgrade", "money/transfer"};
  EXPECT_EQ(nearest("deadlock/tow-lock", names), "deadlock/two-lock");
  EXPECT_EQ(nearest("transfer", names), "money/transfer");
  EXPECT_EQ(nearest("nothing-like-it", names), "");
  EXPECT_EQ(unknown_name("store", "postgre", {"kv", "postgres"}), "no store \"postgre\"; did you mean \"postgres\"?");
  EXPECT_EQ(unknown_name("store", "oracle", {"kv", "sqlite"}), "no store \"oracle\"; there are: kv, sqlite");
}

}  // namespace
}  // namespace lockstep
