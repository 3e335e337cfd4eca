// trace_test.cc: the happens-before order of runs that are written out, and what is counted and turned round in them.
#include "engine/explore/search/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

/// A trace that is written step by step: an actor, and what its step touches.
class TraceBuilder {
 public:
  using Touches = std::function<void(Footprint&)>;

  TraceBuilder& step(int actor, const Touches& touches = [](Footprint&) {}) {
    objects_.clear_step();
    objects_.ran(actor);
    touches(objects_);
    Step& step = trace.append();
    step.choice = {.actor = actor};
    step.actors = objects_.actors();
    step.accesses = objects_.accesses();
    trace.order_last(objects_);
    return *this;
  }

  Trace trace;

 private:
  Footprint objects_;
};

TraceBuilder::Touches looks(std::string name) {
  return [name](Footprint& f) { f.lock(name, Touch::looks); };
}
TraceBuilder::Touches changes(std::string name) {
  return [name](Footprint& f) { f.lock(name, Touch::changes); };
}
TraceBuilder::Touches takes(std::string mutex) {
  return [mutex](Footprint& f) { f.lock(mutex, Touch::changes, {.needs_open = true, .closed_after = true}); };
}
TraceBuilder::Touches gives_back(std::string mutex) {
  return [mutex](Footprint& f) { f.lock(mutex, Touch::changes, {.closed_before = true}); };
}

TEST(Trace, OrdersTheStepsOfOneActorAndNoneThatCommute) {
  TraceBuilder run;
  run.step(0).step(1).step(0);
  EXPECT_TRUE(run.trace.before(0, 2));
  EXPECT_FALSE(run.trace.before(0, 1));
  EXPECT_FALSE(run.trace.before(1, 2));
  EXPECT_EQ(run.trace.latest(2, 0), 2) << "of its own actor it is the latest itself";
  EXPECT_EQ(run.trace.latest(2, 1), -1);
}

TEST(Trace, OrdersWhatConflictsAndWhatFollowsFromIt) {
  const auto changes_both = [](Footprint& f) {
    f.lock("x", Touch::changes);
    f.lock("y", Touch::changes);
  };
  TraceBuilder run;
  run.step(0, changes("x")).step(1, changes_both).step(2, looks("y")).step(3, changes_both);
  EXPECT_TRUE(run.trace.before(0, 1));
  EXPECT_TRUE(run.trace.before(1, 2));
  EXPECT_TRUE(run.trace.before(0, 2)) << "through the step in between";
  EXPECT_THAT(run.trace.adjacent(3), ElementsAre(2)) << "step 2 says already that the others came before";
}

TEST(Trace, PutsAWriterAfterEveryReaderTheLatestFirst) {
  TraceBuilder run;
  run.step(0, looks("x")).step(1, looks("x")).step(2, changes("x"));
  EXPECT_FALSE(run.trace.before(0, 1));
  EXPECT_THAT(run.trace.adjacent(2), ElementsAre(1, 0));
}

TEST(Trace, OrdersAStepWithThoseOfTheActorsThatItWoke) {
  TraceBuilder run;
  run.step(0).step(1, [](Footprint& f) { f.ran(0); }).step(0);
  EXPECT_TRUE(run.trace.before(0, 1));
  EXPECT_TRUE(run.trace.before(1, 2));
}

TEST(Trace, OrdersAKeyWithTheRangeThatHasIt) {
  TraceBuilder run;
  run.step(0, [](Footprint& f) { f.key(0, "b", Touch::changes); })
      .step(1, [](Footprint& f) { f.range(1, "a", "c", Touch::looks); })
      .step(2, [](Footprint& f) { f.range(2, "c", "", Touch::looks); });
  EXPECT_TRUE(run.trace.before(0, 1));
  EXPECT_FALSE(run.trace.before(0, 2));
}

TEST(Trace, ForgetsTheStepsThatAreCutOff) {
  TraceBuilder run;
  run.step(0, changes("x")).step(1, changes("x")).step(1, changes("y"));
  run.trace.shrink_to(1);
  run.step(2, changes("y")).step(1, changes("x"));
  ASSERT_EQ(run.trace.size(), 3U);
  EXPECT_THAT(run.trace.adjacent(1), IsEmpty()) << "nothing is left that touched y";
  EXPECT_THAT(run.trace.adjacent(2), ElementsAre(0));
}

TEST(Trace, TurnsARaceRoundAtTheStepItself) {
  TraceBuilder run;
  run.step(0, changes("x")).step(1, changes("x"));
  EXPECT_THAT(run.trace.reversible(0, 1), Optional(0U));
}

TEST(Trace, TurnsARaceForAMutexRoundWhereTheMutexWasFree) {
  TraceBuilder run;
  run.step(0, takes("m")).step(0, changes("x")).step(0, gives_back("m")).step(1, takes("m"));
  EXPECT_THAT(run.trace.reversible(2, 3), Optional(0U)) << "between the two the mutex was not to be had";
}

TEST(Trace, TurnsNothingRoundThatNeedsTheStepBefore) {
  // T2 asks for the mutex only after it has read what T1 wrote while it had it.
  TraceBuilder run;
  run.step(0, takes("m")).step(0, changes("x")).step(1, looks("x")).step(0, gives_back("m")).step(1, takes("m"));
  EXPECT_EQ(run.trace.reversible(3, 4), std::nullopt);
  EXPECT_THAT(run.trace.reversible(1, 2), Optional(1U));
}

TEST(Trace, CountsTheOrdersThatKeepToWhatConflicts) {
  EXPECT_EQ(TraceBuilder().trace.linear_extensions(), 1);
  EXPECT_EQ(TraceBuilder().step(0).step(0).step(0).trace.linear_extensions(), 1);
  EXPECT_EQ(TraceBuilder().step(0).step(1).step(2).trace.linear_extensions(), 6);
  EXPECT_EQ(TraceBuilder().step(0).step(0).step(1).step(1).trace.linear_extensions(), 6) << "4 choose 2";
  EXPECT_EQ(TraceBuilder().step(0, changes("x")).step(0).step(1, changes("x")).step(1).trace.linear_extensions(), 3);
  EXPECT_EQ(TraceBuilder()
                .step(0, changes("x"))
                .step(1, changes("x"))
                .step(2, changes("y"))
                .step(3, changes("y"))
                .trace.linear_extensions(),
            6)
      << "two pairs that are ordered: 4 choose 2";
}

TEST(Trace, GivesTheCountUpRatherThanTakeForEver) {
  TraceBuilder run;
  run.step(0, changes("x")).step(0).step(1, changes("x")).step(1);
  EXPECT_EQ(run.trace.linear_extensions(/*most=*/0), -1);
  EXPECT_EQ(run.trace.linear_extensions(/*most=*/3), 3);
}

TEST(Trace, FindsTheOrderWithTheFewestChangesOfActors) {
  TraceBuilder run;
  run.step(0, changes("x")).step(1, changes("x")).step(0).step(1);
  EXPECT_THAT(run.trace.calmest_order(), ElementsAre(0, 2, 1, 3)) << "T1 to its end, then T2";
  EXPECT_THAT(run.trace.calmest_order(/*most=*/1), ElementsAre(0, 1, 2, 3)) << "as it was, when that costs too much";
}

TEST(Trace, ChangesActorsWhereTheOrderNeedsIt) {
  TraceBuilder run;
  run.step(0, changes("x")).step(1, changes("x")).step(0, changes("x"));
  EXPECT_THAT(run.trace.calmest_order(), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace lockstep
