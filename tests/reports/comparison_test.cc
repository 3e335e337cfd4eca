// comparison_test.cc: what a page and Markdown say of strategies side by side.
#include "engine/record/comparison.h"

#include <gmock/gmock.h>

#include "reports/comparison_html.h"

namespace lockstep::reports {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

record::ComparedRow strategy(std::string name, double per_s, const char* place) {
  record::ComparedRow row;
  row.strategy = std::move(name);
  row.store = "postgres";
  row.place = place;
  row.committed = static_cast<std::uint64_t>(per_s * 10);
  row.committed_per_s = {per_s, per_s * 0.9, per_s * 1.1};
  row.p50_ms = 1;
  row.p99_ms = 9;
  row.histogram = {{1'000'000, 98}, {9'000'000, 2}};
  row.aborts = {{"deadlock", 3}};
  row.rounds.resize(5);
  return row;
}

record::ComparedGroup at_sessions(int sessions) {
  record::ComparedGroup group;
  group.store = "postgres";
  group.executor = "threads";
  group.sessions = sessions;
  group.rows = 100;
  group.strategies = {strategy("conditional-update", 6940, "best"), strategy("for-update", 5210, "slower"),
                      strategy("plain", 9400, "wrong")};
  group.strategies[1].vs_best = record::Estimate{0.75, 0.73, 1e9};
  group.strategies[2].invariant_broken = 5;
  group.strategies[2].broken = "oversold <b>1204</b> of 5000";
  return group;
}

record::Run compared(std::vector<record::ComparedGroup> groups) {
  record::Comparison comparison;
  comparison.workload = "stock/oversell";
  comparison.rounds = 5;
  comparison.round_s = 2;
  comparison.retry = "jitter";
  comparison.verdict = {"conditional-update wins"};
  comparison.groups = std::move(groups);
  record::Run run;
  run.documents[record::kComparisonDocument] = record::to_json(comparison);
  return run;
}

TEST(ComparisonPage, SaysHowMuchHistoryWasCheckedAndWhatItShows) {
  record::ComparedGroup group = at_sessions(32);
  for (record::ComparedRow& row : group.strategies) row.claim = "snapshot", row.on_record = 1000;
  group.strategies[1].place = "wrong";
  group.strategies[1].history_broken = 2;
  group.strategies[1].anomaly = "G-single in the <history>";
  group.strategies[1].proof = "T1 wrote <x>\nT2 read it";
  for (const std::string& text :
       {comparison_html(compared({group}), "r1", 2), comparison_markdown(compared({group}))}) {
    EXPECT_THAT(text, HasSubstr("3000 transactions (1.4 %) were on record"));
    EXPECT_THAT(text, HasSubstr("(snapshot): anomalies in 2 rounds"));
    EXPECT_THAT(text, HasSubstr("G-single in the &lt;history&gt;"));
    const std::size_t named = text.find("(proof below)"), proof = text.find("Proof: for-update: G-single");
    EXPECT_LT(named, proof);
    EXPECT_LT(proof, text.find("T1 wrote &lt;x&gt;")) << "the steps stand below the table alone, a line each";
    EXPECT_LT(text.find("T1 wrote &lt;x&gt;"), text.find("T2 read it"));
  }
}

TEST(ComparisonPage, SaysThatTheWaitsOfAServerAreNotCounted) {
  record::ComparedGroup group = at_sessions(32);
  const record::Run server = compared({group});
  EXPECT_THAT(comparison_html(server, "r1", 2), HasSubstr("not counted"));
  EXPECT_THAT(server.documents.at(record::kComparisonDocument), HasSubstr("\"waits\":null,\"wait_s\":null"));
  for (record::ComparedRow& row : group.strategies) row.waits = 120, row.wait_s = 0.25;
  const std::string counted = comparison_html(compared({group}), "r1", 2);
  EXPECT_THAT(counted, Not(HasSubstr("not counted")));
  EXPECT_THAT(counted, HasSubstr(">120"));
}

TEST(ComparisonPage, SaysWhyAStrategyIsNotMeasured) {
  record::ComparedGroup group = at_sessions(32);
  group.strategies[1].place = "not measured";
  group.strategies[1].given_up = 7;
  group.strategies[1].gave_up = "it declared no claims";
  for (const std::string& text : {comparison_html(compared({group}), "r1", 2), comparison_markdown(compared({group}))})
    EXPECT_THAT(text, HasSubstr("7 transactions were given up; the first: it declared no claims"));
}

TEST(ComparisonPage, SetsTheWrongOnesApartAndEscapesWhatTheySay) {
  const std::string text = comparison_html(compared({at_sessions(32)}), "r1", 2);
  const std::size_t wrong = text.find("WRONG: broke an invariant");
  ASSERT_NE(wrong, std::string::npos);
  const std::size_t ranked = text.find("Strategies that kept every invariant");
  ASSERT_LT(ranked, wrong);
  EXPECT_THAT(text.substr(ranked, wrong - ranked), Not(HasSubstr(">plain<")));
  EXPECT_THAT(text.substr(wrong), HasSubstr("✗ oversold &lt;b&gt;1204&lt;/b&gt; of 5000"));
  EXPECT_THAT(text, HasSubstr("conditional-update wins"));
  EXPECT_THAT(text, HasSubstr("0.75 [0.73–no bound]"));
  EXPECT_THAT(text, HasSubstr("p99.99"));
  EXPECT_THAT(text, Not(HasSubstr("Sweeps"))) << "there is one load only";
}

TEST(ComparisonPage, DrawsACurveOverWhatWasSweptInItsOrder) {
  const std::string text = comparison_html(compared({at_sessions(32), at_sessions(4)}), "r1", 2);
  ASSERT_THAT(text, HasSubstr("Sweeps"));
  EXPECT_THAT(text, HasSubstr("Throughput by sessions"));
  EXPECT_LT(text.find("sessions 4<"), text.find("sessions 32<"));
  EXPECT_THAT(text, Not(HasSubstr("Throughput by theta")));
  EXPECT_THAT(text, HasSubstr("WRONG or none")) << "plain has no place on the curve";
}

TEST(ComparisonPage, GivesAStrategyOneColourWhateverItsPlace) {
  record::ComparedGroup other_way_round = at_sessions(32);
  std::swap(other_way_round.strategies[0], other_way_round.strategies[1]);
  const std::string text = comparison_html(compared({at_sessions(4), other_way_round}), "r1", 2);
  const auto first_curve_of = [&](const std::string& picture) {
    const std::size_t at = text.find("curve c", text.find(picture));
    return text.at(at + std::string_view("curve c").size());
  };
  EXPECT_EQ(first_curve_of("id=\"r1-g1-lat-t\""), '0');
  EXPECT_EQ(first_curve_of("id=\"r1-g2-lat-t\""), '1') << "for-update, which is first there";
}

TEST(ComparisonPage, IsSaidToBeUnreadableWhenItIs) {
  record::Run run;
  EXPECT_THAT(comparison_html(run, "r1", 2), IsEmpty());
  EXPECT_THAT(comparison_markdown(run), IsEmpty());
  run.documents[record::kComparisonDocument] = "{";
  EXPECT_THAT(comparison_html(run, "r1", 2), HasSubstr("class=\"warn\""));
}

TEST(ComparisonPage, CountsWhatIsWrongInPlaceOfAVerdict) {
  const record::Run mixed = compared({at_sessions(32)});
  EXPECT_EQ(comparison_outcome(mixed), "2 correct, 1 WRONG");
  const std::string box = comparison_box(mixed);
  EXPECT_THAT(box, HasSubstr("✗ 1 WRONG"));
  EXPECT_THAT(box, Not(HasSubstr("CLEAN")));
  EXPECT_THAT(box, HasSubstr("not as expected"));
  record::ComparedGroup known = at_sessions(32);
  known.strategies[2].expected_correct = false;
  EXPECT_THAT(comparison_box(compared({known})), HasSubstr("as expected: what is WRONG is said to be unsafe there"));
  EXPECT_THAT(comparison_outcome(record::Run{}), IsEmpty());
}

TEST(ComparisonPage, HasTheChangeOfEachStrategySinceTheBaseline) {
  const auto at_rate = [](std::uint64_t per_round) {
    record::ComparedGroup group = at_sessions(8);
    for (record::ComparedRow& row : group.strategies) {
      row.rounds.clear();
      for (const std::uint64_t drift : {0u, 2u, 1u, 3u, 1u})
        row.rounds.push_back({.seconds = 1, .committed = per_round * (1000 + drift), .correct = true, .note = ""});
    }
    return compared({group});
  };
  const std::string page = changes_html(at_rate(1000), at_rate(500), "r2", 3);
  EXPECT_THAT(page, HasSubstr("-50.0 %"));
  EXPECT_THAT(page, HasSubstr("▼ slower"));
  EXPECT_THAT(page, HasSubstr("✗ WRONG as before"));
  EXPECT_THAT(changes_html(at_rate(1000), at_rate(2000), "r2", 3), HasSubstr("▲ faster"));
  EXPECT_THAT(changes_markdown(at_rate(1000), at_rate(500)), HasSubstr("| \\-50.0 % |"));
  record::ComparedGroup other = at_sessions(64);
  EXPECT_THAT(changes_html(at_rate(1000), compared({other}), "r2", 3), HasSubstr("64 sessions"));
}

TEST(ComparisonPage, SaysNothingOfReadsThatAWorkloadDoesNotHave) {
  record::ComparedGroup group = at_sessions(8);
  group.read_percent = -1;
  EXPECT_THAT(comparison_html(compared({group}), "r1", 2), Not(HasSubstr("% read")));
  group.read_percent = 95;
  EXPECT_THAT(comparison_html(compared({group}), "r1", 2), HasSubstr("95 % read"));
}

TEST(ComparisonMarkdown, HasARowForEachStrategy) {
  const std::string text = comparison_markdown(compared({at_sessions(32)}));
  EXPECT_THAT(text, HasSubstr("| conditional-update | 6,940 | best |"));
  EXPECT_THAT(text, HasSubstr("WRONG"));
  EXPECT_THAT(text, HasSubstr("deadlock 3"));
}

}  // namespace
}  // namespace lockstep::reports
