// run_text_test.cc: a run as people read it, at several widths and with hostile text in it.
#include "cli/text/run_text.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "cli/text/text.h"
#include "engine/record/moments.h"
#include "tests/cli/sample_runs.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Lines that are there to be copied may be longer than the terminal.
void expect_fits(const std::string& text, std::size_t width) {
  for (const std::string& line : lines_of(text)) {
    if (line.find("lockstep run ") != std::string::npos) continue;
    EXPECT_LE(columns(line), width) << line;
  }
}

TEST(RunText, ShowsTheDeadlockOfTwoTransfers) {
  RunTextOptions options;
  options.path = "lockstep-runs/7f3a00c0ffee/run.sqlite";
  options.hints = {
      {"replay", "lockstep replay 7f3a"}, {"debug", "lockstep debug 7f3a"}, {"report", "lockstep report 7f3a"}};
  EXPECT_EQ(run_text(samples::two_lock(), Terminal{.width = 80}, options),
            R"(deadlock/two-lock   store kv · 2pl-detect · plain · threads
   schedule T1 T2 T1 T2 · seed 7

 step virt ms  T1                              T2
    1    0.00  ● begin                         │
    2    0.01  │                               ● begin
    3    0.02  ■ lock A = 100        granted   │
    4    0.03  ┃                               ■ lock B = 100        granted
    5    0.04  ▒ lock B         waits for T2   ┃
    6    0.05  ▒                               ▒ lock A         waits for T1
         0.05  ▒  ◆ cycle T1→T2→T1, victim T2 (youngest)
         0.05  ▒                               ✗ deadlock, gives back B
         0.06  ■ lock B = 100  after 0.02 ms   │
    8    0.07  ✓ commit                        │
    9    0.08                                  ↻ retry 1: ✓ commit at 0.11

 wait-for   T1 ──── wants B ───▶ T2
             ▲                    │
             └───── wants A ──────┘

 DEADLOCK  found and broken: 1 victim, 1 retry       as expected ✓
 holds     ✓ money is conserved
 why       T1 takes A then B; T2 takes B then A. Each holds what the other
           needs.
 fix       one order for all locks makes the cycle impossible:
             lockstep run deadlock/two-lock --pattern ordered
 replay    lockstep replay 7f3a          debug  lockstep debug 7f3a
 report    lockstep report 7f3a
 saved     lockstep-runs/7f3a00c0ffee/run.sqlite
)");
}

TEST(RunText, DrawsFivePhilosophersIn80Columns) {
  EXPECT_EQ(run_text(samples::philosophers(5), Terminal{.width = 80}),
            R"(threads/dining-philosophers   naive · threads · schedule free · seed 1

 step      ms  P1 P2 P3 P4 P5
    1    0.00  ■  │  │  │  │  P1 lock fork1  granted
    2    0.01  ┃  ■  │  │  │  P2 lock fork2  granted
    3    0.02  ┃  ┃  ■  │  │  P3 lock fork3  granted
    4    0.03  ┃  ┃  ┃  ■  │  P4 lock fork4  granted
    5    0.04  ┃  ┃  ┃  ┃  ■  P5 lock fork5  granted
    6    0.05  ▒  ┃  ┃  ┃  ┃  P1 lock fork2  waits for P2
    7    0.06  ▒  ▒  ┃  ┃  ┃  P2 lock fork3  waits for P3
    8    0.07  ▒  ▒  ▒  ┃  ┃  P3 lock fork4  waits for P4
    9    0.08  ▒  ▒  ▒  ▒  ┃  P4 lock fork5  waits for P5
   10    0.09  ▒  ▒  ▒  ▒  ▒  P5 lock fork1  waits for P1
         0.09  ▒  ▒  ▒  ▒  ▒  ◆ cycle P1→P2→P3→P4→P5→P1, nobody will break it
         0.09  ▒  ▒  ▒  ▒  ▒  ✗ the run ends here: P1, P2, P3, P4, P5 still wait

 wait-for   P1 ── wants fork2 ─▶ P2 ── wants fork3 ─▶ P3
             ▲                                         │
             │ wants fork1                 wants fork4 │
             │                                         ▼
            P5 ◀──────────── wants fork5 ──────────── P4

 HUNG      nobody can go on                          as expected ✓
 why       Every philosopher takes the left fork first; each then waits for the
           one on the right.
 fix       number the forks and take the lower one first:
             lockstep run threads/dining-philosophers --pattern ordered
)");
}

