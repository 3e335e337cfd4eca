// compare_test.cc: `lockstep compare` as people type it.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/load/thread_limit.h"
#include "engine/record/comparison.h"
#include "engine/record/run.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;

std::vector<std::string> with_brief(std::vector<std::string> arguments, const std::string& span = "30ms") {
  arguments.insert(arguments.end(), {"--for", span, "--warmup", "5ms", "--sessions", "2"});
  return arguments;
}

TEST(CompareCommand, ComparesSavesAndGivesJson) {
  const ScratchFolder folder;
  // Each round is long enough for a transaction, whoever else computes.
  const Ended text = lockstep(with_brief(
      {"compare", "money/transfer", "--strategy", "ordered,occ", "--rounds", "3", "--out", folder.path()}, "300ms"));
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("CORRECT"));
  EXPECT_THAT(text.out, HasSubstr(" verdict   2 sessions: "));
  EXPECT_THAT(text.out, HasSubstr("closed loop"));
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);
  const auto run = record::load(saved->front().path);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->scenario, "money/transfer");
  EXPECT_THAT(run->command, HasSubstr("lockstep compare money/transfer --strategy ordered,occ"));
  const auto comparison = record::comparison_of(run->documents.at(record::kComparisonDocument));
  ASSERT_TRUE(comparison.ok()) << comparison.error().message;
  EXPECT_EQ(comparison->groups.front().strategies.size(), 2u);

  const Ended json = lockstep(with_brief(
      {"compare", "money/hot-counter", "--strategy", "plain", "--rounds", "1", "--no-record", "--json"}, "300ms"));
  EXPECT_EQ(json.code, 0) << json.err;
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["schema"], 1);
  EXPECT_TRUE(parsed["recording"].is_null());
  const auto& row = parsed["groups"][0]["rows_of"][0];
  EXPECT_EQ(row["strategy"], "plain");
  EXPECT_EQ(row["correct"], true);
  EXPECT_GT(row["committed_per_s"]["median"], 0);
  EXPECT_GT(row["latency_ms"]["p99"], 0);
}

TEST(CompareCommand, ExitsWithOneOnARegressionThatIsProved) {
  const ScratchFolder folder;
  const auto compare = [&folder](std::vector<std::string> more) {
    std::vector<std::string> words = {"compare", "money/hot-counter", "--strategy", "plain", "--rounds", "8",
                                      "--out",   folder.path()};
    words.insert(words.end(), more.begin(), more.end());
    return lockstep(with_brief(words));
  };
  ASSERT_EQ(compare({}).code, 0);
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  // The same machine, a million times as fast then. Of eight rounds one may stall for as long as it likes: it moves the
  // interval's end by less than half of its own distance.
  record::Run faster = record::load(saved->front().path).value();
  record::Comparison comparison = record::comparison_of(faster.documents.at(record::kComparisonDocument)).value();
  for (record::ComparedRound& round : comparison.groups[0].strategies[0].rounds) round.committed *= 1000000;
  faster.documents[record::kComparisonDocument] = record::to_json(comparison);
  faster.id.clear();
  ASSERT_TRUE(record::save(faster, folder.path()).ok());

  const Ended worse = compare({"--baseline", faster.id});
  EXPECT_EQ(worse.code, 1) << worse.err;
  EXPECT_THAT(worse.out, HasSubstr("WORSE     1 proven regression since"));
  const Ended json = compare({"--baseline", faster.id, "--json"});
  EXPECT_EQ(json.code, 1);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["baseline"]["regressions"], 1);
  EXPECT_LT(parsed["baseline"]["changes"][0]["ratio"]["high"], 1);
  EXPECT_EQ(compare({"--baseline", faster.id, "--tolerance", "100"}).code, 0) << "any loss is allowed";
  const Ended quiet = compare({"--baseline", saved->front().id, "--tolerance", "100", "--quiet"});
  EXPECT_EQ(quiet.code, 0) << quiet.err;
  EXPECT_THAT(quiet.out, HasSubstr("no proven regression since"));

  // What is no baseline for this.
  EXPECT_EQ(compare({"--tolerance", "3"}).code, 2);
  EXPECT_EQ(compare({"--baseline", "ffff"}).code, 2);
  EXPECT_THAT(lockstep({"compare", "money/transfer", "--baseline", faster.id, "--out", folder.path()}).err,
              HasSubstr("is of the workload money/hot-counter, not money/transfer"));
  const Ended run = lockstep({"run", "deadlock/two-lock", "--json", "--out", folder.path()});
  const std::string id = nlohmann::json::parse(run.out)["id"];
  EXPECT_THAT(compare({"--baseline", id}).err, HasSubstr("is a run of deadlock/two-lock, no comparison"));
  const Ended other = lockstep({"compare", "money/hot-counter", "--strategy", "plain", "--rounds", "1", "--for", "30ms",
                                "--sessions", "3", "--baseline", faster.id, "--out", folder.path()});
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("the baseline has none of these loads"));
}

TEST(CompareCommand, RefusesBadInputWithOneLine) {
  const struct {
    std::vector<std::string> arguments;
    const char* error;
  } examples[] = {
      {{"compare", "money/tranfer"}, "did you mean \"money/transfer\"?"},
      {{"compare", "money/transfer", "--strategy", "ordred"}, "did you mean \"ordered\"?"},
      {{"compare", "money/transfer", "--strategy", ""}, "--strategy is empty"},
      {{"compare", "money/transfer", "--sessions", ""}, "--sessions is empty"},
      {{"compare", "money/transfer", "--sessions", "0"}, "--sessions \"0\""},
      {{"compare", "money/transfer", "--theta", "1"}, "--theta \"1\""},
      {{"compare", "money/transfer", "--read", "101"}, "--read \"101\""},
      {{"compare", "money/transfer", "--for", "soon"}, "--for \"soon\""},
      {{"compare", "money/transfer", "--rate", "0"}, "--rate \"0\""},
      {{"compare", "money/transfer", "--store", "kvv"}, "\"kvv\""},
  };
  for (const auto& [arguments, error] : examples) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Ended ended = lockstep(arguments);
    EXPECT_EQ(ended.code, 2) << ended.out << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(error));
  }
}

TEST(CompareCommand, RefusesMoreSessionsThanThereCanBeThreads) {
  const int most = load::most_threads();
  EXPECT_GT(most, 100);
  if (most >= 100'000) GTEST_SKIP() << "skipped: this machine makes as many threads as may be asked for";
  const Ended ended =
      lockstep({"compare", "money/transfer", "--sessions", "2,100000", "--executor", "threads", "--for", "30ms"});
  EXPECT_EQ(ended.code, 2) << ended.out << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("100000 sessions are as many threads, and this machine lets this program make "));
}

}  // namespace
}  // namespace lockstep::cli
