// wait_graph_test.cc: cycles, their representatives, and who ends them.
#include "engine/actor/wait_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

WaitGraph graph_of(std::initializer_list<std::pair<int, int>> edges, bool deadline = false, bool store = false) {
  WaitGraph graph;
  for (const auto& [from, to] : edges) {
    graph.add({.from = from, .to = to, .object = "", .what = "", .has_deadline = deadline, .store_breaks = store});
  }
  return graph;
}

TEST(WaitGraph, FindsNoCycleInAChain) { EXPECT_THAT(graph_of({{0, 1}, {1, 2}}).cycles(), IsEmpty()); }

TEST(WaitGraph, FindsTheShortestCycleThroughAnActor) {
  const WaitGraph graph = graph_of({{0, 1}, {1, 2}, {2, 0}, {1, 0}});
  EXPECT_THAT(*graph.cycle_through(0), ElementsAre(0, 1));
  EXPECT_THAT(*graph.cycle_through(2), ElementsAre(2, 0, 1));
}

TEST(WaitGraph, CountsRotationsOfOneCycleOnce) {
  EXPECT_THAT(graph_of({{2, 0}, {0, 1}, {1, 2}}).cycles(), ElementsAre(ElementsAre(0, 1, 2)));
}

TEST(WaitGraph, FindsTwoCyclesThatShareNobody) {
  EXPECT_THAT(graph_of({{0, 1}, {1, 0}, {2, 3}, {3, 2}}).cycles(), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
}

TEST(WaitGraph, SeesNoCycleWhereOneOfSeveralCanStillGiveWay) {
  // 0 needs one unit of a pool, which 1 and 2 have; 1 waits for 0; 2 runs.
  WaitGraph graph = graph_of({{1, 0}});
  graph.add({.from = 0, .to = 1, .object = "pool", .what = "", .any = true});
  graph.add({.from = 0, .to = 2, .object = "pool", .what = "", .any = true});
  EXPECT_THAT(graph.stuck(), IsEmpty());
  EXPECT_THAT(graph.cycles(), IsEmpty());
  // Now 2 waits for 1: nobody is left who could give way.
  graph.add({.from = 2, .to = 1, .object = "", .what = ""});
  EXPECT_THAT(graph.stuck(), ElementsAre(0, 1, 2));
  EXPECT_THAT(graph.cycles(), ElementsAre(ElementsAre(0, 1), ElementsAre(0, 2, 1)));
}

TEST(WaitGraph, NeedsAllOfTheOthersToGiveWay) {
  WaitGraph graph = graph_of({{0, 1}, {0, 2}, {1, 0}});
  EXPECT_THAT(graph.stuck(), ElementsAre(0, 1)) << "that 2 runs does not help 0";
  graph.add({.from = 0, .to = 3, .object = "pool", .what = "", .any = true});
  EXPECT_THAT(graph.stuck(), ElementsAre(0, 1)) << "nor that 3 could give a unit";
}

TEST(WaitGraph, FindsAWaitForOneself) { EXPECT_THAT(graph_of({{4, 4}}).cycles(), ElementsAre(ElementsAre(4))); }

TEST(WaitGraph, LeavesOutWhoeverIsNotPartOfTheRun) { EXPECT_THAT(graph_of({{0, -1}, {-1, 0}}).cycles(), IsEmpty()); }

TEST(WaitGraph, LeavesACycleThroughAMutexAndARowToNobody) {
  WaitGraph graph = graph_of({{0, 1}}, false, true);  // a row: the database looks for cycles among rows alone
  graph.add({.from = 1, .to = 0, .object = "mutex", .what = ""});
  EXPECT_EQ(graph.breaker_of({0, 1}), WaitGraph::Breaker::nobody);
}

TEST(WaitGraph, LeavesACycleInsideAStoreToTheStore) {
  EXPECT_EQ(graph_of({{0, 1}, {1, 0}}, false, true).breaker_of({0, 1}), WaitGraph::Breaker::store);
}

TEST(WaitGraph, LeavesACycleWithADeadlineToTheTimeout) {
  WaitGraph graph = graph_of({{0, 1}});
  graph.add({.from = 1, .to = 0, .object = "", .what = "", .has_deadline = true});
  EXPECT_EQ(graph.breaker_of({0, 1}), WaitGraph::Breaker::timeout);
}

}  // namespace
}  // namespace lockstep