TEST(RunText, IsAsciiWhereTheLocaleIsNotUtf8) {
  const std::string text = run_text(samples::two_lock(), Terminal{.width = 80, .utf8 = false});
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; })) << text;
  EXPECT_THAT(text, HasSubstr("    5    0.04  ~ lock B         waits for T2   |\n"));
  EXPECT_THAT(text, HasSubstr("~  * cycle T1->T2->T1, victim T2 (youngest)\n"));
  EXPECT_THAT(text, HasSubstr(" wait-for   T1 ---- wants B ---> T2\n"
                              "             ^                    |\n"
                              "             +----- wants A ------+\n"));
}

TEST(RunText, NamesTheActorInEveryRowOfANarrowTerminal) {
  const std::string text = run_text(samples::two_lock(), Terminal{.width = 60});
  EXPECT_THAT(text, HasSubstr("    5    0.04  ▒  ┃  T1 lock B        waits for T2\n"));
  EXPECT_THAT(text, HasSubstr("         0.05  ▒  ✗  T2 deadlock, gives back B\n"));
  expect_fits(text, 60);
}

TEST(RunText, FitsEveryWidthWithAnyNumberOfActors) {
  for (const std::size_t width : {40u, 60u, 80u, 100u, 140u, 200u}) {
    for (const int actors : {1, 2, 3, 5, 8, 13, 40}) {
      SCOPED_TRACE(testing::Message() << actors << " actors, " << width << " columns");
      if (width >= 60) expect_fits(run_text(samples::philosophers(actors), Terminal{.width = width}), width);
      EXPECT_FALSE(run_text(samples::philosophers(actors), Terminal{.width = width}).empty());
    }
  }
}

/// The numbers in the column of the steps, from the top.
std::vector<int> step_numbers(const std::string& text) {
  std::vector<int> numbers;
  bool in_lanes = false;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with(" step")) in_lanes = true;
    if (line.empty()) in_lanes = false;
    if (in_lanes && line.size() > 5 && line.find_first_of("0123456789") < 5) numbers.push_back(std::stoi(line));
  }
  return numbers;
}

TEST(RunText, NumbersOfStepsGoUp) {
  const std::vector<int> numbers = step_numbers(run_text(samples::two_lock(), Terminal{}));
  EXPECT_EQ(numbers, (std::vector<int>{1, 2, 3, 4, 5, 6, 8, 9}));
}

TEST(RunText, GivesLongNamesOfActorsALineEach) {
  samples::Story story({"customer-one", "customer-two", "customer-three"});
  story.does(0, "begin").does(1, "begin").does(2, "begin");
  record::Run run = story.take();
  run.store = "kv";
  const std::string text = run_text(run, Terminal{.width = 60});
  EXPECT_THAT(text, HasSubstr("               customer-one\n"));
  EXPECT_THAT(text, HasSubstr("customer-two\n"));
  EXPECT_THAT(text, HasSubstr("customer-three\n"));
  expect_fits(text, 60);
}

