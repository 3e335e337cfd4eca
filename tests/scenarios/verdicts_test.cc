// verdicts_test.cc: the whole catalogue at all its coordinates gives the verdicts that its files promise.
#include <gtest/gtest.h>

#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;

void expect_verdicts(const std::string& name, const std::string& executor, const std::string& store,
                     const std::string& dsn = {}) {
  const Scenario& scenario = *scenarios::find(name);
  for (RunRequest& request : requests_on(scenario, store, executor)) {
    SCOPED_TRACE(place_of(scenario, request));
    request.dsn = dsn;
    const Result<record::Run> result = run(scenario, request);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(name_of(result->verdict), name_of(*result->expected)) << result->summary << "\n" << story_of(*result);
  }
}

/// The parameters: a scenario and an executor.
class Verdicts : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  static void expect_as_promised(const std::string& store, const std::string& dsn = {}) {
    const auto& [name, executor] = GetParam();
    expect_verdicts(name, executor, store, dsn);
  }
};

class VerdictsInProcess : public Verdicts {};
class VerdictsOnPostgres : public Verdicts {};

std::string parameters(const testing::TestParamInfo<Verdicts::ParamType>& info) {
  return test_name_of(std::get<0>(info.param) + "_" + std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Catalogue, VerdictsInProcess,
                         testing::Combine(testing::ValuesIn(scenarios_on({"kv", "sqlite", "none"})),
                                          testing::Values("threads", "coroutines")),
                         parameters);
INSTANTIATE_TEST_SUITE_P(Catalogue, VerdictsOnPostgres,
                         testing::Combine(testing::ValuesIn(scenarios_on({"postgres"})),
                                          testing::Values("threads", "coroutines")),
                         parameters);

TEST_P(VerdictsInProcess, AreAsPromised) {
  expect_as_promised("none");
  expect_as_promised("kv");
  expect_as_promised("sqlite");
}

TEST_P(VerdictsOnPostgres, AreAsPromised) {
  const std::optional<std::string> dsn = test_dsn();
  if (!dsn) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  expect_as_promised("postgres", *dsn);
}

/// One test for all of them: they share a server of the process's own, which is up in a tenth of a second.
TEST(VerdictsOnMariadb, AreAsPromised) {
  const BackendKind* const kind = backend_named("mariadb");
  if (kind == nullptr) GTEST_SKIP() << "skipped: this build does not have the store";
  if (const auto here = kind->available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const std::vector<std::string> names = scenarios_on({"mariadb"});
  EXPECT_GE(names.size(), 30U);
  for (const std::string& name : names) {
    expect_verdicts(name, "coroutines", "mariadb");
    if (name.starts_with("innodb/")) expect_verdicts(name, "threads", "mariadb");
  }
}

/// One test for all of them too: a cluster is up after some 4 seconds.
TEST(VerdictsOnGalera, AreAsPromised) {
  const BackendKind* const kind = backend_named("galera");
  if (kind == nullptr) GTEST_SKIP() << "skipped: this build does not have the store";
  if (const auto here = kind->available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const std::vector<std::string> names = scenarios_on({"galera"});
  EXPECT_GE(names.size(), 4U);
  for (const std::string& name : names) {
    for (const char* executor : {"coroutines", "threads"}) expect_verdicts(name, executor, "galera");
  }
}

TEST(VerdictsOnTwoPostgres, AreAsPromised) {
  const BackendKind* const kind = backend_named("postgres-2");
  ASSERT_NE(kind, nullptr);
  if (const auto here = kind->available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const std::vector<std::string> names = scenarios_on({"postgres-2"});
  EXPECT_GE(names.size(), 4U);
  for (const std::string& name : names) {
    for (const char* executor : {"coroutines", "threads"}) expect_verdicts(name, executor, "postgres-2");
  }
}

TEST(VerdictsOnRedis, AreAsPromised) {
  const BackendKind* const kind = backend_named("redis");
  if (kind == nullptr) GTEST_SKIP() << "skipped: this build does not have the store";
  if (const auto here = kind->available({}); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  const std::vector<std::string> names = scenarios_on({"redis"});
  EXPECT_GE(names.size(), 4U);
  for (const std::string& name : names) {
    for (const char* executor : {"coroutines", "threads"}) expect_verdicts(name, executor, "redis");
  }
}

}  // namespace
}  // namespace lockstep
