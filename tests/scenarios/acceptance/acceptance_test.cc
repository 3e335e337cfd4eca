// acceptance_test.cc: how the cases must be judged, and what must be said of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/explore/explore.h"
#include "engine/run/run.h"
#include "tests/engine/temporary_folder.h"
#include "tests/scenarios/acceptance/cases.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;
using record::Verdict;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

record::Run must_run(const Scenario& scenario, const RunRequest& request) {
  Result<record::Run> ran = run(scenario, request);
  EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
  return ran.ok() ? std::move(*ran) : record::Run{};
}

Exploration must_explore(const Scenario& scenario, const std::string& pattern) {
  Result<Exploration> explored = explore(scenario, {.run = {.pattern = pattern}});
  EXPECT_TRUE(explored.ok()) << (explored.ok() ? "" : explored.error().message);
  return explored.ok() ? std::move(*explored) : Exploration{};
}

double interleavings_ending(const Exploration& explored, Verdict verdict) {
  double sum = 0;
  for (const Finding& each : explored.findings) sum += each.verdict == verdict ? each.interleavings : 0;
  return sum;
}

TEST(Acceptance, AHangAfterABrokenDeadlockIsAHang) {
  Scenario scenario = scenarios::cases_stuck_after_cycle();
  for (const char* executor : {"threads", "coroutines"}) {
    const record::Run run = must_run(scenario, {.protocol = "2pl-detect", .executor = executor});
    EXPECT_EQ(run.verdict, Verdict::hung) << run.summary;
    EXPECT_THAT(run.summary, HasSubstr("T1 wants never given"));
    EXPECT_THAT(run.cycles, testing::IsEmpty());
  }
  const Exploration explored = must_explore(scenario, "plain");
  EXPECT_TRUE(explored.complete);
  EXPECT_EQ(explored.share_ending(Verdict::hung), 1);
}

TEST(Acceptance, AnInvariantOfAnUnfinishedRunStandsBesideTheVerdict) {
  const record::Run run = must_run(scenarios::cases_deadlock_invariant(), {});
  EXPECT_EQ(run.verdict, Verdict::deadlock);
  EXPECT_TRUE(run.as_expected());
  ASSERT_EQ(run.invariants.size(), 1U);
  EXPECT_FALSE(run.invariants[0].held);
  EXPECT_THAT(run.why, HasSubstr("T1 wants b, which T2 has; T2 wants a, which T1 has. Nobody breaks the circle."));
}

TEST(Acceptance, AJoinUnderTheLockThatTheJoinedOneWantsIsACircle) {
  const Scenario scenario = scenarios::cases_join_holding();
  for (const char* executor : {"threads", "coroutines"}) {
    const record::Run run = must_run(scenario, {.pattern = "plain", .executor = executor});
    EXPECT_EQ(run.verdict, Verdict::deadlock) << run.summary;
    EXPECT_THAT(run.cycles, ElementsAre(ElementsAre("shutdown", "bundle")));
  }
  EXPECT_EQ(must_run(scenario, {.pattern = "unlocked"}).verdict, Verdict::clean);
}

TEST(Acceptance, AWorkerThatWaitsForItsOwnQueueHangs) {
  const Scenario scenario = scenarios::cases_nested_pool();
  EXPECT_EQ(must_run(scenario, {.pattern = "plain"}).verdict, Verdict::hung);
  EXPECT_EQ(must_run(scenario, {.pattern = "helps"}).verdict, Verdict::clean);
}

TEST(Acceptance, VariablesThatAreStepsAreSearched) {
  const Scenario scenario = scenarios::cases_shared_var();
  const Exploration lost = must_explore(scenario, "lost");
  EXPECT_TRUE(lost.complete);
  EXPECT_EQ(lost.interleavings, 8);
  EXPECT_EQ(interleavings_ending(lost, Verdict::hung), 1);
  EXPECT_EQ(interleavings_ending(must_explore(scenario, "lost-fixed"), Verdict::hung), 0);
  const Exploration twice = must_explore(scenario, "dcl");
  EXPECT_TRUE(twice.complete);
  EXPECT_EQ(twice.interleavings, 8);
  EXPECT_EQ(interleavings_ending(twice, Verdict::anomaly), 6);
  EXPECT_EQ(interleavings_ending(must_explore(scenario, "dcl-recheck"), Verdict::anomaly), 0);
  for (const Pattern& pattern : scenario.patterns())
    EXPECT_TRUE(must_run(scenario, {.pattern = pattern.name}).as_expected()) << pattern.name;
}