TEST(RunText, ShowsTheLocksThatAStoreTold) {
  samples::Story story({"T1", "T2"});
  story.does(0, "begin").does(0, "read", "A", "", "100").does(1, "begin").does(1, "write", "B", "1");
  record::Run run = story.take();
  run.store = "sqlite";
  record::Moments moments;
  moments.given = {{"A", "100"}, {"B", "0"}};
  // The read is event 4, the write event 8: a request and a grant each.
  moments.locks = {{.since = 4, .held = {{0, "database", "SHARED lock"}}},
                   {.since = 8, .held = {{0, "database", "SHARED lock"}, {1, "database", "RESERVED lock"}}}};
  run.documents[record::kMomentsDocument] = record::to_json(moments);
  const std::string text = run_text(run, Terminal{.width = 100});
  EXPECT_THAT(text, HasSubstr("read A = 100"));
  EXPECT_THAT(text, testing::ContainsRegex("read A = 100 +SHARED lock"));
  EXPECT_THAT(text, testing::ContainsRegex("write B = 1 +RESERVED lock"));
}

TEST(RunText, SaysWhyALockWasRefused) {
  samples::Story story({"T1", "T2"});
  story.does(0, "begin").asks(0, "write", "A", "1").fails(0, Fault::busy, "SQLITE_BUSY");
  record::Run run = story.take();
  run.store = "sqlite";
  run.events.back().detail = "T1: write A: T2 (RESERVED lock) writes, so SQLite refuses to wait";
  EXPECT_THAT(run_text(run, Terminal{.width = 120}),
              HasSubstr("(RESERVED lock) writes,\n                 so SQLite refuses to\n"));
}

TEST(RunText, NeutralisesHostileText) {
  record::Run run = samples::two_lock();
  for (record::Event& event : run.events) {
    if (event.object == "A") event.object = "\x1b]0;owned\a\x1b[2JA\nB\u202e";
  }
  run.actors[1] = "T\x1b[31m2";
  run.why = "because \x1b[8mhidden\x1b[0m";
  run.summary = "sum\x9bmary";
  run.scenario += "\r\n";
  for (const bool utf8 : {true, false}) {
    const std::string text = run_text(run, Terminal{.width = 80, .utf8 = utf8}, {.path = "runs/\x1b[1m"});
    for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << text;
    EXPECT_THAT(text, Not(HasSubstr("\u202e")));
    expect_fits(text, 80);
  }
}

TEST(RunText, HasNoColourButWhenAsked) {
  EXPECT_THAT(run_text(samples::two_lock(), Terminal{}), Not(HasSubstr("\x1b")));
  const std::string coloured = run_text(samples::two_lock(), Terminal{.colour = true});
  EXPECT_THAT(coloured, HasSubstr("\x1b[33m▒\x1b[0m"));
  // Without its colours it is the same text.
  std::string plain;
  for (std::size_t i = 0; i < coloured.size(); ++i) {
    if (coloured[i] == '\x1b') {
      i = coloured.find('m', i);
    } else {
      plain += coloured[i];
    }
  }
  EXPECT_EQ(plain, run_text(samples::two_lock(), Terminal{}));
}

TEST(RunText, SaysWhatWasExpectedInstead) {
  record::Run run = samples::two_lock();
  run.expected = record::Verdict::clean;
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr("✗ expected clean\n"));
  EXPECT_EQ(verdict_line(run, Terminal{}), "deadlock  found and broken: 1 victim, 1 retry  ✗ expected clean\n");
  run.expected.reset();
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr(" DEADLOCK  found and broken: 1 victim, 1 retry\n"));
}

TEST(RunText, SaysWhichInvariantBrokeWithTheValues) {
  record::Run run = samples::two_lock();
  run.verdict = record::Verdict::anomaly;
  run.invariants = {{.text = "stock never below zero", .held = false, .detail = "stock=-1"}};
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr(" broken    ✗ stock never below zero: stock=-1\n"));
}

