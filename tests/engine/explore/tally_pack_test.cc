// tally_pack_test.cc: what ranks find adds up to the same as what one process finds.
#include "engine/explore/tally_pack.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::ElementsAre;

Tally tally_of(std::uint64_t runs, std::vector<Choice> schedule) {
  Tally tally;
  tally.runs = runs;
  tally.pruned = 3;
  tally.left_out = 1;
  tally.interleavings = static_cast<double>(runs);
  tally.outcomes[{0, "T1 → T2 → T1"}] = {.verdict = record::Verdict::deadlock,
                                         .runs = runs - 1,
                                         .interleavings = -1,
                                         .schedule = std::move(schedule),
                                         .preemptions = 2};
  tally.outcomes[{9, ""}] = {.verdict = record::Verdict::clean, .runs = 1, .interleavings = 1, .schedule = {{0, true}}};
  return tally;
}

Tally there_and_back(const Tally& tally) {
  Packer packer;
  pack(tally, packer);
  const std::string bytes = packer.take();
  Unpacker from(bytes);
  Tally back = unpack_tally(from);
  EXPECT_TRUE(from.ok() && from.at_end());
  return back;
}

TEST(TallyPack, KeepsEverythingThatCounts) {
  const Tally tally = there_and_back(tally_of(7, {{0, false}, {1, false}, {0, true}}));
  EXPECT_EQ(tally.runs, 7u);
  EXPECT_EQ(tally.pruned, 3u);
  EXPECT_EQ(tally.left_out, 1u);
  EXPECT_EQ(tally.interleavings, 7);
  ASSERT_EQ(tally.outcomes.size(), 2u);
  const Outcome& deadlock = tally.outcomes.at({0, "T1 → T2 → T1"});
  EXPECT_EQ(deadlock.verdict, record::Verdict::deadlock);
  EXPECT_EQ(deadlock.runs, 6u);
  EXPECT_EQ(deadlock.interleavings, -1);
  EXPECT_EQ(deadlock.preemptions, 2);
  EXPECT_THAT(deadlock.schedule, ElementsAre(Choice{0, false}, Choice{1, false}, Choice{0, true}));
  EXPECT_EQ(tally.outcomes.at({9, ""}).preemptions, -1);
}

TEST(TallyPack, TheBestScheduleDoesNotDependOnTheRankThatFoundIt) {
  const Tally one = tally_of(7, {{0, false}, {1, false}, {0, true}}), two = tally_of(5, {{0, false}, {1, false}});
  Tally forth, back;
  forth.add(there_and_back(one));
  forth.add(there_and_back(two));
  back.add(two);
  back.add(one);
  for (const auto& [key, outcome] : back.outcomes) {
    EXPECT_EQ(forth.outcomes.at(key).schedule, outcome.schedule);
    EXPECT_EQ(forth.outcomes.at(key).runs, outcome.runs);
  }
}

TEST(TallyPack, WhatOneProcessHasLearntIsTaughtToAnother) {
  const auto numbers = std::make_shared<ObjectNumbers>(), others = std::make_shared<ObjectNumbers>();
  Footprint knows(numbers), learns(others);
  knows.lock("b", Touch::changes);
  knows.queue_matters("a");
  // The numbers of the other process are others.
  learns.lock("x", Touch::looks);
  Packer packer;
  pack(learnt_by(knows, *numbers), packer);
  std::string bytes = packer.take();
  Unpacker from(bytes);
  teach(unpack_learnt(from), learns);
  EXPECT_TRUE(learns.does_queue_matter("a"));
  EXPECT_FALSE(learns.does_queue_matter("b"));
  EXPECT_FALSE(learns.does_queue_matter("x"));
  EXPECT_FALSE(learns.take_news()) << "what was taught is no news";
}

}  // namespace
}  // namespace lockstep
