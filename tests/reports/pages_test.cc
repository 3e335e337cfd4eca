// pages_test.cc: the pages of matrices and searches, and the rows of the store in the player.
#include <gmock/gmock.h>

#include "engine/record/exploration.h"
#include "engine/record/known_rows.h"
#include "engine/record/matrix.h"
#include "engine/record/moments.h"
#include "reports/data.h"
#include "reports/matrix_html.h"
#include "reports/player.h"
#include "reports/search_html.h"
#include "tests/cli/sample_runs.h"

namespace lockstep::reports {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

record::MatrixCell cell(const char* protocol, record::Verdict verdict, const char* how, const char* run = "") {
  record::MatrixCell cell;
  cell.scenario = "isolation/write-skew";
  cell.title = "Two <doctors>";
  cell.pattern = "plain";
  cell.store = "kv";
  cell.protocol = protocol;
  cell.executor = "threads";
  cell.expected = cell.verdict = verdict;
  cell.how = how;
  cell.summary = "somebody \"is\" on call";
  cell.run = run;
  return cell;
}

record::Run matrix() {
  std::vector<record::MatrixCell> cells = {cell("snapshot", record::Verdict::anomaly, "✗", "00000000000a"),
                                           cell("ssi", record::Verdict::abort, "40001", "00000000000b"),
                                           cell("serial", record::Verdict::clean, "waits")};
  cells.push_back(cell("occ", record::Verdict::clean, "snapshot"));
  cells.back().expected = record::Verdict::abort;
  record::Run run;
  run.documents[record::kMatrixDocument] = record::to_json(cells);
  return run;
}

TEST(MatrixPage, HasASignALookAndWordsForEachKindOfCell) {
  const std::string page = matrix_html(matrix(), "r1", 2);
  EXPECT_THAT(page, ContainsRegex("class=\"mx\".*✗</span>anomaly"));
  EXPECT_THAT(page, ContainsRegex("class=\"ma\".*↻</span>40001"));
  EXPECT_THAT(page, ContainsRegex("class=\"mw\".*▒</span>waits"));
  EXPECT_THAT(page, ContainsRegex("class=\"mg\".*≠ .*✓</span>snapshot"));
  EXPECT_THAT(page,
              HasSubstr("title=\"Two &lt;doctors&gt; under snapshot: anomaly, what must never happen has happened: a "
                        "proof. This run: somebody &quot;is&quot; on call.\""));
  EXPECT_THAT(page, HasSubstr("Not expected here: abort was."));
  EXPECT_THAT(page, HasSubstr("class=\"legend\""));
  EXPECT_EQ(matrix_outcome(matrix()), "1 anomaly in 4 cells");
}

TEST(MatrixPage, LeadsFromACellToItsRun) {
  const std::string page = matrix_html(matrix(), "r1", 2, {{"00000000000a", "cells/00000000000a.html"}});
  EXPECT_THAT(page, HasSubstr("href=\"cells/00000000000a.html\""));
  EXPECT_THAT(page, HasSubstr("href=\"#r1-run-00000000000b\"")) << "without a page of its own: its command";
  EXPECT_THAT(page, HasSubstr("id=\"r1-run-00000000000b\">lockstep replay 00000000"));
  EXPECT_THAT(page, Not(HasSubstr("id=\"r1-run-00000000000a\"")));
}

TEST(MatrixPage, NamesWhatIsLostAtEachLevel) {
  const std::string page = matrix_html(matrix(), "r1", 2);
  const std::size_t lost = page.find("What do I lose at this level?");
  ASSERT_NE(lost, std::string::npos);
  EXPECT_THAT(page.substr(lost), ContainsRegex("snapshot.*isolation/write-skew"));
  EXPECT_THAT(page.substr(lost), HasSubstr("nothing was lost in these orders of steps"));
}

record::Run searched(bool complete) {
  record::ExplorationSummary summary;
  summary.strategy = "exhaustive";
  summary.complete = complete;
  summary.interleavings = 13712800;
  summary.classes = 31;
  summary.runs = 31;
  summary.grain = {"between statements", "variables that bodies share are not seen"};
  record::ExplorationSummary::WayToEnd& bad = summary.findings.emplace_back();
  bad.verdict = record::Verdict::deadlock;
  bad.what = "P0 → P1 → P0";
  bad.runs = 1;
  bad.interleavings = 120;
  bad.share = 120 / 13712800.0;
  bad.run = "00000000000a";
  record::ExplorationSummary::WayToEnd& good = summary.findings.emplace_back();
  good.runs = 30;
  good.interleavings = 13712680;
  good.share = 1 - 120 / 13712800.0;
  record::Run run;
  run.documents[record::kExplorationDocument] = record::to_json(summary);
  return run;
}

TEST(SearchPage, HasCountsClassesGrainAndShares) {
  const std::string page = search_html(searched(true), "r1", 2);
  for (const char* words : {"13,712,800", "31 classes", "<0.1 %", ">99.9 %", "Complete", "between statements",
                            "variables that bodies share are not seen", "P0 → P1 → P0", "lockstep replay 00000000"}) {
    std::string escaped = words;
    if (escaped.front() == '<') escaped = "&lt;" + escaped.substr(1);
    if (escaped.front() == '>') escaped = "&gt;" + escaped.substr(1);
    EXPECT_THAT(page, HasSubstr(escaped));
  }
  EXPECT_THAT(page, Not(HasSubstr("100.0 %"))) << "a deadlock is among them";
  EXPECT_THAT(search_markdown(searched(true)), HasSubstr("31 classes"));
}

TEST(SearchPage, SaysThatASearchIsNotComplete) {
  const std::string page = search_html(searched(false), "r1", 2);
  EXPECT_THAT(page, HasSubstr("Not complete"));
  EXPECT_THAT(page, Not(HasSubstr("Complete:")));
  EXPECT_THAT(search_html(record::Run{}, "r1", 2), IsEmpty());
  record::Run damaged;
  damaged.documents[record::kExplorationDocument] = "{";
  EXPECT_THAT(search_html(damaged, "r1", 2), HasSubstr("cannot be read"));
}

/// T1 reads in a snapshot; T2 writes and commits; T1 still sees the old row.
record::Run skewed() {
  cli::samples::Story story({"T1", "T2"});
  story.does(0, "begin").does(0, "read", "A", "", "100").does(1, "begin").does(1, "write", "A", "90").does(1, "commit");
  story.does(0, "read", "A", "", "100");
  record::Run run = story.take();
  run.store = "kv";
  run.protocol = "snapshot";
  run.documents[record::kMomentsDocument] =
      record::to_json(record::Moments{.given = {{"A", "100"}}, .reads = record::ReadsSee::snapshot, .locks = {}});
  return run;
}

std::optional<Data> data_of(const record::Run& run) {
  return data_told(run, lane_rows(run, cli::samples::holds_of)).begin;
}

TEST(PlayersData, HasVersionsUncommittedWritesAndSnapshots) {
  const record::Run run = skewed();
  std::optional<Data> data = data_of(run);
  ASSERT_TRUE(data);
  std::vector<std::string> told;
  for (const LaneRow& row : lane_rows(run, cli::samples::holds_of)) {
    for (const Change& change : row.changes) data->apply(change);
    const Data::Row& committed = data->committed.at("A");
    const auto own = data->actors[1].written.find("A");
    told.push_back(row.text + ": " + *committed.value + " v" + std::to_string(committed.version) +
                   (own == data->actors[1].written.end() ? "" : ", T2 wrote " + *own->second) +
                   (data->actors[0].view ? ", T1 sees " + *data->actors[0].view->at("A").value : ""));
  }
  EXPECT_THAT(told, testing::ElementsAre("begin: 100 v0", "read A = 100: 100 v0, T1 sees 100",
                                         "begin: 100 v0, T1 sees 100", "write A = 90: 100 v0, T2 wrote 90, T1 sees 100",
                                         "commit: 90 v1, T1 sees 100", "read A = 100: 90 v1, T1 sees 100"));
  const std::string page = player(run, lane_rows(run, cli::samples::holds_of), "r1");
  EXPECT_THAT(page, HasSubstr("data-p=\"data\""));
  EXPECT_THAT(page, HasSubstr("<b>T1</b> 100 <span class=\"dim\">v0</span> <span class=\"wait\">older</span>"));
  EXPECT_THAT(page, HasSubstr("see one moment"));
  EXPECT_THAT(page, HasSubstr("data-go=\"predict\""));
}

/// T2's commit has taken effect before its answer comes: T1 reads its row meanwhile.
record::Run unsteered(const std::string& seen, const std::string& end) {
  cli::samples::Story story({"T1", "T2"});
  story.does(1, "begin").does(1, "write", "A", "90").does(0, "begin").asks(1, "commit");
  story.does(0, "read", "A", "", seen).grants(1).does(0, "commit");
  record::Run run = story.take();
  run.store = "kv";
  run.protocol = "2pl-detect";
  run.documents[record::kMomentsDocument] = record::to_json(record::Moments{.given = {{"A", "100"}}, .locks = {}});
  run.documents[record::kKnownRowsDocument] =
      record::to_json(record::KnownRows{.by_times = true,
                                        .asked_for_locks = false,
                                        .ends = std::vector<std::pair<std::string, std::string>>{{"A", end}}});
  return run;
}

std::string page_of(const record::Run& run) { return player(run, lane_rows(run, cli::samples::holds_of), "r1"); }

TEST(PlayersData, OfARunThatNobodySteeredAgreesWithWhatWasRead) {
  const record::Run run = unsteered("90", "90");
  const std::vector<LaneRow> rows = lane_rows(run, cli::samples::holds_of);
  std::optional<Data> data = data_told(run, rows).begin;
  ASSERT_TRUE(data);
  for (const LaneRow& row : rows) {
    for (const Change& change : row.changes) data->apply(change);
    if (!row.text.starts_with("read")) continue;
    EXPECT_EQ(data->committed.at("A").value, "90") << "the commit is under way, and the read has seen its row";
  }
  EXPECT_EQ(data->committed.at("A").version, 1U);
  EXPECT_THAT(page_of(run), HasSubstr("Nobody steered this run: commits stand in the order in which their answers"));
  EXPECT_THAT(page_of(run), HasSubstr("the store was not asked, so these are the locks that the operations"));
}

TEST(PlayersData, OfARunThatNobodySteeredIsNotShownWhereTheTimesGiveAnotherOrder) {
  const std::string seen = page_of(unsteered("80", "90"));
  EXPECT_THAT(seen, Not(HasSubstr("data-p=\"data\"")));
  EXPECT_THAT(seen, HasSubstr("The rows of the store are not shown: T1 has read A = 80, which does not fit them as the "
                              "order in which the actors had their answers gives them."));
  const std::string end = page_of(unsteered("90", "70"));
  EXPECT_THAT(end, Not(HasSubstr("data-p=\"data\"")));
  EXPECT_THAT(end, HasSubstr("at the end the store had other rows"));
}

TEST(PlayersData, ThatAreNotShownAreSaidNotToBeWithTheReason) {
  record::Run run = skewed();
  record::Moments many{.given = {}, .locks = {}};
  for (int i = 0; i < 41; ++i) many.given.emplace_back("row" + std::to_string(100 + i), "0");
  run.documents[record::kMomentsDocument] = record::to_json(many);
  EXPECT_THAT(page_of(run), HasSubstr("are not shown: there are 41, and 40 are the most that can be read."));
  run.documents.clear();
  EXPECT_THAT(page_of(run), HasSubstr("are not shown: the recording does not say what they were."));
  run.documents[record::kKnownRowsDocument] =
      record::to_json(record::KnownRows{.by_times = true, .untold = "not every transaction of the run is on record"});
  EXPECT_THAT(page_of(run), HasSubstr("are not shown: not every transaction of the run is on record."));
  run.store = record::kNoStore;
  EXPECT_THAT(page_of(run), Not(HasSubstr("are not shown"))) << "a run without a store has no rows to miss";
}

TEST(PlayersData, AsksOfEveryOperationThatMayComeOutOtherwise) {
  const record::Run run = skewed();
  std::vector<std::string> asked;
  for (const LaneRow& row : lane_rows(run, cli::samples::holds_of)) asked.push_back(row.asked);
  EXPECT_THAT(asked, testing::ElementsAre("", "read A", "", "write A = 90", "commit", "read A"))
      << "what can only go on is not asked for, and what came of it stands in no question";
}

TEST(PlayersData, IsLeftOutWhereSqlHasChangedRows) {
  record::Run run = skewed();
  EXPECT_TRUE(data_of(run));
  for (record::Event& event : run.events) {
    if (event.verb == "write") event.verb = "execute", event.object = "UPDATE a SET v = 1";
  }
  EXPECT_FALSE(data_of(run));
  EXPECT_THAT(page_of(run), Not(HasSubstr("data-p=\"data\"")));
  EXPECT_THAT(page_of(run), HasSubstr("statements in SQL may have changed them"));
  run.documents.clear();
  EXPECT_FALSE(data_of(run));
}

}  // namespace
}  // namespace lockstep::reports
