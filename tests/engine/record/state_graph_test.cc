// state_graph_test.cc: a state graph comes back from its JSON, and what is none is refused.
#include "engine/record/state_graph.h"

#include <gtest/gtest.h>

namespace lockstep::record {
namespace {

StateGraph small_graph() {
  StateGraph graph;
  graph.scenario = "threads/two-lock";
  graph.store = "none";
  graph.protocol = "none";
  graph.pattern = "plain";
  graph.actors = {"T1", "T2"};
  graph.limit = 10;
  graph.states = {{.steps = 0,
                   .actors = {{Standing::ready, "lock A"}, {Standing::ready, "lock \"B\""}},
                   .moves = {{0, false, 1, {"T1 lock A: done"}}, {1, true, -1, {}}}},
                  {.steps = 1,
                   .actors = {{Standing::waits, "lock \"B\""}, {Standing::finished, ""}},
                   .holds = {{0, "A", "exclusive"}},
                   .waits = {{0, 1, "\"B\"", "exclusive lock"}, {0, -1, "B", ""}},
                   .cycle = {0, 1},
                   .verdict = Verdict::deadlock,
                   .summary = "nobody breaks it"}};
  return graph;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

void expect_refused(const std::string& json, const std::string& why) {
  const Result<StateGraph> read = state_graph_of(json);
  ASSERT_FALSE(read.ok()) << json;
  EXPECT_EQ(read.fault(), Fault::invalid);
  EXPECT_NE(read.error().message.find(why), std::string::npos) << read.error().message;
}

TEST(StateGraph, ComesBackFromItsJson) {
  const StateGraph graph = small_graph();
  const std::string json = to_json(graph);
  const Result<StateGraph> read = state_graph_of(json);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(to_json(*read), json);
  EXPECT_EQ(read->actors, graph.actors);
  EXPECT_EQ(read->states[1].waits[1].to, -1);
  EXPECT_EQ(read->states[0].moves[0].what, graph.states[0].moves[0].what);
  EXPECT_TRUE(read->states[0].moves[1].timeout);
  EXPECT_EQ(read->states[1].verdict, Verdict::deadlock);
  EXPECT_EQ(read->moves(), 2U);
  EXPECT_EQ(read->ends_as(Verdict::deadlock), 1U);
}

TEST(StateGraph, KeepsEveryTextOnce) {
  const std::string json = to_json(small_graph());
  EXPECT_EQ(json.find("lock A\""), json.rfind("lock A\"")) << json;
}

TEST(StateGraph, WhatDoesNotFitTogetherIsRefused) {
  const std::string json = to_json(small_graph());
  expect_refused("", "cannot be read");
  expect_refused("[]", "it is no state graph");
  expect_refused(json.substr(0, json.size() / 2), "cannot be read");
  expect_refused(replaced(json, "\"version\":1", "\"version\":9"), "it has version 9");
  expect_refused(replaced(json, "[0,0,1,", "[0,0,7,"), "there is no state 7");
  expect_refused(replaced(json, "[0,0,1,", "[5,0,1,"), "there is no actor 5");
  expect_refused(replaced(json, "\"waits\",", "\"sleeps\","), "unknown standing \"sleeps\"");
  expect_refused(replaced(json, "\"deadlock\"", "\"deadlocked\""), "unknown verdict");
}

TEST(StateGraph, IsDrawnForGraphviz) {
  const std::string dot = to_dot(small_graph());
  EXPECT_NE(dot.find("s0 -> s1 [label=\"T1\"]"), std::string::npos) << dot;
  EXPECT_NE(dot.find("T2:timeout"), std::string::npos);
  EXPECT_NE(dot.find("lock \\\"B\\\""), std::string::npos);
  EXPECT_NE(dot.find("color=red"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::record
