// state_graph_test.cc: the state graph of a scenario shows what a run of the same moves shows.
#include "engine/explore/state_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/explore/explore.h"
#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;
using record::StateGraph;

StateGraph must_draw(const Scenario& scenario, const StateGraphRequest& request) {
  Result<StateGraph> graph = state_graph(scenario, request);
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return graph.ok() ? std::move(*graph) : StateGraph{};
}

/// Plays at random, by the moves that a page offers, from the begin to an end; the moves' names, and the state at the
/// end; -1 when no move leads on.
std::pair<std::string, int> wander(const StateGraph& graph, std::mt19937& random) {
  std::string schedule;
  int at = 0;
  while (!graph.states[static_cast<std::size_t>(at)].verdict) {
    std::vector<StateGraph::Move> moves = graph.states[static_cast<std::size_t>(at)].moves;
    std::erase_if(moves, [](const StateGraph::Move& each) { return each.to < 0; });
    if (moves.empty()) return {schedule, -1};
    const StateGraph::Move& move = moves[random() % moves.size()];
    schedule += (schedule.empty() ? "" : " ") +
                name_of(Choice{move.actor, move.timeout}, graph.actors[static_cast<std::size_t>(move.actor)]);
    at = move.to;
  }
  return {schedule, at};
}

class StateGraphs : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Catalogue, StateGraphs, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(StateGraphs, EveryWayEndsAsTheRunOfTheSameMoves) {
  const Scenario& scenario = *scenarios::find(GetParam());
  std::mt19937 random(7);
  for (const char* store : {"kv", "none"}) {
    for (const RunRequest& coordinates : requests_on(scenario, store, "coroutines")) {
      SCOPED_TRACE(place_of(scenario, coordinates));
      RunRequest request = coordinates;
      request.schedule.clear();
      request.retries = 0;
      const StateGraph graph = must_draw(scenario, {.run = request, .most_states = 60});
      ASSERT_FALSE(graph.states.empty());
      for (int i = 0; i < 20; ++i) EXPECT_GE(wander(graph, random).second, 0) << "a reader gets stuck";
      for (int i = 0; i < 3; ++i) {
        const auto [schedule, end] = wander(graph, random);
        if (end < 0 || schedule.empty()) continue;
        request.schedule = schedule;
        const Result<record::Run> ran = run(scenario, request);
        ASSERT_TRUE(ran.ok()) << schedule << ": " << ran.error().message;
        EXPECT_EQ(ran->verdict, graph.states[static_cast<std::size_t>(end)].verdict) << schedule;
        EXPECT_EQ(ran->schedule, schedule);
      }
    }
  }
}

TEST(StateGraphOf, TwoLocksHasOneDeadlockWithItsCycleAndItsLocks) {
  const StateGraph graph = must_draw(*scenarios::find("threads/two-lock"), {});
  EXPECT_TRUE(graph.complete);
  ASSERT_GE(graph.ends_as(record::Verdict::deadlock), 1U);
  for (const StateGraph::State& state : graph.states) {
    EXPECT_EQ(state.actors.size(), graph.actors.size());
    EXPECT_EQ(state.moves.empty(), state.verdict.has_value());
    if (state.verdict != record::Verdict::deadlock) continue;
    EXPECT_EQ(state.cycle, (std::vector<int>{0, 1}));
    EXPECT_EQ(state.waits.size(), 2U);
    EXPECT_EQ(state.holds.size(), 2U);
    EXPECT_TRUE(state.moves.empty());
  }
}

TEST(StateGraphOf, BeyondTheLimitNoLineOfPlayIsBegunWhichIsSaid) {
  const StateGraph graph = must_draw(*scenarios::find("threads/dining-philosophers"), {.most_states = 50});
  EXPECT_FALSE(graph.complete);
  EXPECT_GE(graph.states.size(), 50U);
  EXPECT_LE(graph.states.size(), 80U) << "a line of five philosophers has fewer than 30 steps";
  // What is nearest to the begin is kept first.
  const auto& first = graph.states.front().moves;
  EXPECT_GT(std::count_if(first.begin(), first.end(), [](const StateGraph::Move& each) { return each.to >= 0; }), 1);
}

TEST(StateGraphOf, AnExplorationKeepsTheWaysToItsFindings) {
  const Scenario& dinner = *scenarios::find("threads/dining-philosophers");
  const Result<Exploration> explored = explore(dinner, {.most_states = 50});
  ASSERT_TRUE(explored.ok()) << explored.error().message;
  ASSERT_TRUE(explored->graph);
  EXPECT_GE(explored->graph->ends_as(record::Verdict::deadlock), 1U);
}

}  // namespace
}  // namespace lockstep
