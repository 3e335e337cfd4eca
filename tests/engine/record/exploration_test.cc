// exploration_test.cc: the numbers of a search come back as they were written, and a damaged document is refused.
#include "engine/record/exploration.h"

#include <gmock/gmock.h>

namespace lockstep::record {
namespace {

using testing::HasSubstr;
using testing::Not;

ExplorationSummary sample() {
  ExplorationSummary summary;
  summary.strategy = "exhaustive";
  summary.complete = true;
  summary.expected = Verdict::deadlock;
  summary.grain = {"between statements"};
  summary.interleavings = 13712800;
  summary.classes = 412;
  summary.runs = 412;
  summary.seed = 7;
  ExplorationSummary::WayToEnd& bad = summary.findings.emplace_back();
  bad.verdict = Verdict::deadlock;
  bad.what = "T1 → T2 → T1";
  bad.runs = 3;
  bad.interleavings = 12;
  bad.share = 0.25;
  bad.preemptions = 1;
  bad.run = "7f3a00c0ffee";
  summary.findings.emplace_back().runs = 409;
  return summary;
}

TEST(ExplorationSummary, ComesBackAsItWas) {
  const Result<ExplorationSummary> read = exploration_of(to_json(sample()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(to_json(*read), to_json(sample()));
  EXPECT_EQ(read->findings[0].share, 0.25);
  EXPECT_FALSE(read->findings[1].share);
}

TEST(ExplorationSummary, RefusesWhatIsNoneInWordsOfItsOwn) {
  const std::string whole = to_json(sample());
  std::string unknown = whole;
  unknown.replace(unknown.find("\"verdict\":\"deadlock\""), 20, "\"verdict\":\"dreadlock\"");
  for (const std::string& text : {std::string(), std::string("[]"), whole.substr(0, whole.size() / 2), unknown,
                                  std::string(R"({"format":"lockstep-exploration","version":1})")}) {
    const Result<ExplorationSummary> read = exploration_of(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.error().message, HasSubstr("cannot be read"));
    EXPECT_THAT(read.error().message, Not(HasSubstr("json.exception")));
  }
}

}  // namespace
}  // namespace lockstep::record