/// Runs it in a process of its own, which ends as the program does: recorded, with exit code 1.
void expect_told_of_own_code(const std::string& pattern, const std::string& executor, const std::string& summary) {
  SCOPED_TRACE(pattern + " " + executor);
  const TemporaryFolder folder;
  const auto run_until_told = [&] {
    RunRequest request{.pattern = pattern, .executor = executor};
    request.on_own_code = [&](const OwnCode&, record::Run& told) {
      const bool saved = record::save(told, folder.path()).ok();
      ::_exit(saved ? 1 : 2);
    };
    (void)run(scenarios::cases_std_mutex().own_code_at_most(std::chrono::milliseconds(300)), request);
    ::_exit(3);
  };
  EXPECT_EXIT(run_until_told(), testing::ExitedWithCode(1), "");
  const auto all = record::list(folder.path());
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_EQ(all->size(), 1U);
  const auto saved = record::load(all->front().path);
  ASSERT_TRUE(saved.ok()) << saved.error().message;
  EXPECT_EQ(saved->verdict, Verdict::hung);
  EXPECT_FALSE(saved->as_expected()) << "no deadlock is claimed of locks that nobody has seen";
  EXPECT_THAT(saved->summary, testing::ContainsRegex(summary));
  EXPECT_THAT(saved->why, HasSubstr("gdb -p"));
}

TEST(Acceptance, ALockOfTheLanguageIsToldOfAsOwnCode) {
  for (const char* executor : {"threads", "coroutines"}) {
    expect_told_of_own_code("held", executor, "^T2 has been in its own code for 0.[3-9] s since its begin");
    expect_told_of_own_code("inversion", executor,
                            "^T1 has been in its own code for 0.[3-9] s since step [0-9]+ in .*std_mutex.cc:[0-9]+");
  }
}

TEST(Acceptance, TheSameUnderTheNamesOfTheStandardLibraryIsJudged) {
  const Scenario scenario = scenarios::cases_std_mutex_named();
  for (const char* executor : {"threads", "coroutines"}) {
    const record::Run held = must_run(scenario, {.pattern = "held", .executor = executor});
    EXPECT_EQ(held.verdict, Verdict::clean) << held.summary;
    const record::Run inversion = must_run(scenario, {.pattern = "inversion", .executor = executor});
    EXPECT_EQ(inversion.verdict, Verdict::deadlock) << inversion.summary;
    EXPECT_THAT(inversion.why, HasSubstr("T1 wants b, which T2 has; T2 wants a, which T1 has."));
    const record::Run join = must_run(scenario, {.pattern = "join", .executor = executor});
    EXPECT_EQ(join.verdict, Verdict::deadlock) << join.summary;
    EXPECT_THAT(join.cycles, ElementsAre(ElementsAre("T1", "T2")));
  }
  EXPECT_EQ(must_explore(scenario, "inversion").share_ending(Verdict::clean) +
                must_explore(scenario, "inversion").share_ending(Verdict::deadlock),
            1);
}

TEST(Acceptance, AMistakeInTheSqlIsNeverAsExpected) {
  const Scenario scenario = scenarios::cases_typo();
  for (const char* pattern : {"table", "syntax"}) {
    const record::Run run = must_run(scenario, {.store = "sqlite", .pattern = pattern});
    EXPECT_EQ(run.verdict, Verdict::error) << pattern;
    EXPECT_FALSE(run.as_expected()) << pattern;
    EXPECT_TRUE(run.documents.contains(record::kProgramErrorDocument)) << pattern;
  }
  EXPECT_THAT(must_run(scenario, {.store = "sqlite", .pattern = "table"}).summary, HasSubstr("no such table: tt"));
  const record::Run unique = must_run(scenario, {.store = "sqlite", .pattern = "unique"});
  EXPECT_EQ(unique.verdict, Verdict::error) << "an error of the application that nobody handled";
  EXPECT_FALSE(unique.documents.contains(record::kProgramErrorDocument));
  const auto ddl = run(scenario, {.store = "sqlite", .pattern = "ddl"});
  ASSERT_FALSE(ddl.ok());
  EXPECT_THAT(ddl.error().message, HasSubstr("creat"));
}

