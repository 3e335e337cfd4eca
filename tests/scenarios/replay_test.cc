// replay_test.cc: a recorded run happens again on real threads, and a recording that does not fit is refused loudly.
#include "engine/run/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/run.h"
#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;
using testing::HasSubstr;

record::Run recorded(const std::string& name, const RunRequest& request = {}) {
  Result<record::Run> ran = run(*scenarios::find(name), request);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  return ran.ok() ? std::move(*ran) : record::Run{};
}

Replay must_replay(const record::Run& run, const ReplayOptions& options = {}) {
  Result<Replay> replayed = replay(*scenarios::find(run.scenario), run, options);
  EXPECT_TRUE(replayed.ok()) << replayed.error().message;
  return replayed.ok() ? std::move(*replayed) : Replay{};
}

/// The parameter: a scenario that runs in this process.
class ReplayInProcess : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Catalogue, ReplayInProcess, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(ReplayInProcess, DoesTheSameAgainOnThreads) {
  const Scenario& scenario = *scenarios::find(GetParam());
  for (const char* store : {"kv", "none"}) {
    for (const RunRequest& request : requests_on(scenario, store, "coroutines")) {
      SCOPED_TRACE(place_of(scenario, request));
      const record::Run first = recorded(GetParam(), request);
      const Replay again = must_replay(first);
      ASSERT_FALSE(again.divergence) << again.divergence->recorded << " / " << again.divergence->happened;
      EXPECT_EQ(again.run.verdict, first.verdict);
      EXPECT_EQ(story_of(again.run), story_of(first));
    }
  }
}

TEST(Replay, IsTheSameAThousandTimes) {
  const record::Run first = recorded("deadlock/two-lock");
  for (int i = 0; i < kRepetitions; ++i) {
    const Replay again = must_replay(first);
    ASSERT_FALSE(again.divergence) << "replay " << i << ": " << again.divergence->happened;
    ASSERT_EQ(again.run.events.size(), first.events.size());
  }
}

TEST(Replay, StopsAfterSoManySteps) {
  const record::Run first = recorded("deadlock/two-lock");
  const Replay part = must_replay(first, {.until = 5});
  EXPECT_TRUE(part.stopped);
  EXPECT_EQ(part.steps, 5U);
  ASSERT_FALSE(part.run.events.empty());
  EXPECT_LT(part.run.events.size(), first.events.size());
  EXPECT_EQ(part.run.events.back().seq, part.run.events.size());
  const Replay none = must_replay(first, {.until = 0});
  EXPECT_TRUE(none.run.events.empty());
}

TEST(Replay, KeepsTheOptionsOfTheRun) {
  const record::Run first = recorded(
      "deadlock/two-lock", {.protocol = "2pl-timeout", .lock_timeout = std::chrono::milliseconds(7), .retries = 3});
  const Replay again = must_replay(first);
  EXPECT_FALSE(again.divergence);
  EXPECT_EQ(again.run.verdict, first.verdict);
}

TEST(Replay, StopsAtTheFirstEventThatDiffers) {
  record::Run edited = recorded("deadlock/two-lock");
  record::Event& event = edited.events.at(3);
  const std::uint64_t seq = event.seq;
  event.object = "another key";
  const Replay again = must_replay(edited);
  ASSERT_TRUE(again.divergence);
  EXPECT_EQ(again.divergence->seq, seq);
  EXPECT_THAT(again.divergence->recorded, HasSubstr("another key"));
  EXPECT_EQ(again.run.events.size(), seq);
}

TEST(Replay, SaysThatTheRecordingEndsTooEarly) {
  record::Run cut = recorded("deadlock/two-lock");
  cut.events.resize(6);
  const Replay again = must_replay(cut);
  ASSERT_TRUE(again.divergence);
  EXPECT_EQ(again.divergence->recorded, "nothing more");
}

TEST(Replay, SaysWhoCannotGoInAScheduleThatWasEdited) {
  record::Run edited = recorded("threads/two-lock");
  edited.schedule = "T1 T2 T1 T1";
  const Replay again = must_replay(edited);
  ASSERT_TRUE(again.divergence);
  EXPECT_EQ(again.divergence->happened, "T1 waits");
}

TEST(Replay, RefusesWhatCannotBeReplayed) {
  record::Run run = recorded("deadlock/two-lock");
  const auto refusal = [&run] {
    const Result<Replay> refused = replay(*scenarios::find("deadlock/two-lock"), run, {});
    return refused.ok() ? std::string("accepted") : refused.error().message;
  };
  run.pattern = "gone";
  EXPECT_THAT(refusal(), HasSubstr("no pattern \"gone\""));
  run.pattern = "plain";
  run.actors = {"T1"};
  EXPECT_EQ(refusal(), "deadlock/two-lock has the actors T1, T2; the recording has T1");
  run.schedule = "free";
  EXPECT_THAT(refusal(), HasSubstr("free schedule cannot be replayed"));
}

TEST(Replay, DoesTheSameAgainOnPostgres) {
  const std::optional<std::string> dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  const record::Run first = recorded("deadlock/two-lock", {.store = "postgres", .dsn = *dsn});
  const Replay again = must_replay(first, {.dsn = *dsn});
  EXPECT_FALSE(again.divergence) << again.divergence->recorded << " / " << again.divergence->happened;
}

/// Of a server that looks at once, the session that closes the circle pays; of one that takes its time, the session
/// that waited first. The replay makes the recorded one pay.
TEST(Replay, MakesTheRecordedOnePayForADeadlock) {
  const std::optional<std::string> dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  record::Run first;
  for (int i = 0; i < 20 && first.victims != std::vector<std::string>{"T2"}; ++i) {
    first = recorded("deadlock/two-lock",
                     {.store = "postgres", .dsn = *dsn, .deadlock_timeout = std::chrono::milliseconds(1)});
  }
  ASSERT_EQ(first.victims, std::vector<std::string>{"T2"});
  // Time enough for T2 to close the circle before the server looks at the wait of T1.
  first.environment.at("option deadlock-timeout-ns") = "500000000";
  const Replay again = must_replay(first, {.dsn = *dsn});
  EXPECT_FALSE(again.divergence) << again.divergence->recorded << " / " << again.divergence->happened;
  EXPECT_GE(again.other_victims, 1U);
}

}  // namespace
}  // namespace lockstep
