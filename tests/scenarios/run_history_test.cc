// run_history_test.cc: what the catalogue's runs read and wrote, as histories: never worse than what is promised, and
// as bad as the scenario says.
#include "engine/histories/run_history.h"

#include <gmock/gmock.h>

#include "engine/histories/judge.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using namespace scenarios_testing;
using check::Claim;
using check::Judgement;
using check::Level;
using check::Ordering;
using histories::Syntax;
using testing::HasSubstr;

histories::Judged judged(const std::string& text, Claim claim) {
  const Result<histories::Judged> judged = histories::judge_text(text, {.claims = {claim}});
  EXPECT_TRUE(judged) << judged.error().message << "\n" << text;
  return judged ? *judged : histories::Judged();
}

std::string proof_of(const histories::Judged& judged) {
  return judged.anomalies.empty() ? std::string() : judged.anomalies.front().name + ": " + judged.anomalies.front().why;
}

class RunHistory : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Catalogue, RunHistory, testing::ValuesIn(scenarios_on({"kv", "sqlite"})),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(RunHistory, IsNoWorseThanItsProtocolPromises) {
  const Scenario& scenario = *scenarios::find(GetParam());
  for (const std::string store : {"kv", "sqlite"}) {
    for (const RunRequest& request : requests_on(scenario, store, "threads")) {
      SCOPED_TRACE(place_of(scenario, request));
      const Result<record::Run> run = lockstep::run(scenario, request);
      ASSERT_TRUE(run) << run.error().message;
      const auto edn = histories::history_of(*run, Syntax::edn);
      if (!edn) {
        EXPECT_THAT(edn.error().message, HasSubstr("no history can be written: "));
        continue;
      }
      const Level level = backend_named(store)->protocol_named(request.protocol)->isolation;
      const histories::Judged found = judged(edn->text, {level, Ordering::real_time});
      EXPECT_NE(found.answer(), Judgement::broken) << proof_of(found) << "\n" << edn->text << story_of(*run);
      // JSON says the same.
      const auto json = histories::history_of(*run, Syntax::json);
      ASSERT_TRUE(json) << json.error().message;
      const histories::Judged same = judged(json->text, {level, Ordering::real_time});
      ASSERT_EQ(same.levels.size(), found.levels.size());
      for (std::size_t i = 0; i < same.levels.size(); ++i) EXPECT_EQ(same.levels[i].answer, found.levels[i].answer);
    }
  }
}

/// The answers at snapshot-isolation and at serializable.
std::pair<Judgement, Judgement> answers(const char* name, const char* protocol) {
  RunRequest request;
  request.store = "kv";
  request.protocol = protocol;
  const Result<record::Run> run = lockstep::run(*scenarios::find(name), request);
  EXPECT_TRUE(run) << run.error().message;
  const auto history = histories::history_of(*run, Syntax::edn);
  EXPECT_TRUE(history) << history.error().message;
  return {judged(history->text, {Level::snapshot, Ordering::none}).answer(),
          judged(history->text, {Level::serializable, Ordering::none}).answer()};
}

TEST(RunHistoryOfAnomalies, HasWhatTheScenarioShows) {
  const std::pair skew{Judgement::holds, Judgement::broken}, none{Judgement::holds, Judgement::holds};
  EXPECT_EQ(answers("isolation/write-skew", "snapshot"), skew);
  EXPECT_EQ(answers("isolation/write-skew", "ssi"), none);
  EXPECT_EQ(answers("isolation/write-skew", "2pl-detect"), none);
  EXPECT_EQ(answers("money/overdraft", "snapshot"), skew);
  EXPECT_EQ(answers("isolation/mutual-sum", "snapshot"), skew);
  EXPECT_EQ(answers("money/transfer", "occ"), none);
}

}  // namespace
}  // namespace lockstep
