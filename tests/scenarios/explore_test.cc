// explore_test.cc: the reduced search finds on every small scenario exactly what all its interleavings show.
#include "engine/explore/explore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;

/// By verdict and what: how many interleavings end so.
std::map<std::string, double> ends_of(const Exploration& explored) {
  std::map<std::string, double> ends;
  for (const Finding& each : explored.findings)
    ends[std::string(record::name_of(each.verdict)) + " " + each.what] = each.interleavings;
  return ends;
}

Exploration must_explore(const Scenario& scenario, const ExploreRequest& request) {
  Result<Exploration> explored = explore(scenario, request);
  EXPECT_TRUE(explored.ok()) << explored.error().message;
  return explored.ok() ? std::move(*explored) : Exploration{};
}

/// The parameter: a scenario that runs on kv or on in-process locks.
class Explore : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Catalogue, Explore, testing::ValuesIn(scenarios_on({"kv", "none"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(Explore, FindsWhatEveryInterleavingShows) {
  constexpr std::uint64_t kMost = 1'000;
  const Scenario& scenario = *scenarios::find(GetParam());
  int compared = 0;
  for (const char* store : {"kv", "none"}) {
    for (const RunRequest& coordinates : requests_on(scenario, store, "coroutines")) {
      SCOPED_TRACE(place_of(scenario, coordinates));
      RunRequest run = coordinates;
      run.schedule.clear();
      run.retries = 0;
      const Exploration every = must_explore(
          scenario, {.run = run, .strategy = Strategy::unreduced, .most_runs = kMost, .fewest_preemptions = false});
      if (!every.complete) continue;  // too many to be gone through one by one
      ++compared;
      const Exploration reduced = must_explore(scenario, {.run = run, .most_runs = kMost, .fewest_preemptions = false});
      EXPECT_TRUE(reduced.complete);
      EXPECT_EQ(ends_of(reduced), ends_of(every));
      EXPECT_EQ(reduced.interleavings, every.interleavings);
      EXPECT_LE(reduced.runs + reduced.pruned, every.runs);
      const Exploration bounded = must_explore(scenario, {.run = run, .strategy = Strategy::bounded});
      EXPECT_TRUE(bounded.complete);
      EXPECT_EQ(ends_of(bounded), ends_of(every));
      EXPECT_EQ(bounded.runs, reduced.runs);
    }
  }
  RecordProperty("compared", compared);
}

TEST(ExploreCatalogue, TellsThoseWhoStarveFromThoseWhoLoseOnce) {
  const Scenario& transfers = *scenarios::find("deadlock/two-lock");
  const ExploreRequest run_again{.run = {.protocol = "2pl-no-wait", .retries = 1}};
  const Exploration again = must_explore(transfers, run_again);
  EXPECT_TRUE(again.complete);
  EXPECT_GT(again.share_ending(record::Verdict::starved), 0);
  ASSERT_FALSE(again.findings.empty());
  const record::Run& shortest = again.findings.front().shortest;
  EXPECT_EQ(shortest.verdict, record::Verdict::starved);
  EXPECT_EQ(shortest.outcomes.committed, 1U);  // one of them lost twice while the other one got done
  EXPECT_EQ(shortest.outcomes.aborted, 2U);
  EXPECT_THAT(again.findings.front().what, testing::MatchesRegex("T[12] never got done, run again or not; others did"));
  // Every interleaving, one by one, says the same.
  ExploreRequest every = run_again;
  every.strategy = Strategy::unreduced;
  EXPECT_EQ(ends_of(must_explore(transfers, every)), ends_of(again));
  const Exploration once = must_explore(transfers, {.run = {.protocol = "2pl-no-wait", .retries = 0}});
  EXPECT_EQ(once.runs_ending(record::Verdict::starved), 0U);
}

TEST(ExploreCatalogue, ProvesThatOneOrderOfForksKeepsPhilosophersFromDeadlock) {
  const Scenario& dinner = *scenarios::find("threads/dining-philosophers");
  const Exploration naive = must_explore(dinner, {});
  EXPECT_TRUE(naive.complete);
  EXPECT_EQ(naive.runs_ending(record::Verdict::deadlock), 1U);
  EXPECT_EQ(naive.runs, 31U);
  EXPECT_EQ(naive.pruned, 0U);
  ASSERT_FALSE(naive.findings.empty());
  EXPECT_EQ(naive.findings.front().what, "P0 → P1 → P2 → P3 → P4 → P0");
  EXPECT_EQ(naive.findings.front().interleavings, 120);  // who takes a fork when: 5!
  const Exploration ordered = must_explore(dinner, {.run = {.pattern = "ordered"}});
  EXPECT_TRUE(ordered.complete);
  EXPECT_EQ(ordered.runs_ending(record::Verdict::deadlock), 0U);
}

TEST(ExploreCatalogue, RecordsAShortestRunThatDoesTheSameOnThreads) {
  const Scenario& transfer = *scenarios::find("deadlock/two-lock");
  const Exploration explored = must_explore(transfer, {});
  ASSERT_FALSE(explored.findings.empty());
  const Finding& worst = explored.findings.front();
  EXPECT_EQ(worst.verdict, record::Verdict::deadlock);
  EXPECT_FALSE(worst.shortest.events.empty());
  RunRequest again = explored.run;
  again.executor = "threads";
  again.schedule = worst.shortest.schedule;
  again.recording = true;
  const Result<record::Run> replayed = run(transfer, again);
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  EXPECT_EQ(story_of(*replayed), story_of(worst.shortest));
}

TEST(ExploreCatalogue, StopsAtItsBudgetAndSaysSo) {
  const Exploration some = must_explore(*scenarios::find("deadlock/two-lock"), {.most_runs = 3});
  EXPECT_FALSE(some.complete);
  EXPECT_EQ(some.runs + some.pruned, 3U);
}

/// All that does not depend on the clock.
std::string findings_of(const Exploration& explored) {
  std::string story = std::to_string(explored.runs) + " " + std::to_string(explored.pruned) + " " +
                      std::to_string(explored.interleavings) + (explored.complete ? " complete\n" : "\n");
  for (const Finding& each : explored.findings) {
    story += std::string(record::name_of(each.verdict)) + " " + each.what + " " + std::to_string(each.runs) + " " +
             std::to_string(each.interleavings) + " " + std::to_string(each.preemptions.value_or(-1)) + " " +
             each.shortest.schedule + "\n";
  }
  return story;
}

TEST(ExploreCatalogue, FindsTheSameWhateverTheNumberOfJobs) {
  const Scenario& ring = *scenarios::find("deadlock/three-cycle");
  RunRequest wound_wait{.protocol = "2pl-wound-wait"};
  wound_wait.retries = 2;
  for (const ExploreRequest& asked :
       {ExploreRequest{.run = wound_wait, .most_runs = 12'000},
        ExploreRequest{.run = {.store = "kv"}, .strategy = Strategy::walk, .most_runs = 3'000},
        ExploreRequest{.run = {.store = "kv"}, .strategy = Strategy::pos, .most_runs = 3'000}}) {
    // The budgets are of runs: the clock must not end a search.
    ExploreRequest request = asked;
    request.most_time = std::chrono::minutes(10);
    request.preemptions_least = std::chrono::minutes(1);
    request.jobs = 1;
    const Exploration alone = must_explore(ring, request);
    EXPECT_GT(alone.runs, is_sampling(request.strategy) ? 2048U : 4096U) << "too small to be divided";
    for (const int jobs : {2, 3}) {
      request.jobs = jobs;
      EXPECT_EQ(findings_of(must_explore(ring, request)), findings_of(alone))
          << name_of(request.strategy) << ", " << jobs << " jobs";
    }
  }
}

TEST(ExploreCatalogue, SaysHowFewPreemptionsADeadlockNeeds) {
  const Exploration naive =
      must_explore(*scenarios::find("threads/dining-philosophers"), {.preemptions_least = std::chrono::minutes(1)});
  ASSERT_FALSE(naive.findings.empty());
  const Exploration bounded =
      must_explore(*scenarios::find("threads/dining-philosophers"), {.strategy = Strategy::bounded});
  EXPECT_TRUE(bounded.complete);
  EXPECT_EQ(bounded.runs, naive.runs);
  EXPECT_EQ(bounded.interleavings, naive.interleavings);
  EXPECT_EQ(bounded.findings.front().preemptions, naive.findings.front().preemptions);
  EXPECT_TRUE(naive.findings.front().fewest_steps);
  EXPECT_EQ(bounded.findings.front().shortest.schedule, naive.findings.front().shortest.schedule);
}

TEST(ExploreCatalogue, ABoundedSearchSaysHowFarItHasSeenEverything) {
  const Exploration some =
      must_explore(*scenarios::find("deadlock/three-cycle"), {.strategy = Strategy::bounded, .most_runs = 300});
  EXPECT_FALSE(some.complete);
  EXPECT_GE(some.preemptions_seen, 0);
  const double sum = some.share_ending(record::Verdict::deadlock) + some.share_ending(record::Verdict::clean);
  EXPECT_DOUBLE_EQ(sum, 1);
}

TEST(ExploreCatalogue, GoesThroughTheInterleavingsOfSqlite) {
  const Exploration explored = must_explore(*scenarios::find("isolation/lost-update"), {.run = {.store = "sqlite"}});
  EXPECT_TRUE(explored.complete);
  EXPECT_GT(explored.runs, 1U);
  EXPECT_EQ(explored.runs_ending(record::Verdict::anomaly), 0U);
}

/// The database's own interleavings against those that the classes of its model stand for: a class that is not run, one
/// that the model does not tell from another, or a step that it lets go and the database does not, makes a difference.
void expect_the_model_to_stand_for(const std::string& scenario, const RunRequest& run) {
  SCOPED_TRACE(scenario + " on " + run.store + "/" + run.protocol);
  const Exploration direct = must_explore(*scenarios::find(scenario), {.run = run, .direct = true});
  const Exploration modelled = must_explore(*scenarios::find(scenario), {.run = run});
  EXPECT_TRUE(direct.complete);
  EXPECT_TRUE(direct.model.empty());
  EXPECT_TRUE(modelled.complete);
  EXPECT_FALSE(modelled.model.empty());
  EXPECT_EQ(modelled.runs, modelled.classes);
  EXPECT_LE(modelled.runs, direct.runs);
  EXPECT_EQ(modelled.interleavings, direct.interleavings);
  EXPECT_EQ(ends_of(modelled), ends_of(direct));
  for (const Disagreement& each : modelled.disagreements) ADD_FAILURE() << text_of(each.difference, run.store);
}

TEST(ExploreCatalogue, RunsOnSqliteWhatStandsForEveryInterleaving) {
  for (const char* protocol : {"immediate", "exclusive-wal"}) {
    RunRequest run{.store = "sqlite", .protocol = protocol};
    run.retries = 0;
    expect_the_model_to_stand_for("isolation/lost-update", run);
  }
}

TEST(ExploreCatalogue, SaysWhyThereIsNoModel) {
  const Exploration explored = must_explore(*scenarios::find("isolation/lost-update"), {.run = {.store = "sqlite"}});
  EXPECT_EQ(explored.why_no_model, "no protocol of kv stands for sqlite's deferred-wal");
  EXPECT_TRUE(explored.model.empty());
}

TEST(ExploreCatalogue, RunsOnPostgresWhatStandsForEveryInterleaving) {
  const std::optional<std::string> dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  for (const char* protocol : {"read-committed", "repeatable-read"}) {
    RunRequest run{.store = "postgres", .protocol = protocol, .dsn = *dsn};
    run.retries = 0;
    expect_the_model_to_stand_for("isolation/lost-update", run);
  }
}

TEST(ExploreCatalogue, SaysWherePostgresIsNotAsItsModel) {
  const std::optional<std::string> dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  // After a failed statement PostgreSQL takes nothing but a rollback; kv's transaction goes on.
  const Exploration explored =
      must_explore(*scenarios::find("atomicity/savepoint"),
                   {.run = {.store = "postgres", .protocol = "read-committed", .pattern = "plain", .dsn = *dsn}});
  EXPECT_TRUE(explored.complete);
  ASSERT_EQ(explored.disagreements.size(), 1U);
  const Disagreement& found = explored.disagreements.front();
  EXPECT_EQ(text_of(found.difference, "PostgreSQL"),
            "T1's write order/7: the model says succeeds, PostgreSQL says invalid, at step 4");
  EXPECT_EQ(found.classes, explored.classes);
  EXPECT_FALSE(found.run.events.empty());
  EXPECT_TRUE(found.run.documents.contains(kModelDifferenceDocument));
}

}  // namespace
}  // namespace lockstep
