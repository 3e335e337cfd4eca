// schedule_file_test.cc: a schedule file comes back, does the same again, and says at which step it does not.
#include "engine/run/schedule_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;
using testing::HasSubstr;

std::string text_of(const std::string& name, const RunRequest& request = {}) {
  const Scenario& scenario = *scenarios::find(name);
  const Result<record::Run> ran = run(scenario, request);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  const Result<ScheduleFile> file = written_down(scenario, *ran);
  EXPECT_TRUE(file.ok()) << file.error().message;
  return to_text(*file);
}

Result<Replay> replay_text(const std::string& text, const ReplayOptions& options = {}) {
  const Result<ScheduleFile> file = schedule_file_of(text);
  if (!file) return file.error();
  return replay(*scenarios::find(file->scenario), *file, options);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

/// The parameter: a scenario that runs in this process.
class ScheduleFiles : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, ScheduleFiles, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(ScheduleFiles, ComesBackAndDoesTheSameAgainOnThreads) {
  const Scenario& scenario = *scenarios::find(GetParam());
  for (const char* store : {"kv", "none"}) {
    const std::vector<RunRequest> requests = requests_on(scenario, store, "coroutines");
    if (requests.empty()) continue;
    const RunRequest& request = requests.front();
    SCOPED_TRACE(place_of(scenario, request));
    const std::string text = text_of(GetParam(), request);
    const Result<ScheduleFile> file = schedule_file_of(text);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(to_text(*file), text);
    const Result<Replay> again = replay(scenario, *file, {.times = 2});
    ASSERT_TRUE(again.ok()) << again.error().message;
    ASSERT_FALSE(again->divergence) << again->divergence->step << ": " << again->divergence->recorded << " / "
                                    << again->divergence->happened;
    EXPECT_EQ(again->identical, 2U);
    EXPECT_EQ(again->run.verdict, file->verdict);
  }
}

TEST(ScheduleFile, IsTheSameAThousandTimes) {
  const Result<Replay> often = replay_text(text_of("threads/two-lock"), {.times = 1000});
  ASSERT_TRUE(often.ok()) << often.error().message;
  EXPECT_EQ(often->identical, 1000U);
  EXPECT_EQ(often->run.verdict, record::Verdict::deadlock);
}

TEST(ScheduleFile, AnEditShowsAtItsStep) {
  const std::string text = text_of("threads/two-lock");
  const auto expect_divergence = [](const std::string& edited, std::size_t step, const std::string& recorded,
                                    const std::string& happened) {
    const Result<Replay> again = replay_text(edited);
    ASSERT_TRUE(again.ok()) << again.error().message;
    ASSERT_TRUE(again->divergence) << edited;
    EXPECT_EQ(again->divergence->step, step);
    EXPECT_THAT(again->divergence->recorded, HasSubstr(recorded));
    EXPECT_THAT(again->divergence->happened, HasSubstr(happened));
  };
  // T1 could take B then, so the change shows at the next step.
  expect_divergence(replaced(text, R"("step":2,"actor":"T2")", R"("step":2,"actor":"T1")"), 3, "T1, T2 can go",
                    "T2 can go");
  expect_divergence(replaced(text, R"("object":"A")", R"("object":"C")"), 1, "lock C", "lock A");
  expect_divergence(replaced(text, R"("enabled":["T1","T2"])", R"("enabled":["T1"])"), 1, "T1 can go", "T1, T2 can go");
  expect_divergence(replaced(text, R"("verdict":"deadlock")", R"("verdict":"clean")"), 5, "the end: clean", "deadlock");
}

TEST(ScheduleFile, WhatDoesNotFitIsRefused) {
  const std::string text = text_of("threads/two-lock");
  const auto refusal = [](const std::string& other) {
    const Result<Replay> again = replay_text(other);
    EXPECT_FALSE(again.ok()) << other;
    return again.ok() ? std::string() : again.error().message;
  };
  EXPECT_THAT(refusal(""), HasSubstr("this is no schedule file"));
  EXPECT_THAT(refusal("{}\n"), HasSubstr("this is no schedule file"));
  EXPECT_THAT(refusal("T1 T2\n"), HasSubstr("line 1"));
  EXPECT_THAT(refusal(replaced(text, "\"version\":1", "\"version\":7")),
              HasSubstr("version 7, this program reads version 1"));
  EXPECT_THAT(refusal(text.substr(0, text.rfind("{\"step\":4"))), HasSubstr("ends after 3 of 4 steps"));
  EXPECT_THAT(refusal(replaced(text, R"("step":2,"actor":"T2")", R"("step":2,"actor":"T9")")),
              HasSubstr("no actor \"T9\""));
  EXPECT_THAT(refusal(replaced(text, "{\"step\":2", "{\"step\":3")), HasSubstr("step 3 follows step 1"));
  EXPECT_THAT(refusal(replaced(text, "\"threads/two-lock\"", "\"threads/three-cycle\"")), HasSubstr("has the actors"));
}

TEST(ScheduleFile, TheFreeScheduleIsNone) {
  record::Run run;
  run.schedule = "free";
  EXPECT_FALSE(written_down(*scenarios::find("threads/two-lock"), run).ok());
}

}  // namespace
}  // namespace lockstep