class AcceptanceOnPostgres : public testing::Test {
 protected:
  void SetUp() override {
    const std::optional<std::string> dsn = test_dsn();
    if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
    dsn_ = *dsn;
  }

  record::Run on_postgres(const Scenario& scenario, const std::string& pattern, const std::string& executor = "threads",
                          const std::string& schedule = {}) {
    return must_run(scenario, {.store = "postgres",
                               .pattern = pattern,
                               .executor = executor,
                               .schedule = schedule,
                               .dsn = dsn_,
                               .limit = std::chrono::seconds(20)});
  }

  std::string dsn_;
};

TEST_F(AcceptanceOnPostgres, ShowsTheServersSentenceOfAMistake) {
  const Scenario scenario = scenarios::cases_typo();
  const record::Run table = on_postgres(scenario, "table");
  EXPECT_EQ(table.verdict, Verdict::error);
  EXPECT_FALSE(table.as_expected());
  EXPECT_THAT(table.summary, HasSubstr("42P01: insert into tt values (1): relation \"tt\" does not exist"));
  const record::Run syntax = on_postgres(scenario, "syntax");
  EXPECT_FALSE(syntax.as_expected());
  EXPECT_THAT(syntax.summary, HasSubstr("42601"));
  const record::Run unique = on_postgres(scenario, "unique");
  EXPECT_EQ(unique.verdict, Verdict::error);
  EXPECT_THAT(unique.summary, HasSubstr("23505"));
  EXPECT_EQ(on_postgres(scenario, "multi").verdict, Verdict::clean);
}

TEST_F(AcceptanceOnPostgres, AnUnhandledUniqueViolationIsTheIncident) {
  const Scenario scenario = scenarios::cases_upsert_two_unique();
  const record::Run plain = on_postgres(scenario, "plain");
  EXPECT_EQ(plain.verdict, Verdict::error) << plain.summary;
  EXPECT_TRUE(plain.as_expected());
  EXPECT_THAT(plain.summary, HasSubstr("T2 23505"));
  EXPECT_EQ(on_postgres(scenario, "any").verdict, Verdict::clean);
}

TEST_F(AcceptanceOnPostgres, NothingThatHasCommittedIsRunAgain) {
  for (const char* executor : {"threads", "coroutines"}) {
    for (const char* schedule : {"", "free"}) {
      const record::Run run = on_postgres(scenarios::cases_retry_autocommit(), "plain", executor, schedule);
      ASSERT_EQ(run.invariants.size(), 1U);
      EXPECT_TRUE(run.invariants[0].held) << executor << " " << schedule << " " << run.invariants[0].detail;
      if (*schedule == '\0') {
        EXPECT_EQ(run.verdict, Verdict::deadlock) << run.summary;
        EXPECT_EQ(run.outcomes.retries, 0U);
      }
    }
  }
}

TEST_F(AcceptanceOnPostgres, TheSessionSaysWhetherATransactionIsOpen) {
  const Scenario scenario = scenarios::cases_raw_tx();
  const record::Run ordered = on_postgres(scenario, "ordered");
  EXPECT_EQ(ordered.verdict, Verdict::abort) << ordered.summary;
  EXPECT_EQ(ordered.outcomes.committed, 2U);
  EXPECT_FALSE(ordered.outcomes.faults.contains("invalid"));
  const record::Run crossed = on_postgres(scenario, "crossed");
  EXPECT_EQ(crossed.verdict, Verdict::deadlock) << crossed.summary;
  EXPECT_EQ(crossed.outcomes.committed, 2U);
  const record::Run goes_on = on_postgres(scenario, "goes-on");
  EXPECT_EQ(goes_on.verdict, Verdict::error) << goes_on.summary;
  EXPECT_FALSE(goes_on.as_expected());
  EXPECT_THAT(goes_on.summary, HasSubstr("25P02"));
}

