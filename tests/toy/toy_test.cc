// toy_test.cc: a store and a protocol that no line of the program knows (tests/toy/stores, tests/toy/protocols): every
// scenario that asks only what every store can do runs on them and is not judged, and every command takes them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/explore/explore.h"
#include "engine/run/run.h"
#include "scenarios/catalogue.h"
#include "tests/cli/child.h"

namespace lockstep::toy {
namespace {

using cli::Child;
using cli::Ended;
using cli::ScratchFolder;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

struct At {
  const char* store;
  const char* protocol;
};

void PrintTo(const At& at, std::ostream* out) { *out << at.store << "/" << at.protocol; }

class Toy : public ::testing::TestWithParam<At> {
 protected:
  /// `command` at these coordinates; the exit code must be `code`.
  Ended lockstep(std::vector<std::string> command, int code = 0) {
    const Ended ended = Child(command).wait(120);
    EXPECT_EQ(ended.code, code) << command.front() << " " << ended.out << ended.err;
    return ended;
  }
  nlohmann::json json_of(std::vector<std::string> command, int code = 0) {
    command.emplace_back("--json");
    return nlohmann::json::parse(lockstep(std::move(command), code).out, nullptr, false);
  }
  std::string store() const { return GetParam().store; }
  std::string protocol() const { return GetParam().protocol; }
};
INSTANTIATE_TEST_SUITE_P(Of, Toy, ::testing::Values(At{"toy", "in-turn"}, At{"kv", "toy-impatient"}),
                         [](const auto& info) { return std::string(info.index == 0 ? "Store" : "Protocol"); });

TEST_P(Toy, RunsEveryScenarioThatItCanAndIsNotJudged) {
  const BackendKind& kind = *backend_named(store());
  std::size_t ran = 0;
  for (const Scenario& scenario : scenarios::catalogue()) {
    for (const Pattern& pattern : scenario.patterns()) {
      if (!pattern.runs_on(kind, *kind.protocol_named(protocol()))) continue;
      for (const char* executor : {"threads", "coroutines"}) {
        SCOPED_TRACE(scenario.name + " " + pattern.name + " " + executor);
        const auto run = lockstep::run(
            scenario, {.store = store(), .protocol = protocol(), .pattern = pattern.name, .executor = executor});
        ASSERT_TRUE(run.ok()) << run.error().message;
        EXPECT_EQ(run->expected, pattern.expected(store(), protocol()));
        EXPECT_TRUE(run->ending == record::Ending::complete || run->ending == record::Ending::stuck) << run->summary;
        EXPECT_TRUE(run->virtual_time);
        EXPECT_FALSE(run->outcomes.faults.contains("unsupported")) << run->summary;
        ++ran;
      }
    }
  }
  EXPECT_GT(ran, 100U);
}

TEST_P(Toy, NeverShowsAnAnomalyThatSerializabilityRulesOut) {
  for (const char* name : {"isolation/lost-update", "isolation/write-skew", "isolation/dirty-read"}) {
    const auto explored = explore(*scenarios::find(name), {.run = {.store = store(), .protocol = protocol()}});
    ASSERT_TRUE(explored.ok()) << explored.error().message;
    EXPECT_TRUE(explored->complete) << name;
    EXPECT_EQ(explored->runs_ending(record::Verdict::anomaly), 0U) << name;
    EXPECT_GT(explored->interleavings, 1) << name;
  }
}

TEST_P(Toy, IsListedAndCompleted) {
  const std::string list = lockstep({"list", "--protocols"}).out;
  EXPECT_THAT(list, HasSubstr(store()));
  EXPECT_THAT(list, HasSubstr(protocol()));
  const std::vector<std::string> run = {"__complete", "--", "run", "deadlock/two-lock", "--store"};
  std::vector<std::string> words = run;
  words.emplace_back("");
  EXPECT_THAT(lockstep(words).out, HasSubstr(store()));
  words = run;
  words.insert(words.end(), {store(), "--protocol", ""});
  EXPECT_THAT(lockstep(words).out, HasSubstr(protocol()));
  EXPECT_THAT(lockstep({"help", "run"}).out, HasSubstr(store()));
}

TEST_P(Toy, RunsIsSavedReportedAndReplayed) {
  const ScratchFolder folder;
  const auto run =
      json_of({"run", "deadlock/two-lock", "--store", store(), "--protocol", protocol(), "--out", folder.path()});
  ASSERT_TRUE(run.is_object());
  EXPECT_EQ(run["store"], store());
  EXPECT_EQ(run["as_expected"], true);
  const std::string id = run["id"];
  EXPECT_THAT(lockstep({"replay", id, "--out", folder.path()}).out, HasSubstr("as recorded"));
  EXPECT_THAT(lockstep({"report", id, "--runs", folder.path(), "--format", "md", "--out", "-"}).out,
              HasSubstr(protocol()));
  EXPECT_THAT(lockstep({"runs", "--out", folder.path()}).out, HasSubstr(store()));
}

TEST_P(Toy, IsExplored) {
  const ScratchFolder folder;
  const auto explored = json_of({"explore", "deadlock/two-lock", "--store", store(), "--protocol", protocol(), "--out",
                                 folder.path(), "--graph", folder.path() + "/graph.json"});
  ASSERT_TRUE(explored.is_object());
  EXPECT_EQ(explored["complete"], true);
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/graph.json"));
}

TEST_P(Toy, IsCompared) {
  const auto compared =
      json_of({"compare", "money/transfer", "--store", store(), "--strategy", protocol(), "--sessions", "2", "--rounds",
               "1", "--for", "300ms", "--warmup", "10ms", "--no-record", "--history", "20"});
  ASSERT_TRUE(compared.is_object());
  EXPECT_THAT(compared.dump(), HasSubstr("\"claim\":\"serializable\""));
  EXPECT_THAT(compared.dump(), Not(HasSubstr("WRONG")));
}

TEST_P(Toy, IsCheckedAndMadeAMatrixOf) {
  const ScratchFolder folder;
  const auto is_here = [this](const nlohmann::json& cell) {
    return cell["store"] == store() && cell["protocol"] == protocol() && cell["expected"].is_null();
  };
  const auto checked = json_of({"check", "isolation", "--store", store()});
  ASSERT_TRUE(checked.is_object());
  const auto matrix = json_of({"matrix", "isolation", "--store", store(), "--out", folder.path()});
  ASSERT_TRUE(matrix.is_object());
  for (const auto& cells : {checked["cells"], matrix["cells"]}) {
    EXPECT_GT(std::count_if(cells.begin(), cells.end(), is_here), 3);
    for (const auto& cell : cells) EXPECT_EQ(cell["as_expected"], true) << cell.dump();
  }
  const std::string id = matrix["id"];
  EXPECT_THAT(lockstep({"report", id, "--runs", folder.path(), "--format", "md", "--out", "-"}).out,
              HasSubstr(protocol()));
  EXPECT_THAT(lockstep({"report", id, "--runs", folder.path(), "--format", "json", "--out", "-"}).out,
              HasSubstr(protocol()));
}

}  // namespace
}  // namespace lockstep::toy
