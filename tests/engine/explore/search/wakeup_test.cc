// wakeup_test.cc: which ways a wake-up tree keeps, which it joins, and in what order it gives them out.
#include "engine/explore/search/wakeup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

/// A step of `actor` that changes the thing of that name.
class Ways : public testing::Test {
 protected:
  Step step(int actor, std::string_view thing, Touch touch = Touch::changes) {
    objects_.clear_step();
    objects_.lock(thing, touch);
    return {.choice = {.actor = actor}, .actors = 1U << static_cast<unsigned>(actor), .accesses = objects_.accesses()};
  }
  /// The same, not seen at the place where it stands.
  Step guess(int actor, std::string_view thing) {
    Step made = step(actor, thing);
    made.is_guess = true;
    return made;
  }
  void insert(Way way) { tree_.insert(std::move(way), objects_); }

  /// The tree as it is gone through: "0 (1 2) 1" are the ways 0 1, 0 2 and 1.
  static std::string gone(WakeupTree tree) {
    std::string text;
    while (!tree.empty()) {
      if (!text.empty()) text += ' ';
      text += std::to_string(tree.first().actor) + (tree.first().timeout ? "!" : "");
      const std::string behind = gone(tree.take_first());
      if (!behind.empty()) text += " (" + behind + ")";
    }
    return text;
  }
  std::string gone() { return gone(std::move(tree_)); }

  Footprint objects_;
  WakeupTree tree_;
};

TEST_F(Ways, BeginWithAStepOfTheirsThatEverythingBeforeLeavesAlone) {
  const Way way{step(0, "x"), step(1, "y"), step(2, "x")};
  std::size_t at = 99;
  EXPECT_EQ(initial_of(step(1, "y"), way, objects_, at), Initial::first);
  EXPECT_EQ(at, 1U);
  EXPECT_EQ(initial_of(step(2, "x"), way, objects_, at), Initial::no) << "the first step touches x as well";
}

TEST_F(Ways, BeginWithAStepThatIsNotTheirsWhenItCommutesWithAll) {
  const Way way{step(0, "x"), step(1, "y", Touch::looks)};
  std::size_t at = 0;
  EXPECT_EQ(initial_of(step(2, "z"), way, objects_, at), Initial::apart);
  EXPECT_EQ(initial_of(step(2, "y", Touch::looks), way, objects_, at), Initial::apart);
  EXPECT_EQ(initial_of(step(2, "y"), way, objects_, at), Initial::no);
}

TEST_F(Ways, TellADeadlineThatPassesFromAStepOfTheSameActor) {
  const Way way{step(0, "x")};
  Step passes = step(0, "z");
  passes.choice.timeout = true;
  std::size_t at = 0;
  EXPECT_EQ(initial_of(passes, way, objects_, at), Initial::no) << "both are the actor's own";
}

TEST_F(Ways, ShareTheStepsThatTheyBeginWith) {
  insert({step(0, "x"), step(1, "x")});
  insert({step(0, "x"), step(2, "x")});
  EXPECT_EQ(gone(), "0 (1 2)");
}

TEST_F(Ways, AreGoneInTheOrderInWhichTheyCame) {
  insert({step(2, "x")});
  insert({step(0, "x")});
  insert({step(1, "x")});
  EXPECT_EQ(gone(), "2 0 1");
}

TEST_F(Ways, ThatMeetAClassInAnotherOrderAreNotKeptTwice) {
  insert({step(0, "x"), step(1, "y")});
  insert({step(1, "y"), step(0, "x")});
  EXPECT_EQ(gone(), "0 (1)");
}

TEST_F(Ways, ThatTurnAConflictRoundAreKept) {
  insert({step(0, "x"), step(1, "x")});
  insert({step(1, "x"), step(0, "x")});
  EXPECT_EQ(gone(), "0 (1) 1 (0)");
}

TEST_F(Ways, GoOnBehindAStepThatCommutesWithThem) {
  insert({step(0, "x"), step(2, "x")});
  insert({step(1, "y")});
  EXPECT_EQ(gone(), "0 (2 (1))") << "both leave y alone";
}

TEST_F(Ways, TakeAGuessForAStepThatMayTouchAnything) {
  insert({step(0, "x"), guess(2, "z")});
  insert({step(1, "y")});
  EXPECT_EQ(gone(), "0 (2 1)") << "behind T1's step, and beside T3's, which nobody has seen";

  insert({step(0, "x")});
  insert({guess(1, "y")});
  EXPECT_EQ(gone(), "0 1") << "T1's step does not vouch for what T2's will touch";
}

TEST_F(Ways, HaveSeenWhatOthersGuess) {
  insert({guess(0, "x")});
  insert({step(0, "y"), step(1, "y")});
  insert({step(2, "x"), step(0, "y")});
  EXPECT_EQ(gone(), "0 (1 (2))") << "x is left alone: the guess was wrong";
}

TEST_F(Ways, ThatGoFurtherTakeTheShorterOnesPlace) {
  insert({step(0, "x")});
  insert({step(0, "x"), step(1, "x")});
  insert({step(0, "x")});
  EXPECT_EQ(gone(), "0 (1)");
}

TEST_F(Ways, OfOneStepLeaveNothingBehind) {
  insert({step(3, "x")});
  EXPECT_EQ(tree_.first(), (Choice{.actor = 3}));
  EXPECT_TRUE(tree_.take_first().empty());
  EXPECT_TRUE(tree_.empty());
}

}  // namespace
}  // namespace lockstep