TEST(RunText, SaysOfAnUnfinishedRunOnlyHowThingsStood) {
  record::Run run = samples::two_lock();
  run.ending = record::Ending::stuck;
  run.invariants = {{.text = "no deposit is lost", .detail = {}},
                    {.text = "both got done", .held = false, .detail = {}}};
  const std::string text = run_text(run, Terminal{});
  EXPECT_THAT(text, HasSubstr(" so far    · no deposit is lost\n"));
  EXPECT_THAT(text, HasSubstr(" not yet   · both got done\n"));
}

TEST(RunText, GivesNoReasonWhereThereIsNone) {
  record::Run run = samples::two_lock();
  run.why.clear();
  EXPECT_THAT(run_text(run, Terminal{}), Not(HasSubstr(" why ")));
}

TEST(RunText, CallsAMistakeOfTheScenarioOne) {
  record::Run run = samples::two_lock();
  run.verdict = record::Verdict::error;
  run.expected = record::Verdict::error;
  run.documents[record::kProgramErrorDocument] = "{}";
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr("✗ a mistake in the scenario itself"));
}

TEST(RunText, SaysThatItWasInterrupted) {
  record::Run run = samples::two_lock();
  run.ending = record::Ending::interrupted;
  run.events.resize(9);
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr(" ended     interrupted: this is what happened so far\n"));
}

TEST(RunText, ShowsLongStatementsShortenedOrWhole) {
  samples::Story story({"T1", "T2"});
  const std::string sql =
      "insert into booking (room, from_day, to_day) select 'A', 3, 5 where not exists (select 1 from booking)";
  story.does(0, "begin").does(0, "execute", sql, "", "1 row").does(1, "begin").asks(1, "execute", sql).waits(1, {0});
  record::Run run = story.take();
  run.scenario = "booking/overlap";
  run.store = "postgres";
  const std::string cut = run_text(run, Terminal{.width = 80});
  EXPECT_THAT(cut, HasSubstr("insert into booking"));
  EXPECT_THAT(cut, HasSubstr("…"));
  EXPECT_THAT(cut, HasSubstr("…  waits T1\n"));
  expect_fits(cut, 80);
  const std::string whole = run_text(run, Terminal{.width = 80}, {.lanes = {.full = true}, .path = {}, .hints = {}});
  EXPECT_THAT(whole, HasSubstr("not exists"));
  EXPECT_THAT(whole, Not(HasSubstr("…")));
  expect_fits(whole, 80);
}

TEST(RunText, FoldsARunOfManyRowsUnlessAskedForAll) {
  samples::Story story({"T1"});
  for (int i = 0; i < 1000; ++i) story.does(0, "read", "k" + std::to_string(i), "", "1");
  record::Run run = story.take();
  run.store = "kv";
  EXPECT_THAT(run_text(run, Terminal{}), HasSubstr("… 760 more rows (--full shows them)\n"));
  EXPECT_LT(lines_of(run_text(run, Terminal{})).size(), 260u);
  EXPECT_GT(lines_of(run_text(run, Terminal{}, {.lanes = {.full = true}, .path = {}, .hints = {}})).size(), 1000u);
}

TEST(RunText, TellsARetryThatSomebodyDisturbedStepByStep) {
  samples::Story story({"T1", "T2"});
  story.does(1, "begin").asks(1, "write", "A", "1").fails(1, Fault::serialization_failure, "40001").retries(1, 1);
  story.does(1, "begin").does(0, "read", "A", "", "0").does(1, "commit");
  record::Run run = story.take();
  run.store = "postgres";
  const std::string text = run_text(run, Terminal{});
  EXPECT_THAT(text, HasSubstr("✗ write A = 1: serialization failure\n"));
  EXPECT_THAT(text, HasSubstr("↻ retry 1: begin\n"));
  EXPECT_THAT(text, HasSubstr("✓ commit\n"));
}

TEST(RunText, TakesARunWithoutEventsOrActors) { EXPECT_THAT(run_text(record::Run{}, Terminal{}), HasSubstr("CLEAN")); }

}  // namespace
}  // namespace lockstep::cli
