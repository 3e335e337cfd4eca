// victim_choice_test.cc: the policy that a pattern tunes reaches the store, and costs whom the scenario says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/run.h"
#include "scenarios/catalogue.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

std::vector<std::string> victims_of(const std::string& pattern) {
  const Result<record::Run> ran =
      run(*scenarios::find("avoidance/victim-choice"), {.store = "kv", .protocol = "2pl-detect", .pattern = pattern});
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  return ran.ok() ? ran->victims : std::vector<std::string>{};
}

TEST(VictimChoice, IsTheOneOfThePattern) {
  EXPECT_THAT(victims_of("youngest"), ElementsAre("long")) << "which began last";
  EXPECT_THAT(victims_of("oldest"), ElementsAre("long")) << "which began first";
  EXPECT_THAT(victims_of("least-work"), ElementsAre("short"));
}

TEST(VictimChoice, SparesARetry) { EXPECT_THAT(victims_of("ageing"), ElementsAre("short", "long2")); }

}  // namespace
}  // namespace lockstep
