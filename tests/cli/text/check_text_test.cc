// check_text_test.cc: cells, their table and their JUnit report.
#include "cli/text/check_text.h"

#include <gmock/gmock.h>

#include "cli/text/json.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

using record::Verdict;
using testing::HasSubstr;

const Scenario& two_lock() {
  static const Scenario scenario = [] {
    Scenario made("Two transfers");
    made.name = "deadlock/two-lock";
    return made;
  }();
  return scenario;
}

Cell cell(const char* protocol, const char* pattern, Verdict expected, Verdict verdict) {
  Cell made;
  made.scenario = &two_lock();
  made.store = "kv";
  made.protocol = protocol;
  made.pattern = pattern;
  made.executor = "threads";
  made.expected = expected;
  made.verdict = verdict;
  made.state = Cell::State::done;
  made.command = "lockstep run deadlock/two-lock";
  return made;
}

std::vector<Cell> some_cells() {
  std::vector<Cell> cells = {cell("2pl-detect", "plain", Verdict::deadlock, Verdict::deadlock),
                             cell("2pl-no-wait", "plain", Verdict::abort, Verdict::clean),
                             cell("occ", "plain", Verdict::abort, Verdict::abort),
                             cell("2pl-detect", "ordered", Verdict::clean, Verdict::clean)};
  cells[1].summary = "2 committed & <done>";
  return cells;
}

TEST(CheckText, ShowsPatternsByProtocolsAndMarksWhatDiffers) {
  EXPECT_EQ(check_table(some_cells(), Terminal{.width = 80}), R"(                2pl       2pl-no
 kv threads     -detect   -wait    occ
 deadlock/two-lock
   plain        deadlock  ✗ clean  abort
   ordered      clean
)");
}

TEST(CheckText, SpreadsProtocolsOverSeveralTablesWhereTheyDoNotFit) {
  std::vector<Cell> cells;
  for (const char* protocol : {"one", "two", "three", "four", "five", "six", "seven"}) {
    cells.push_back(cell(protocol, "plain", Verdict::deadlock, Verdict::deadlock));
  }
  const std::string table = check_table(cells, Terminal{.width = 50});
  EXPECT_THAT(table, HasSubstr("one"));
  EXPECT_THAT(table, HasSubstr("seven"));
  std::size_t begin = 0;
  for (std::size_t end = table.find('\n'); end != std::string::npos; begin = end + 1, end = table.find('\n', begin)) {
    EXPECT_LE(columns(table.substr(begin, end - begin)), 50u);
  }
}

TEST(CheckText, ExplainsWhatDiffersWithTheCommand) {
  EXPECT_EQ(check_failures(some_cells(), Terminal{.width = 80}), R"( ✗ deadlock/two-lock plain  kv 2pl-no-wait threads
     expected abort, was clean: 2 committed & <done>
     lockstep run deadlock/two-lock
)");
}

TEST(CheckText, WritesJUnit) {
  std::vector<Cell> cells = some_cells();
  cells.push_back(cell("snapshot", "plain", Verdict::abort, Verdict::clean));
  cells.back().state = Cell::State::waiting;
  const std::string text = check_junit(cells);
  EXPECT_THAT(text, HasSubstr("<testsuites name=\"lockstep check\" tests=\"5\" failures=\"1\" skipped=\"1\""));
  EXPECT_THAT(text,
              HasSubstr("<testcase classname=\"deadlock.two-lock\" name=\"kv 2pl-detect plain\" time=\"0.000\"/>"));
  EXPECT_THAT(text, HasSubstr("<failure message=\"expected abort, was clean\">2 committed &amp; &lt;done&gt;\n"));
  EXPECT_THAT(text, HasSubstr("<skipped message=\"\"/>"));
}

TEST(CheckText, TakesOtherExpectations) {
  std::vector<Cell> cells = some_cells();
  EXPECT_EQ(apply_expectation("deadlock/two-lock kv 2pl-detect plain=clean", cells), "");
  EXPECT_EQ(cells[0].expected, Verdict::clean);
  EXPECT_EQ(apply_expectation("deadlock/two-lock * * ordered=anomaly", cells), "");
  EXPECT_EQ(cells[3].expected, Verdict::anomaly);
  EXPECT_THAT(apply_expectation("deadlock/two-lock kv 2pl-detect plain=deadlok", cells),
              HasSubstr("did you mean \"deadlock\"?"));
  EXPECT_THAT(apply_expectation("deadlock/two-lock kv 2pl-detect nothing=clean", cells), HasSubstr("no such cell"));
  for (const char* text : {"", "x", "a b c d", "a b c d=clean e", "a b c=clean"}) {
    EXPECT_NE(apply_expectation(text, cells), "") << text;
  }
}

TEST(CheckText, CountsInJson) {
  const std::string json = check_json(some_cells(), 1, {{"postgres", "no server"}}, 12.5);
  EXPECT_THAT(json, HasSubstr(R"("schema":1,"seed":1,"checked":4,"not_as_expected":1,"not_run":0)"));
  EXPECT_THAT(json, HasSubstr(R"("left_out":[{"store":"postgres","why":"no server"}])"));
}

}  // namespace
}  // namespace lockstep::cli
