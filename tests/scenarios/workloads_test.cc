// workloads_test.cc: every scenario of the catalogue that runs under load, for a short while: right wherever it does
// not say that it is not; and its invariants see what is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/load/compare.h"
#include "engine/load/round.h"
#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep::load {
namespace {

using scenarios_testing::test_dsn;
using scenarios_testing::test_name_of;
using testing::IsEmpty;
using testing::Not;

constexpr int kSessions = 4;

class EveryWorkload : public testing::TestWithParam<std::string> {
 protected:
  const Scenario& scenario() const { return *scenarios::find(GetParam()); }

  /// Some transactions of each session, on few rows, so that they meet.
  Result<RoundResult> run(const std::string& store, const std::string& protocol, const Pattern& pattern,
                          const std::string& executor) const {
    RoundRequest request;
    request.store = store;
    request.protocol = protocol;
    request.pattern = pattern.name;
    request.executor = executor;
    request.dsn = dsn_;
    request.sessions = kSessions;
    request.shape = {.rows = std::min<std::uint64_t>(scenario().rows_of_load_default(), 50),
                     .theta = 0.5,
                     .read_percent = 50,
                     .seed = 1};
    request.warmup = Nanos(0);
    request.measured = std::chrono::minutes(1);
    request.commits_most = commits_of(pattern, store, protocol);
    return run_round(scenario(), request, nullptr);
  }

  /// A server finds a deadlock after a while, and where every transaction meets one they add up.
  std::uint64_t commits_of(const Pattern& pattern, const std::string& store, const std::string& protocol) const {
    const bool waits_for_detection = backend_named(store)->traits.waits == Waits::external &&
                                     pattern.expected(store, protocol) == record::Verdict::deadlock;
    return waits_for_detection ? 2 : commits_;
  }

  void expect_right(const std::string& store, const std::string& protocol, const char* executor) const {
    for (const Pattern& pattern : scenario().patterns()) {
      if (!scenario().runs_under_load(pattern) || pattern.is_unsafe(store, protocol)) continue;
      const BackendKind& kind = *backend_named(store);
      if (!pattern.runs_on(kind, *kind.protocol_named(protocol))) continue;
      SCOPED_TRACE(fmt::format("{} {} {} on {}", store, protocol, pattern.name, executor));
      const Result<RoundResult> result = run(store, protocol, pattern, executor);
      ASSERT_TRUE(result.ok()) << result.error().message;
      EXPECT_THAT(result->broken, IsEmpty());
      EXPECT_THAT(result->note, IsEmpty());
      EXPECT_EQ(result->committed, kSessions * commits_of(pattern, store, protocol));
    }
  }

  /// What the invariants say of a round that began with the rows of `shape`.
  std::string broken(const State& state, const Counts& counts, const Shape& shape) const {
    const State start = scenario().rows_of_load(shape);
    const std::shared_ptr<void> world = scenario().make_world();
    std::string all;
    for (const InvariantSpec& invariant : scenario().invariants()) {
      const Held found =
          invariant.holds(Final(state, nullptr, scenario().world_type(), world.get()).with(start, shape, counts));
      if (!found.held) all += invariant.text + ": " + found.wrong + "\n";
    }
    return all;
  }

  std::string dsn_;
  std::uint64_t commits_ = 25;  ///< of each session
};

TEST_P(EveryWorkload, IsRightOnKv) {
  for (const char* protocol : {"2pl-detect", "2pl-wound-wait", "occ", "ssi"}) expect_right("kv", protocol, "threads");
  for (const char* protocol : {"2pl-no-wait", "snapshot"}) expect_right("kv", protocol, "coroutines");
}

TEST_P(EveryWorkload, IsRightOnSqlite) { expect_right("sqlite", "immediate", "threads"); }

TEST_P(EveryWorkload, IsRightOnPostgres) {
  const auto dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "no PostgreSQL: no server programs here, and LOCKSTEP_TEST_DSN is not set";
  dsn_ = *dsn;
  commits_ = 8;  // a server is slower
  expect_right("postgres", "read-committed", "threads");
  expect_right("postgres", "serializable", "coroutines");
}

/// One short comparison of one strategy.
Result<Compared> compared_on(const std::string& store, const std::string& strategy, const std::string& dsn) {
  CompareRequest request{
      .round = {}, .strategies = {strategy}, .sessions = {2}, .thetas = {0}, .read_percents = {}, .rounds = 1};
  request.history_percent = 0;
  request.round.store = store;
  request.round.dsn = dsn;
  request.round.warmup = Nanos(0);
  request.round.measured = std::chrono::milliseconds(50);
  return compare(*scenarios::find("money/hot-counter"), request, nullptr, {});
}

TEST(WaitsOfAComparison, AreCountedWhereTheyAreInThisProcess) {
  const Result<Compared> compared = compared_on("kv", "2pl-detect", "");
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  const record::ComparedRow& row = compared->comparison.groups.front().strategies.front();
  EXPECT_TRUE(row.waits && row.wait_s);
  EXPECT_THAT(compared->comparison.notes, testing::Each(Not(testing::HasSubstr("not counted"))));
}

TEST(WaitsOfAComparison, AreSaidNotToBeCountedWhereTheyAreInAServer) {
  const auto dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "no PostgreSQL: no server programs here, and LOCKSTEP_TEST_DSN is not set";
  const Result<Compared> compared = compared_on("postgres", "read-committed", *dsn);
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  const record::ComparedRow& row = compared->comparison.groups.front().strategies.front();
  EXPECT_FALSE(row.waits || row.wait_s) << "0 waits would be a measurement";
  EXPECT_THAT(compared->comparison.notes,
              testing::Contains("waits for locks in PostgreSQL are not counted: what they cost is in the latency"));
}

TEST_P(EveryWorkload, HoldsAtTheStartAndSeesWhatIsMissing) {
  const Shape shape{.rows = 20};
  const State state = scenario().rows_of_load(shape);
  EXPECT_TRUE(std::is_sorted(state.begin(), state.end()));
  EXPECT_THAT(broken(state, {}, shape), IsEmpty());
  Counts one_more;
  one_more[0] = 1;
  const State one_less(state.begin(), state.end() - 1);
  State one_changed = state;
  one_changed.front().second = "-7";
  EXPECT_THAT(broken(state, one_more, shape) + broken(one_less, {}, shape) + broken(one_changed, {}, shape),
              Not(IsEmpty()));
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Scenario& scenario : scenarios::catalogue()) {
    if (scenario.runs_under_load()) all.push_back(scenario.name);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Catalogue, EveryWorkload, testing::ValuesIn(names()),
                         [](const auto& info) { return test_name_of(info.param); });

}  // namespace
}  // namespace lockstep::load
