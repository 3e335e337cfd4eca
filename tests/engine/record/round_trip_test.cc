// round_trip_test.cc: what is saved comes back, whatever it says, and can be asked for in SQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/record/files.h"
#include "engine/record/schema.h"
#include "engine/record/sqlite.h"
#include "tests/engine/record/recording.h"

namespace lockstep::record {
namespace {

using ::testing::HasSubstr;

std::vector<std::vector<std::string>> query(const std::string& path, const char* sql) {
  sqlite::Database database(path, sqlite::Database::Mode::read);
  std::vector<std::vector<std::string>> rows;
  {
    for (sqlite::Statement row(database, sql); row.next();) {
      auto& columns = rows.emplace_back();
      for (int i = 0; i < row.columns(); ++i) columns.push_back(row.is_null(i) ? "NULL" : row.text(i));
    }
  }
  EXPECT_FALSE(database.failed()) << database.error(sql).message;
  return rows;
}

using Rows = std::vector<std::vector<std::string>>;

TEST(Recording, GivesEveryFieldBack) {
  TemporaryFolder folder;
  auto run = full_run();
  const auto path = save(run, folder.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  EXPECT_TRUE(is_id(run.id)) << run.id;
  EXPECT_EQ(*path, folder.in(run.id + "/run.sqlite"));
  const auto loaded = load(*path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  expect_same(run, *loaded);
}

TEST(Recording, GivesAnEmptyRunBack) {
  TemporaryFolder folder;
  record::Run run;
  const auto path = save(run, folder.in("made/on/the/way"));
  ASSERT_TRUE(path.ok()) << path.error().message;
  const auto loaded = load(*path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  expect_same(run, *loaded);
}

TEST(Recording, KeepsEveryVerdictAndEnding) {
  TemporaryFolder folder;
  for (int verdict = 0; verdict <= static_cast<int>(Verdict::hung); ++verdict) {
    for (int ending = 0; ending <= static_cast<int>(Ending::unavailable); ++ending) {
      record::Run run;
      run.verdict = static_cast<Verdict>(verdict);
      run.ending = static_cast<Ending>(ending);
      const auto path = save(run, folder.path());
      ASSERT_TRUE(path.ok()) << path.error().message;
      const auto loaded = load(*path);
      ASSERT_TRUE(loaded.ok()) << loaded.error().message;
      expect_same(run, *loaded);
    }
  }
}

TEST(Recording, KeepsEveryFault) {
  TemporaryFolder folder;
  record::Run run;
  for (int fault = 0; fault <= static_cast<int>(Fault::internal); ++fault) {
    Event event;
    event.seq = run.events.size() + 1;
    event.fault = static_cast<Fault>(fault);
    run.events.push_back(event);
  }
  const auto path = save(run, folder.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  const auto loaded = load(*path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  expect_same(run, *loaded);
}

TEST(Recording, ReadsAFaultByTheNameThatAnOlderVersionGaveIt) {
  TemporaryFolder folder;
  record::Run run;
  run.outcomes.faults = {{"refused", 3}};
  Event event;
  event.seq = 1;
  event.fault = Fault::refused;
  run.events.push_back(event);
  const auto path = save(run, folder.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  {
    sqlite::Database database(*path, sqlite::Database::Mode::create);
    database.run("UPDATE outcome_fault SET fault = 'out_of_stock'; UPDATE event SET fault = 'out_of_stock'");
    ASSERT_FALSE(database.failed());
  }
  const auto loaded = load(*path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->outcomes.faults, run.outcomes.faults);
  EXPECT_EQ(loaded->events.at(0).fault, Fault::refused);
}

TEST(Recording, KeepsHostileTextByteForByte) {
  TemporaryFolder folder;
  const std::string hostile[] = {"'; DROP TABLE run; --",  std::string("nul\0inside", 10),
                                 "\xff\xfe not utf-8",     "line\nline\ttab\r",
                                 "../../etc/passwd",       "\x1b[31mred",
                                 std::string(100'000, 'x')};
  for (const std::string& text : hostile) {
    auto run = full_run();
    run.scenario = run.title = run.schedule = run.command = run.summary = text;
    run.actors = {text, text + "2"};
    run.outcomes.faults[text] = 1;
    run.environment[text] = text;
    run.cycles = {{text}};
    run.victims = {text};
    run.invariants = {{text, false, text}};
    for (Event& event : run.events) event.object = event.detail = event.code = event.verb = text;
    const auto path = save(run, folder.path());
    ASSERT_TRUE(path.ok()) << path.error().message;
    const auto loaded = load(*path);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    expect_same(run, *loaded);
  }
}

TEST(Recording, KeepsExtremeNumbers) {
  TemporaryFolder folder;
  record::Run run;
  run.actors = {"T1"};
  run.outcomes = {.committed = UINT64_MAX, .aborted = 1ULL << 63, .retries = 0, .faults = {{"busy", UINT64_MAX}}};
  run.wall_ms = 1e300;
  run.events = {event_on(1), event_on(2)};
  run.events[0].at_ns = INT64_MIN;
  run.events[0].step = UINT32_MAX;
  run.events[1].at_ns = INT64_MAX;
  const auto path = save(run, folder.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  const auto loaded = load(*path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  expect_same(run, *loaded);
}

TEST(Recording, TakesThePlaceOfAnEarlierSaveOfTheSameRun) {
  TemporaryFolder folder;
  auto run = full_run();
  ASSERT_TRUE(save(run, folder.path()).ok());
  put(folder.in(run.id + "/debug.gdb"), "a file beside it stays");
  const std::string id = run.id;
  run.summary = "another";
  const auto path = save(run, folder.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  EXPECT_EQ(run.id, id);
  EXPECT_EQ(load(*path)->summary, "another");
  EXPECT_TRUE(std::filesystem::exists(folder.in(id + "/debug.gdb")));
  EXPECT_EQ(list(folder.path())->size(), 1u);
}

TEST(Recording, GivesTheSameRunAnotherIdEachTime) {
  TemporaryFolder folder;
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    record::Run run;
    ASSERT_TRUE(save(run, folder.path()).ok());
    ids.insert(run.id);
  }
  EXPECT_EQ(ids.size(), 100u);
}

TEST(Recording, IsADatabaseOfItsOwnKind) {
  TemporaryFolder folder;
  auto run = full_run();
  const std::string path = *save(run, folder.path());
  EXPECT_EQ(query(path, "PRAGMA application_id"), (Rows{{std::to_string(kApplicationId)}}));
  EXPECT_EQ(query(path, "PRAGMA user_version"), (Rows{{std::to_string(kSchemaVersion)}}));
  EXPECT_EQ(query(path, "PRAGMA journal_mode"), (Rows{{"delete"}}));
  EXPECT_EQ(query(path, "PRAGMA foreign_key_check"), Rows{});
  EXPECT_THAT(query(path, "SELECT sql FROM sqlite_schema WHERE name = 'event'")[0][0],
              HasSubstr("nanoseconds since the start of the run"));
}

/// T1 reads A at once; T2 waits for it and for somebody outside, gets B after 2.5 ms; T1 waits for ever.
Run waiting_run() {
  record::Run run;
  run.actors = {"T1", "T2"};
  const auto add = [&run](std::int64_t us, int actor, std::uint32_t step, EventKind kind, const char* verb,
                          const char* object, std::vector<int> others = {}) {
    Event event;
    event.seq = run.events.size() + 1;
    event.at_ns = us * 1000;
    event.actor = actor;
    event.step = step;
    event.kind = kind;
    event.verb = verb;
    event.object = object;
    event.others = std::move(others);
    if (kind == EventKind::fault) event.fault = Fault::busy;
    run.events.push_back(event);
  };
  add(0, 0, 1, EventKind::request, "read", "A");
  add(0, 0, 1, EventKind::grant, "read", "A");
  add(1000, 1, 2, EventKind::request, "write", "B");
  add(1000, 1, 2, EventKind::wait, "write", "B", {0, kNobody});
  add(2000, 0, 3, EventKind::request, "write", "C");
  add(2000, 0, 3, EventKind::wait, "write", "C", {1});
  add(3500, 1, 2, EventKind::fault, "write", "B");
  add(3500, kNobody, 0, EventKind::note, "", "");
  return run;
}

TEST(RecordingViews, ShowWaitsWithTheirDurations) {
  TemporaryFolder folder;
  auto run = waiting_run();
  const std::string path = *save(run, folder.path());
  EXPECT_EQ(
      query(path, "SELECT step, actor, object, waits_for, since_ms, waited_ms, ended FROM waits ORDER BY seq"),
      (Rows{{"2", "T2", "B", "T1 (outside)", "1.0", "2.5", "busy"}, {"3", "T1", "C", "T2", "2.0", "NULL", "NULL"}}));
}

TEST(RecordingViews, ShowOneRowAStep) {
  TemporaryFolder folder;
  auto run = waiting_run();
  const std::string path = *save(run, folder.path());
  EXPECT_EQ(query(path, "SELECT step, actor, verb, waited_ms, waits_for, outcome, fault FROM steps ORDER BY step"),
            (Rows{{"1", "T1", "read", "NULL", "NULL", "grant", "NULL"},
                  {"2", "T2", "write", "2.5", "T1 (outside)", "fault", "busy"},
                  {"3", "T1", "write", "NULL", "T2", "NULL", "NULL"}}));
}

TEST(RecordingViews, ShowEveryEventWithNames) {
  TemporaryFolder folder;
  auto run = waiting_run();
  const std::string path = *save(run, folder.path());
  EXPECT_EQ(query(path, "SELECT count(*) FROM timeline"), (Rows{{"8"}}));
  EXPECT_EQ(query(path, "SELECT ms, actor, step FROM timeline WHERE seq = 8"), (Rows{{"3.5", "NULL", "NULL"}}));
}

TEST(RecordNames, ComeBackFromTheirText) {
  for (int i = 0; i <= static_cast<int>(EventKind::notice); ++i) {
    const auto kind = static_cast<EventKind>(i);
    EXPECT_EQ(event_kind_named(name_of(kind)), kind);
  }
  for (int i = 0; i <= static_cast<int>(Verdict::hung); ++i) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_EQ(verdict_named(name_of(verdict)), verdict);
  }
  for (int i = 0; i <= static_cast<int>(Ending::unavailable); ++i) {
    const auto ending = static_cast<Ending>(i);
    EXPECT_EQ(ending_named(name_of(ending)), ending);
  }
  EXPECT_EQ(name_of(EventKind::invariant), "invariant");
  EXPECT_EQ(name_of(Verdict::avoided), "avoided");
  EXPECT_EQ(name_of(Ending::unavailable), "unavailable");
  EXPECT_EQ(verdict_named("Clean"), std::nullopt);
  EXPECT_EQ(event_kind_named(""), std::nullopt);
  EXPECT_EQ(ending_named("comp"), std::nullopt);
}

}  // namespace
}  // namespace lockstep::record
