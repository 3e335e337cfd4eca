// json_test.cc: what scripts may rely on.
#include "cli/text/json.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/cli/sample_runs.h"

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> keys_of(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

TEST(Json, OfARunHasTheFieldsOfTheContractInTheirOrder) {
  const std::string text = run_json(samples::two_lock(), "runs/7f3a00c0ffee/run.sqlite");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << "one line";
  const Json json = Json::parse(text);
  EXPECT_THAT(keys_of(json), testing::ElementsAre("schema", "id", "scenario", "store", "store_version", "protocol",
                                                  "pattern", "executor", "schedule", "seed", "verdict", "as_expected",
                                                  "outcomes", "cycles", "victims", "invariants", "events", "wall_ms",
                                                  "recording", "summary", "why", "fix", "fix_command"));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["id"], "7f3a00c0ffee");
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["verdict"], "deadlock");
  EXPECT_EQ(json["as_expected"], true);
  EXPECT_EQ(json["outcomes"].dump(), R"({"committed":2,"aborted":1,"faults":{"deadlock":1},"retries":1})");
  EXPECT_EQ(json["cycles"].dump(), R"([["T1","T2"]])");
  EXPECT_EQ(json["victims"].dump(), R"(["T2"])");
  EXPECT_EQ(json["invariants"].dump(), R"([{"text":"money is conserved","held":true}])");
  EXPECT_EQ(json["events"], samples::two_lock().events.size());
  EXPECT_EQ(json["wall_ms"], 10.4);
  EXPECT_EQ(json["recording"], "runs/7f3a00c0ffee/run.sqlite");
}

TEST(Json, OfARunThatWasNotSavedNamesNoRecording) {
  const Json json = Json::parse(run_json(samples::two_lock(), ""));
  EXPECT_TRUE(json["recording"].is_null());
  EXPECT_TRUE(json["id"].is_null());
}

TEST(Json, SurvivesTextThatIsNotUtf8AndNumbersThatAreNone) {
  record::Run run = samples::two_lock();
  run.scenario = "broken \xff\x1b[31m";
  run.seed = UINT64_MAX;
  run.wall_ms = std::numeric_limits<double>::quiet_NaN();
  const Json json = Json::parse(run_json(run, ""));
  EXPECT_EQ(json["seed"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(json["wall_ms"], 0);
}

TEST(Json, OfABrokenInvariantGivesTheValues) {
  record::Run run = samples::two_lock();
  run.invariants = {{.text = "stock never below zero", .held = false, .detail = "stock=-1"}};
  EXPECT_EQ(Json::parse(run_json(run, ""))["invariants"].dump(),
            R"([{"text":"stock never below zero","held":false,"detail":"stock=-1"}])");
}

TEST(Json, OfSavedRunsNamesTheUnreadable) {
  record::SavedRun summary;
  summary.id = "7f3a00c0ffee";
  const Json json = Json::parse(runs_json("runs", {summary}, 3, {"runs/x"}));
  EXPECT_EQ(json["hidden"], 3);
  EXPECT_EQ(json["folder"], "runs");
  EXPECT_EQ(json["runs"][0]["id"], "7f3a00c0ffee");
  EXPECT_EQ(json["unreadable"][0], "runs/x");
}

}  // namespace
}  // namespace lockstep::cli
