// joint_graph_test.cc: which cycles are over both servers.
#include "engine/stores/postgres-2/joint_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::postgres_2 {
namespace {

std::string cycle_in(const std::vector<JointEdge>& edges) {
  return text_of(cycle_over_servers(edges), {{0, "T1"}, {1, "T2"}, {2, "T3"}});
}

TEST(JointGraph, FindsACycleWithALinkOnEachServer) {
  EXPECT_EQ(cycle_in({{0, 1, 1}, {1, 0, 0}}), "T1 waits for T2 on server 2, T2 waits for T1 on server 1");
  EXPECT_EQ(cycle_in({{2, 0, 0}, {1, 2, 1}, {0, 1, 0}}),
            "T1 waits for T2 on server 1, T2 waits for T3 on server 2, T3 waits for T1 on server 1");
}

TEST(JointGraph, LeavesACycleOfOneServerToThatServer) {
  EXPECT_EQ(cycle_in({{0, 1, 0}, {1, 0, 0}}), "");
  EXPECT_EQ(cycle_in({{0, 1, 1}, {1, 0, 1}, {2, 0, 0}}), "");
}

TEST(JointGraph, FindsNoneInAChain) {
  EXPECT_EQ(cycle_in({}), "");
  EXPECT_EQ(cycle_in({{0, 1, 0}, {1, 2, 1}}), "");
  EXPECT_EQ(cycle_in({{0, 2, 0}, {1, 2, 1}}), "");
}

TEST(JointGraph, TakesTheShortestOne) {
  EXPECT_EQ(cycle_in({{0, 1, 0}, {1, 2, 1}, {2, 0, 1}, {1, 0, 1}}),
            "T1 waits for T2 on server 1, T2 waits for T1 on server 2");
}

}  // namespace
}  // namespace lockstep::postgres_2
