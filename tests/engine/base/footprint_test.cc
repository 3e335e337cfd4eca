// footprint_test.cc: which touches conflict, how the touches of one step add up, and what a transaction gives back.
#include "engine/base/footprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

/// The one access that `touch` makes in a step of its own.
template <class Make>
Access only(Footprint& footprint, Make touch) {
  footprint.clear_step();
  touch(footprint);
  EXPECT_THAT(footprint.accesses(), SizeIs(1));
  return footprint.accesses().front();
}

Access key(Footprint& f, std::string_view name, Touch touch = Touch::changes) {
  return only(f, [&](Footprint& each) { each.key(0, name, touch); });
}
Access range(Footprint& f, std::string_view from, std::string_view to, Touch touch = Touch::looks) {
  return only(f, [&](Footprint& each) { each.range(0, from, to, touch); });
}
Access place(Footprint& f, std::string_view name) {
  return only(f, [&](Footprint& each) { each.place(0, name, Touch::changes); });
}
Access gap(Footprint& f, std::string_view from, std::string_view to) {
  return only(f, [&](Footprint& each) { each.gap(0, from, to, Touch::changes); });
}

TEST(Touches, ConflictAsTheTableSays) {
  EXPECT_FALSE(conflict(Touch::looks, Touch::looks));
  EXPECT_FALSE(conflict(Touch::shares, Touch::shares));
  EXPECT_TRUE(conflict(Touch::changes, Touch::changes));
  EXPECT_TRUE(conflict(Touch::looks, Touch::shares));
  EXPECT_TRUE(conflict(Touch::shares, Touch::looks));
  EXPECT_TRUE(conflict(Touch::looks, Touch::changes));
  EXPECT_TRUE(conflict(Touch::changes, Touch::looks));
  EXPECT_TRUE(conflict(Touch::shares, Touch::changes));
  EXPECT_TRUE(conflict(Touch::changes, Touch::shares));
}

TEST(Footprint, AddsTheTouchesOfAThingToOneAccess) {
  Footprint footprint;
  footprint.lock("a", Touch::looks);
  footprint.lock("a", Touch::looks);
  ASSERT_THAT(footprint.accesses(), SizeIs(1));
  EXPECT_EQ(footprint.accesses()[0].touch, Touch::looks);
  footprint.lock("a", Touch::shares);
  ASSERT_THAT(footprint.accesses(), SizeIs(1));
  EXPECT_EQ(footprint.accesses()[0].touch, Touch::changes) << "a look and a share conflict with more than either does";
}

TEST(Footprint, KeepsHowAStepFoundAMutexAndHowItLeftIt) {
  Footprint footprint;
  footprint.lock("m", Touch::changes, {.needs_open = true, .closed_after = true});
  footprint.lock("m", Touch::changes, {.closed_before = true, .closed_after = false});
  ASSERT_THAT(footprint.accesses(), SizeIs(1));
  EXPECT_EQ(footprint.accesses()[0].gate, (Passage{.needs_open = true, .closed_before = false, .closed_after = false}));
}

TEST(Footprint, TellsThingsOfOneNameApartByTheirKinds) {
  Footprint footprint;
  footprint.lock("a", Touch::changes);
  footprint.key(0, "a", Touch::changes);
  footprint.place(0, "a", Touch::changes);
  footprint.global("a", Touch::changes);
  ASSERT_THAT(footprint.accesses(), SizeIs(4));
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t other = 0; other < 4; ++other) {
      EXPECT_EQ(footprint.conflict(footprint.accesses()[i], footprint.accesses()[other]), i == other);
    }
  }
}

TEST(Footprint, HoldsARangeAgainstTheKeysInItUpToItsEnd) {
  Footprint footprint;
  const Access b_to_d = range(footprint, "b", "d");
  EXPECT_FALSE(footprint.conflict(b_to_d, key(footprint, "a")));
  EXPECT_TRUE(footprint.conflict(b_to_d, key(footprint, "b")));
  EXPECT_TRUE(footprint.conflict(key(footprint, "c"), b_to_d));
  EXPECT_FALSE(footprint.conflict(b_to_d, key(footprint, "d"))) << "the end is outside";
  EXPECT_FALSE(footprint.conflict(b_to_d, key(footprint, "c", Touch::looks))) << "two looks commute";
}

TEST(Footprint, HoldsRangesAgainstEachOther) {
  Footprint footprint;
  const Access b_to_d = range(footprint, "b", "d", Touch::changes);
  EXPECT_TRUE(footprint.conflict(b_to_d, range(footprint, "c", "e")));
  EXPECT_FALSE(footprint.conflict(b_to_d, range(footprint, "d", "e"))) << "they meet, and share no key";
  EXPECT_TRUE(footprint.conflict(b_to_d, range(footprint, "a", ""))) << "no upper end";
  EXPECT_FALSE(footprint.conflict(b_to_d, range(footprint, "e", "")));
}

TEST(Footprint, TellsRangesApartByTheirEnds) {
  Footprint footprint;
  const std::uint32_t to_c = range(footprint, "a", "c").object;
  EXPECT_NE(range(footprint, "a", "z").object, to_c);
  EXPECT_EQ(range(footprint, "a", "c").object, to_c);
}