TEST_F(AcceptanceOnPostgres, NamesTheStatementsWhoseInsideWasNotSearched) {
  const Scenario scenario = scenarios::cases_upsert_gated();
  EXPECT_EQ(on_postgres(scenario, "plain").verdict, Verdict::deadlock);
  ExploreRequest request{.run = {.store = "postgres", .pattern = "plain", .dsn = dsn_}, .direct = true};
  request.most_runs = 40;
  const Result<Exploration> explored = explore(scenario, request);
  ASSERT_TRUE(explored.ok()) << explored.error().message;
  EXPECT_THAT(explored->grain, Contains(HasSubstr("between statements")));
  EXPECT_THAT(explored->grain, Contains(HasSubstr("touches 2 rows")));
}

std::string all_facts(const record::Run& run) {
  std::string all;
  for (const record::Event& event : run.events) {
    for (const auto& [name, text] : event.facts) all += name + ": " + text + "\n";
  }
  return all;
}

TEST_F(AcceptanceOnPostgres, PartitionMaintenanceNamesTheTableAndTheMode) {
  const Scenario scenario = scenarios::cases_partition_maintenance();
  const record::Run plain = on_postgres(scenario, "plain");
  EXPECT_EQ(plain.verdict, Verdict::deadlock) << plain.summary;
  EXPECT_TRUE(plain.as_expected());
  EXPECT_THAT(plain.cycles, ElementsAre(testing::UnorderedElementsAre("query", "maintenance")));
  const std::string facts = all_facts(plain);
  EXPECT_THAT(facts, HasSubstr("lock: AccessShareLock on table parent_default"));
  EXPECT_THAT(facts, HasSubstr("lock: AccessExclusiveLock on table parent_table"));
  EXPECT_THAT(facts, HasSubstr("detail: Process ")) << "the server's DETAIL";
  const record::Run ordered = on_postgres(scenario, "parent-first");
  EXPECT_EQ(ordered.verdict, Verdict::clean) << ordered.summary;
  EXPECT_TRUE(ordered.as_expected());
}

const char* const kTakeLock = "select pg_advisory_lock('kv'::regclass::int, 5)";

Task<> takes_and_ends(Context& c) { co_await c.db.execute(kTakeLock); }

Task<> sleeps(Context& c) { co_await c.db.execute("select pg_sleep(30)"); }

TEST_F(AcceptanceOnPostgres, WhoWaitsForASessionThatHasEndedHangsAtOnce) {
  const Scenario scenario = lockstep::scenario("a lock of the session that nobody gives back")
                                .pattern("plain", "")
                                .actor("T1", takes_and_ends)
                                .actor("T2", takes_and_ends)
                                .schedule("T1 T2")
                                .expect("postgres", "*: hung");
  for (const char* executor : {"threads", "coroutines"}) {
    for (const char* schedule : {"", "free"}) {
      const record::Run run = on_postgres(scenario, "plain", executor, schedule);
      EXPECT_EQ(run.verdict, Verdict::hung) << run.summary;
      EXPECT_LT(run.wall_ms, 10'000) << executor << " " << schedule;
    }
  }
}

TEST_F(AcceptanceOnPostgres, ABudgetHoldsWhateverTheStatementDoes) {
  const Scenario scenario =
      lockstep::scenario("a long statement").pattern("plain", "").actor("T1", sleeps).expect("postgres", "*: clean");
  ExploreRequest request{.run = {.store = "postgres", .dsn = dsn_}, .direct = true};
  request.most_time = std::chrono::seconds(1);
  const auto begun = std::chrono::steady_clock::now();
  const Result<Exploration> explored = explore(scenario, request);
  EXPECT_TRUE(explored.ok()) << explored.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(6));
  EXPECT_FALSE(explored->complete);
  EXPECT_FALSE(explored->interrupted);
  EXPECT_THAT(explored->findings, testing::IsEmpty()) << "a run that was cut short says nothing";
}

}  // namespace
}  // namespace lockstep
