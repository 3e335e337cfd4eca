// wait_picture_test.cc: who waited for whom, drawn.
#include "cli/text/wait_picture.h"

#include <gmock/gmock.h>

#include "cli/text/text.h"
#include "tests/cli/sample_runs.h"

namespace lockstep::cli {
namespace {

std::string picture(const Waits& waits, std::size_t width, bool utf8 = true) {
  const Terminal terminal{.width = width, .utf8 = utf8};
  return "\n" + str(wait_picture(waits, terminal, width), terminal);
}

Waits ring(int count, const std::string& object = "k") {
  Waits waits;
  for (int i = 0; i < count; ++i) {
    waits.cycle.push_back(
        {"T" + std::to_string(i + 1), object + std::to_string(i + 1), "T" + std::to_string((i + 1) % count + 1)});
  }
  return waits;
}

TEST(WaitPicture, DrawsTwoAsInTheContract) {
  const Waits waits{.cycle = {{"T1", "B", "T2"}, {"T2", "A", "T1"}}, .others = {}};
  EXPECT_EQ(picture(waits, 68), R"(
T1 ──── wants B ───▶ T2
 ▲                    │
 └───── wants A ──────┘
)");
}

TEST(WaitPicture, MakesRoomForALongNameOnTheWayBack) {
  const Waits waits{.cycle = {{"T1", "B", "T2"}, {"T2", "account/alexandria", "T1"}}, .others = {}};
  EXPECT_EQ(picture(waits, 68), R"(
T1 ───────── wants B ────────▶ T2
 ▲                              │
 └─ wants account/alexandria ───┘
)");
}

TEST(WaitPicture, DrawsThreeInOneRow) {
  EXPECT_EQ(picture(ring(3), 68), R"(
T1 ── wants k1 ─▶ T2 ── wants k2 ─▶ T3
 ▲                                   │
 └──────────── wants k3 ─────────────┘
)");
}

TEST(WaitPicture, DrawsFiveInTwoRows) {
  EXPECT_EQ(picture(ring(5), 60), R"(
T1 ── wants k1 ─▶ T2 ── wants k2 ─▶ T3
 ▲                                   │
 │ wants k5                 wants k3 │
 │                                   ▼
T5 ◀─────────── wants k4 ────────── T4
)");
}

TEST(WaitPicture, ListsWhatDoesNotFit) {
  EXPECT_EQ(picture(ring(4), 24), R"(
T1 ── wants k1 ──▶ T2
T2 ── wants k2 ──▶ T3
T3 ── wants k3 ──▶ T4
T4 ── wants k4 ──▶ T1
)");
}

TEST(WaitPicture, DrawsOneWhoWaitsForItself) {
  EXPECT_EQ(picture({.cycle = {{"T1", "m", "T1"}}, .others = {}}, 60), "\nT1 ── wants m ──▶ T1\n");
}

TEST(WaitPicture, KeepsLabelsApartAndNamesInLine) {
  Waits waits = ring(4);
  waits.cycle[2].from = waits.cycle[1].to = "a-long-name";
  EXPECT_EQ(picture(waits, 40), R"(
T1 ───── wants k1 ────▶ T2
 ▲                       │
 │ wants k4     wants k2 │
 │                       ▼
T4 ◀───── wants k3 ──── a-long-name
)");
}

TEST(WaitPicture, NeverIsWiderThanItMay) {
  for (int count = 1; count < 30; ++count) {
    for (const char* object : {"k", "a long name of a lock ", "日本", ""}) {
      for (const std::size_t width : {40u, 68u, 120u}) {
        const Terminal terminal{.width = width};
        for (const Line& line : wait_picture(ring(count, object), terminal, width)) {
          EXPECT_LE(line.columns(), width) << count << " " << object << " " << width;
        }
      }
    }
  }
}

TEST(WaitPicture, FindsWhatStoodWhenTheCycleClosed) {
  const Waits waits = waits_of(samples::two_lock());
  ASSERT_EQ(waits.cycle.size(), 2u);
  EXPECT_EQ(waits.cycle[0].from, "T1");
  EXPECT_EQ(waits.cycle[0].object, "B");
  EXPECT_EQ(waits.cycle[0].to, "T2");
  EXPECT_EQ(waits.cycle[1].object, "A");
  EXPECT_TRUE(waits.others.empty());
}

TEST(WaitPicture, ShowsThoseWhoWaitBesideTheCycleAndLaterCycles) {
  samples::Story story({"T1", "T2", "T3"});
  story.asks(2, "lock", "A").waits(2, {0});
  story.asks(0, "lock", "B").waits(0, {1}).asks(1, "lock", "A").waits(1, {0});
  story.cycle({1, 0}, "victim T2").cycle({0, 1}, "again").cycle({0, 2}, "another");
  const Waits waits = waits_of(story.take());
  ASSERT_EQ(waits.cycle.size(), 2u);
  ASSERT_EQ(waits.others.size(), 1u);
  EXPECT_EQ(waits.others[0].from, "T3");
  EXPECT_EQ(waits.more_cycles, 1u);
  EXPECT_THAT(picture(waits, 60), testing::HasSubstr("T3 ── wants A ──▶ T1\nand 1 more cycle later\n"));
}

TEST(WaitPicture, ShowsTheWaitsOfAStuckRunWithoutACycle) {
  samples::Story story({"receiver", "sender"});
  story.asks(0, "wait", "mail").waits(0, {}, "nobody notifies").does(1, "notify_one", "mail").finishes(1);
  story.fails(0, Fault::hung);
  record::Run run = story.take();
  run.verdict = record::Verdict::hung;
  run.ending = record::Ending::stuck;
  EXPECT_EQ(picture(waits_of(run), 60), "\nreceiver ── waits for mail\n");
}

TEST(WaitPicture, FindsTheCycleOfADeadlockThatOnlyTheServerSaw) {
  samples::Story story({"T1", "T2", "T3"});
  story.asks(0, "lock", "B").waits(0, {1}).asks(2, "lock", "A").waits(2, {0}).asks(1, "lock", "A").waits(1, {2, 0});
  story.fails(0, Fault::deadlock, "40P01");
  const Waits waits = waits_of(story.take());
  ASSERT_EQ(waits.cycle.size(), 2u);
  EXPECT_EQ(waits.cycle[0].from, "T1");
  EXPECT_EQ(waits.cycle[1].from, "T2");
}

TEST(WaitPicture, IsEmptyWhereEverybodyWentOn) {
  samples::Story story({"T1", "T2"});
  story.asks(0, "lock", "A").waits(0, {1}).grants(0);
  EXPECT_EQ(picture(waits_of(story.take()), 60), "\n");
}

}  // namespace
}  // namespace lockstep::cli