TEST(Footprint, HoldsGapsAgainstPlacesAndNotAgainstKeys) {
  Footprint footprint;
  const Access b_to_d = gap(footprint, "b", "d");
  EXPECT_TRUE(footprint.conflict(b_to_d, place(footprint, "c")));
  EXPECT_FALSE(footprint.conflict(b_to_d, place(footprint, "d")));
  EXPECT_FALSE(footprint.conflict(b_to_d, key(footprint, "c")));
  EXPECT_FALSE(footprint.conflict(b_to_d, range(footprint, "b", "d", Touch::changes)));
}

TEST(Footprint, NamesTheOtherThingsThatOverlap) {
  Footprint footprint;
  const std::uint32_t b = key(footprint, "b").object;
  const std::uint32_t z = key(footprint, "z").object;
  const std::uint32_t a_to_c = range(footprint, "a", "c").object;
  const std::uint32_t all = range(footprint, "", "").object;
  EXPECT_THAT(footprint.overlapping(b), UnorderedElementsAre(a_to_c, all));
  EXPECT_THAT(footprint.overlapping(a_to_c), UnorderedElementsAre(b, all));
  EXPECT_THAT(footprint.overlapping(z), ElementsAre(all));
}

TEST(Footprint, GivesBackWhatATransactionTouchedAtItsEnd) {
  Footprint footprint;
  footprint.key(0, "x", Touch::looks);
  footprint.key(1, "y", Touch::changes);
  footprint.clear_step();
  footprint.end_transaction(0);
  ASSERT_THAT(footprint.accesses(), SizeIs(1)) << "y is another transaction's";
  EXPECT_EQ(footprint.accesses()[0], (Access{.object = 0, .touch = Touch::looks}));
  footprint.clear_step();
  footprint.end_transaction(0);
  EXPECT_THAT(footprint.accesses(), IsEmpty()) << "it has ended before";
}

TEST(Footprint, TouchesWhatIsHeldOnceMoreOrChangesIt) {
  Footprint footprint;
  footprint.key(2, "x", Touch::looks);
  footprint.clear_step();
  footprint.touch_held(2);
  EXPECT_THAT(footprint.accesses(), ElementsAre(Access{.object = 0, .touch = Touch::looks}));
  footprint.clear_step();
  footprint.change_held(2);
  EXPECT_THAT(footprint.accesses(), ElementsAre(Access{.object = 0, .touch = Touch::changes}));
}

TEST(Footprint, HoldsNothingOfALockBeyondItsStep) {
  Footprint footprint;
  footprint.lock("m", Touch::changes);
  footprint.global("begins", Touch::changes);
  footprint.clear_step();
  footprint.end_transaction(0);
  EXPECT_THAT(footprint.accesses(), IsEmpty());
}

TEST(Footprint, SaysWhoseCodeAStepRan) {
  Footprint footprint;
  footprint.ran(0);
  footprint.ran(3);
  EXPECT_EQ(footprint.actors(), 0b1001U);
  footprint.clear_step();
  EXPECT_EQ(footprint.actors(), 0U);
}

TEST(Footprint, KeepsNumbersFromRunToRunAndForgetsWhatWasHeld) {
  Footprint footprint;
  std::vector<std::uint32_t> numbers;
  // More things than are found by comparing each.
  for (char name = 'a'; name <= 't'; ++name) numbers.push_back(key(footprint, std::string(1, name)).object);
  footprint.clear_run();
  EXPECT_THAT(footprint.accesses(), IsEmpty());
  footprint.end_transaction(0);
  EXPECT_THAT(footprint.accesses(), IsEmpty());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(numbers[i], i);
    EXPECT_EQ(key(footprint, std::string(1, static_cast<char>('a' + i))).object, numbers[i]);
  }
}

TEST(Footprint, UnderstandsTheNumbersOfAnotherOne) {
  const auto numbers = std::make_shared<ObjectNumbers>();
  Footprint one(numbers), other(numbers);
  const Access of_one = key(one, "b", Touch::changes);
  const Access of_other = range(other, "a", "c");
  EXPECT_EQ(key(other, "b").object, of_one.object);
  one.learn_numbers();
  EXPECT_TRUE(one.conflict(of_one, of_other));
  EXPECT_THAT(one.overlapping(of_one.object), ElementsAre(of_other.object));
}

TEST(Footprint, TellsOnceThatAQueueMatters) {
  Footprint footprint;
  EXPECT_FALSE(footprint.does_queue_matter("m"));
  footprint.queue_matters("m");
  EXPECT_TRUE(footprint.does_queue_matter("m"));
  EXPECT_FALSE(footprint.does_queue_matter("n"));
  EXPECT_TRUE(footprint.take_news());
  EXPECT_FALSE(footprint.take_news());
  footprint.queue_matters("m");
  EXPECT_FALSE(footprint.take_news()) << "that was known";
  footprint.clear_run();
  EXPECT_TRUE(footprint.does_queue_matter("m")) << "for every run to come";
}

TEST(Footprint, LearnsTheQueuesOfAnotherOne) {
  const auto numbers = std::make_shared<ObjectNumbers>();
  Footprint one(numbers), other(numbers);
  other.queue_matters("m");
  one.learn_from(other);
  EXPECT_TRUE(one.does_queue_matter("m"));
  EXPECT_FALSE(one.take_news()) << "what is learned is no news to those it comes from";
}

}  // namespace
}  // namespace lockstep
