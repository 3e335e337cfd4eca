// events_test.cc: when a step that passed a plain lock elsewhere passes it here.
#include "engine/explore/search/events.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace lockstep {
namespace {

/// Runs of steps that pass one plain lock each, or change one thing.
class EventsOfRuns : public testing::Test {
 protected:
  struct Deed {
    int actor;
    const char* thing;
    bool passes = true;
  };
  /// A run, of which everything is remembered; answers its steps.
  Way run(std::initializer_list<Deed> deeds) {
    trace_.shrink_to(0);
    Way steps;
    for (const Deed& deed : deeds) {
      objects_.clear_step();
      objects_.lock(deed.thing, Touch::changes, {.needs_open = deed.passes, .closed_after = deed.passes});
      Step& step = trace_.append();
      step.choice = {.actor = deed.actor};
      step.actors = 1U << static_cast<unsigned>(deed.actor);
      step.accesses = objects_.accesses();
      trace_.order_last(objects_);
      events_.note(trace_);
      steps.push_back(trace_[trace_.size() - 1]);
    }
    return steps;
  }
  /// What is known of the next step of `actor` behind the first `depth` steps of the latest run and those of `way`.
  Step told(std::size_t depth, Way way, int actor) {
    way.push_back({.choice = {.actor = actor}, .actors = 1U << static_cast<unsigned>(actor)});
    way.back().is_guess = true;
    events_.tell(trace_, depth, objects_, way);
    return way.back();
  }

  Footprint objects_;
  Trace trace_;
  Events events_;
};

TEST_F(EventsOfRuns, AStepIsKnownBehindItsCauses) {
  const Way other = run({{0, "x"}, {1, "x"}, {2, "y"}});
  run({{2, "y"}, {0, "x"}});
  const Step told_here = told(2, {}, 1);
  EXPECT_FALSE(told_here.is_guess) << "what stands there besides commutes with it";
  EXPECT_EQ(told_here.event, other[1].event);
  EXPECT_EQ(told_here.accesses, other[1].accesses);
  EXPECT_FALSE(told(1, {other[0]}, 1).is_guess) << "a cause may be of the way";
}

TEST_F(EventsOfRuns, AStepIsNotKnownWithoutItsCauses) {
  run({{0, "x"}, {1, "x"}});
  EXPECT_TRUE(told(0, {}, 1).is_guess) << "it may touch other things there";
  EXPECT_TRUE(told(2, {}, 2).is_guess) << "nobody has seen that actor";
}

TEST_F(EventsOfRuns, AStepIsNotKnownBehindWhatConflictsWithIt) {
  run({{0, "x"}, {1, "x"}});
  run({{0, "x"}, {2, "x"}});
  EXPECT_TRUE(told(2, {}, 1).is_guess);
  EXPECT_FALSE(told(1, {}, 1).is_guess);
}

TEST_F(EventsOfRuns, OnlyStepsThatPassAPlainLockAreTold) {
  run({{0, "x"}, {1, "x", false}});
  EXPECT_TRUE(told(1, {}, 1).is_guess);
}

TEST_F(EventsOfRuns, CausesOfCausesAreCauses) {
  run({{0, "x"}, {0, "y"}, {1, "y"}, {1, "x"}});
  EXPECT_FALSE(told(3, {}, 1).is_guess) << "the first step conflicts with it, and must come before it";
}

TEST_F(EventsOfRuns, AStepIsAnotherEventBehindOtherCauses) {
  const Way first = run({{0, "x"}, {1, "x"}});
  const Way second = run({{1, "x"}, {0, "x"}});
  EXPECT_NE(first[1].event, second[0].event);
  EXPECT_EQ(run({{2, "y"}, {0, "x"}, {1, "x"}})[2].event, first[1].event) << "in whatever order the rest comes";
}

}  // namespace
}  // namespace lockstep
