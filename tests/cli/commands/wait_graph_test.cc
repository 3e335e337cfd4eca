// wait_graph_test.cc: the wait-for graph of a run as a file: the cycle with locks, owners and lines.
#include "cli/commands/wait_graph.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/record/sites.h"
#include "tests/cli/child.h"
#include "tests/cli/sample_runs.h"

namespace lockstep::cli {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// T1 has A and wants B, T2 has B and wants A, T3 wants A too. T2 has given A back and taken it no more.
record::Run deadlock() {
  samples::Story story({"T1", "T2", "T3"});
  story.does(1, "lock", "A").says(record::EventKind::release, "");
  record::Run run = story.take();
  run.events.back().actor = 1;
  run.events.back().object = "A";
  samples::Story rest({"T1", "T2", "T3"});
  rest.does(1, "lock", "B").does(0, "lock", "A").asks(2, "lock", "A").waits(2, {0});
  rest.asks(0, "lock", "B").waits(0, {1}).asks(1, "lock", "A").waits(1, {0}).cycle({1, 0}, "nobody will break it");
  for (record::Event& event : rest.take().events) {
    if (event.step != 0) ++event.step;  // after the one above
    run.events.push_back(event);
  }
  run.scenario = "threads/\"quoted\"";
  run.documents[record::kSitesDocument] = record::sites_to_json({"a.cc:1", "a.cc:2", "b.cc:3", "c.cc:4", "b.cc:5", ""});
  return run;
}

TEST(WaitGraph, NamesLocksOwnersAndLinesForGraphviz) {
  const std::string dot = wait_graph_dot(deadlock());
  EXPECT_THAT(dot, testing::StartsWith("digraph \"threads/\\\"quoted\\\"\" {\n"));
  EXPECT_THAT(dot, HasSubstr("  \"T1\" [style=bold, color=red];\n"));
  EXPECT_THAT(dot, HasSubstr("  \"T3\";\n"));
  EXPECT_THAT(dot, HasSubstr("  \"T1\" -> \"T2\" [label=\"wants B (b.cc:5)\\nT2 has it (a.cc:2)\", style=bold, "
                             "color=red];\n"));
  EXPECT_THAT(dot, HasSubstr("  \"T2\" -> \"T1\" [label=\"wants A\\nT1 has it (b.cc:3)\", style=bold, color=red];\n"));
  EXPECT_THAT(dot, HasSubstr("  \"T3\" -> \"T1\" [label=\"wants A (c.cc:4)\\nT1 has it (b.cc:3)\"];\n"));
  EXPECT_THAT(dot, testing::EndsWith("}\n"));
}

TEST(WaitGraph, SaysTheSameAsJson) {
  const json graph = json::parse(wait_graph_json(deadlock()));
  EXPECT_EQ(graph["format"], "lockstep-wait-graph");
  EXPECT_THAT(graph["cycle"], ElementsAre("T1", "T2"));
  ASSERT_EQ(graph["waits"].size(), 3u);
  EXPECT_EQ(graph["waits"][0], (json{{"from", "T1"},
                                     {"wants", "B"},
                                     {"wants_at", "b.cc:5"},
                                     {"to", "T2"},
                                     {"held_at", "a.cc:2"},
                                     {"in_cycle", true}}));
  EXPECT_EQ(graph["waits"][1]["wants_at"], nullptr);
  EXPECT_EQ(graph["waits"][2]["in_cycle"], false);
}

TEST(WaitGraph, OfARecordingWithoutLinesHasNone) {
  record::Run run = deadlock();
  run.documents.clear();
  EXPECT_THAT(wait_graph_dot(run), HasSubstr("  \"T1\" -> \"T2\" [label=\"wants B\", style=bold, color=red];\n"));
  run.documents[record::kSitesDocument] = "{\"files\": [], \"steps\": [[7, 1]]}";  // not ours
  EXPECT_THAT(wait_graph_dot(run), Not(HasSubstr(".cc")));
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(WaitGraph, IsWrittenByRunAndReplay) {
  const ScratchFolder folder;
  const std::string of_run = folder.path() + "/run.dot", of_replay = folder.path() + "/replay.dot",
                    as_json = folder.path() + "/part.json";
  const Ended ran = lockstep({"run", "deadlock/two-lock", "--json", "--graph", of_run, "--out", folder.path()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(
      read(of_run),
      ContainsRegex("\"T1\" -> \"T2\" \\[label=\"wants B \\(scenarios/deadlock/two_lock.cc:[0-9]+\\)\\\\nT2 has "
                    "it \\(scenarios/deadlock/two_lock.cc:[0-9]+\\)\", style=bold, color=red\\];"));
  const std::string id = json::parse(ran.out)["id"];
  EXPECT_EQ(lockstep({"replay", id, "--graph", of_replay, "--out", folder.path()}).code, 0);
  EXPECT_EQ(read(of_replay), read(of_run));
  // One step before the cycle closes only one of them waits.
  EXPECT_EQ(lockstep({"replay", id, "--until", "5", "--graph", as_json, "--out", folder.path()}).code, 0);
  const json part = json::parse(read(as_json));
  EXPECT_TRUE(part["cycle"].empty());
  ASSERT_EQ(part["waits"].size(), 1u);
  EXPECT_EQ(part["waits"][0]["to"], "T2");
  const Ended nowhere = lockstep({"run", "deadlock/two-lock", "--no-record", "--graph", "/nonexistent/x.dot"});
  EXPECT_NE(nowhere.code, 0);
  EXPECT_THAT(nowhere.err, HasSubstr("/nonexistent/x.dot cannot be written: No such file or directory"));
}

}  // namespace
}  // namespace lockstep::cli
