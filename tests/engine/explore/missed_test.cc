// missed_test.cc: a bad end that a scenario expects and no run has; and what a search took for one step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/explore/explore.h"

namespace lockstep {
namespace {

using record::Verdict;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

struct World {
  int plain = 0;
};

Task<> adds_one(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", 1);
  co_await c.db.commit();
}

Scenario two_who_add(const std::string& expected) {
  return scenario("two add one")
      .given({{"A", 0}})
      .pattern("plain", "")
      .actor("T1", adds_one)
      .actor("T2", adds_one)
      .expect("kv", expected);
}

Exploration explored(const Scenario& scenario) {
  Result<Exploration> found = explore(scenario, {.run = {.protocol = "2pl-detect"}, .fewest_preemptions = false});
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
  return found.ok() ? std::move(*found) : Exploration{};
}

TEST(Missed, IsABadEndThatIsExpectedAndNeverSeen) {
  EXPECT_EQ(explored(two_who_add("2pl-detect: deadlock")).missed, Verdict::deadlock);
  EXPECT_EQ(explored(two_who_add("2pl-detect: clean")).missed, std::nullopt);
}

TEST(Grain, SaysWhatWasNoStep) {
  const Exploration plain = explored(two_who_add("2pl-detect: clean"));
  EXPECT_THAT(plain.grain, Contains(HasSubstr("between operations")));
  EXPECT_THAT(plain.grain, Contains(HasSubstr("first operation is no step")));
  EXPECT_THAT(plain.grain, Not(Contains(HasSubstr("variables"))));
  EXPECT_THAT(explored(two_who_add("2pl-detect: clean").with<World>()).grain,
              Contains(HasSubstr("variables that bodies share are not seen")));
}

}  // namespace
}  // namespace lockstep
