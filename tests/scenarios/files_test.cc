// files_test.cc: scenarios in text files do what they say, and what the same scenario written in C++ does.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "engine/explore/explore.h"
#include "engine/run/replay.h"
#include "engine/run/run.h"
#include "engine/script/script.h"
#include "scenarios/catalogue.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using script::Script;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string path_of(const std::string& name) {
  return (std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "scenarios/files" / (name + ".spec")).string();
}

std::unique_ptr<Script> script_at(const std::string& name) {
  Result<std::unique_ptr<Script>> read = Script::read(path_of(name));
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? std::move(*read) : nullptr;
}

std::unique_ptr<Script> script_of_text(const std::string& text) {
  spec::ParsedSpec parsed = spec::parse("case.spec", text);
  EXPECT_TRUE(parsed.file.has_value()) << parsed.complaint.text("case.spec");
  Result<std::unique_ptr<Script>> made = Script::made_of(std::move(*parsed.file));
  EXPECT_TRUE(made.ok()) << made.error().message;
  return std::move(*made);
}

record::Run must_run(const Scenario& scenario, const RunRequest& request) {
  Result<record::Run> ran = run(scenario, request);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  return ran.ok() ? std::move(*ran) : record::Run{};
}

/// An event without its time and without the judgement.
std::vector<std::string> events_told_by(const record::Run& run) {
  std::vector<std::string> story;
  for (const record::Event& event : run.events) {
    if (event.kind == record::EventKind::invariant) continue;
    std::string line = std::to_string(event.actor) + " " + std::to_string(event.step) + " " +
                       std::string(record::name_of(event.kind)) + " " + event.verb + " " + event.object + " " +
                       event.detail + " " + event.code;
    for (const int other : event.others) line += " " + std::to_string(other);
    story.push_back(std::move(line));
  }
  return story;
}

TEST(Files, PortableFileDoesWhatTheScenarioInCppDoes) {
  const auto file = script_at("portable_two_lock");
  const Scenario& written = *scenarios::find("deadlock/two-lock");
  int compared = 0;
  for (const char* const store : {"kv", "sqlite"}) {
    for (const ProtocolTraits& protocol : backend_named(store)->protocols) {
      SCOPED_TRACE(std::string(store) + " " + protocol.name);
      const record::Run first =
          must_run(file->scenario(), {.store = store, .protocol = protocol.name, .executor = "coroutines"});
      EXPECT_TRUE(first.as_expected()) << record::name_of(first.verdict);
      const record::Run second = must_run(written, {.store = store,
                                                    .protocol = protocol.name,
                                                    .pattern = "plain",
                                                    .executor = "coroutines",
                                                    .schedule = first.schedule});
      EXPECT_EQ(events_told_by(first), events_told_by(second));
      ++compared;
    }
  }
  EXPECT_GE(compared, 16);
}

TEST(Files, PortableFileIsSearchedAsTheScenarioInCppIs) {
  const auto file = script_at("portable_two_lock");
  const Result<Exploration> explored =
      explore(file->scenario(), {.run = {.store = "kv", .protocol = "2pl-detect"}, .fewest_preemptions = false});
  ASSERT_TRUE(explored.ok()) << explored.error().message;
  EXPECT_TRUE(explored->complete);
  EXPECT_EQ(explored->interleavings, 284);
  EXPECT_EQ(explored->runs, 48u);
  double deadlocks = 0;
  for (const Finding& each : explored->findings) {
    if (each.verdict == record::Verdict::deadlock) deadlocks += each.interleavings;
  }
  EXPECT_EQ(deadlocks, 240);
}

TEST(Files, ConditionsScansAndKeysWithValuesDoWhatBodiesDo) {
  const auto skew = script_of_text(
      "# Two doctors go off call at once\n"
      "given alice = 'on', bob = 'on'\n"
      "option retries 10\n"
      "session T1\n"
      "step { begin claims alice, bob }\n"
      "step { read bob -> other }\n"
      "step { require other != 'off' \"nobody else is on call\" }\n"
      "step { write alice = 'off' }\n"
      "step { commit }\n"
      "session T2\n"
      "step { begin claims alice, bob }\n"
      "step { read alice -> other }\n"
      "step { require other != 'off' \"nobody else is on call\" }\n"
      "step { write bob = 'off' }\n"
      "step { commit }\n"
      "schedule T1 T1 T2 T2 T1 T2\n"
      "holds \"somebody is on call\" alice = 'on' or bob = 'on'\n");
  const auto queue = script_of_text(
      "given ready/1 = 'print', ready/2 = 'mail', ready/3 = 'archive'\n"
      "option retries 10\n"
      "session T1, T2\n"
      "step { begin }\n"
      "step { scan_for_update ready/ .. ready0 limit 1 -> n, job }\n"
      "step { require n > 0 \"the queue is empty\" }\n"
      "step { erase :job }\n"
      "step { insert done/:me = job }\n"
      "step { commit }\n"
      "schedule T1 T1 T2 T2 T1 T1 T1 T2\n");
  const struct {
    const Script& file;
    const char* scenario;
    const char* pattern;
  } cases[] = {{*skew, "isolation/write-skew", "plain"}, {*queue, "queue/work-queue", "for-update"}};
  for (const auto& each : cases) {
    for (const ProtocolTraits& protocol : backend_named("kv")->protocols) {
      SCOPED_TRACE(std::string(each.scenario) + " " + protocol.name);
      const Scenario& written = *scenarios::find(each.scenario);
      if (!written.pattern_named(each.pattern)->expected("kv", protocol.name)) continue;
      const RunRequest request{.store = "kv", .protocol = protocol.name, .executor = "coroutines"};
      const record::Run first = must_run(each.file.scenario(), request);
      RunRequest other = request;
      other.pattern = each.pattern;
      other.schedule = first.schedule;
      const record::Run second = must_run(written, other);
      EXPECT_EQ(first.verdict, second.verdict);
      EXPECT_EQ(events_told_by(first), events_told_by(second));
    }
  }
}

TEST(Files, WhatIsSaidOfAStepIsChecked) {
  const auto file = script_of_text(
      "setup { create table t (id int primary key, n int, s text); insert into t values (1, 10, 'a'), (2, 20, null) }\n"
      "on sqlite\n"
      "T1: begin\n"
      "T1: select id, n, s from t order by id\n"
      "=> 1 | 10 | a\n"
      "=> 2|20|null\n"
      "T1: update t set n = n + 1 where id = 1\n"
      "=> 1 row\n"
      "T1: select n from t where id = 1\n"
      "=> 12\n"
      "T1: insert into t values (1, 1, 'b')\n"
      "=> constraint\n"
      "T1: commit\n"
      "T2: select count(*) from t -> n\n"
      "T2: select :n + 1, :'me'\n"
      "=> 3 | T2\n"
      "holds \"two rows\" { select count(*) = 2 from t }\n"
      "holds \"no row is odd\" { select * from t where n % 2 = 3 }\n");
  const record::Run ran = must_run(file->scenario(), {.store = "sqlite"});
  EXPECT_EQ(ran.verdict, record::Verdict::clean) << ran.summary;
  const std::vector<script::Checked> checked = script::check(*file, ran, file->latest());
  ASSERT_EQ(checked.size(), 5u);
  std::vector<int> missed;
  for (const script::Checked& each : checked) {
    if (!each.held) missed.push_back(each.line);
  }
  EXPECT_THAT(missed, ElementsAre(10));
  EXPECT_EQ(checked[2].came, "11");
  const std::string blessed = script::blessed(*file, ran, file->latest());
  EXPECT_THAT(blessed, HasSubstr("where id = 1\n=> 11\nT1: insert"));
  EXPECT_THAT(blessed, HasSubstr("T2: select count(*) from t -> n\n=> 2\n"));
  const auto again = script_of_text(blessed);
  const record::Run second = must_run(again->scenario(), {.store = "sqlite"});
  for (const script::Checked& each : script::check(*again, second, again->latest()))
    EXPECT_TRUE(each.held) << each.said;
  EXPECT_EQ(script::blessed(*again, second, again->latest()), blessed);
}

TEST(Files, WhatCameElsewhereIsWrittenForThatProtocol) {
  const auto file = script_of_text("given A = 1\nT1: begin\nT1: read A\n=> 1\nT1: commit\n");
  const record::Run usual = must_run(file->scenario(), {.store = "kv"});
  EXPECT_EQ(script::blessed(*file, usual, file->latest()), file->file().text);
  const record::Run elsewhere = must_run(file->scenario(), {.store = "kv", .protocol = "occ"});
  EXPECT_THAT(script::check(*file, elsewhere, file->latest()), IsEmpty());
  const std::string blessed = script::blessed(*file, elsewhere, file->latest());
  EXPECT_EQ(blessed, "given A = 1\nT1: begin\nT1: read A\n=> [occ] 1\n=> 1\nT1: commit\n");
  const auto again = script_of_text(blessed);
  const record::Run second = must_run(again->scenario(), {.store = "kv", .protocol = "occ"});
  EXPECT_EQ(script::check(*again, second, again->latest()).size(), 1u);
  EXPECT_EQ(script::blessed(*again, second, again->latest()), blessed);
}

TEST(Files, MistakesInTheFileAreErrors) {
  const auto file = script_of_text("on sqlite\nT1: select * from no_such_table\nT1: select 1\n=> 1\n");
  const record::Run ran = must_run(file->scenario(), {.store = "sqlite"});
  EXPECT_EQ(ran.verdict, record::Verdict::error);
  EXPECT_THAT(ran.summary, HasSubstr("T1 SQLITE_ERROR: case.spec:2: select * from no_such_table: no such table"));
  const auto holds = script_of_text("on sqlite\nT1: select 1\nholds \"x\" { select nothing }\n");
  const record::Run unasked = must_run(holds->scenario(), {.store = "sqlite"});
  const auto checked = script::check(*holds, unasked, holds->latest());
  ASSERT_EQ(checked.size(), 1u);
  EXPECT_FALSE(checked[0].held);
  EXPECT_THAT(checked[0].came, HasSubstr("nothing"));
}

TEST(Files, NamesThatDoNotExistAreSaidWithTheirLine) {
  const auto said = [](const std::string& text) {
    spec::ParsedSpec parsed = spec::parse("case.spec", text);
    const auto made = Script::made_of(std::move(*parsed.file));
    return made.ok() ? std::string() : made.error().message;
  };
  EXPECT_EQ(said("T1: begin\nexpect postgress *: clean\n"),
            "case.spec:2: no store with SQL \"postgress\"; did you mean \"postgres\"?");
  EXPECT_EQ(said("T1: begin\nexpect postgres serialisable: clean\n"),
            "case.spec:2: no protocol of postgres \"serialisable\"; did you mean \"serializable\"?");
  EXPECT_EQ(said("T1: begin\nexpect postgres *: deadlok\n"),
            "case.spec:2: no verdict \"deadlok\"; did you mean \"deadlock\"?");
  EXPECT_EQ(said("T1: begin\n=> [serialisable] 1\n"),
            "case.spec:2: no protocol \"serialisable\"; did you mean \"serializable\"?");
  EXPECT_EQ(said("T1: begin\non postgress\n"),
            "case.spec:2: no store with SQL \"postgress\"; did you mean \"postgres\"?");
  EXPECT_THAT(said("T1: begin\nwhy \"so\" sometimes\n"), HasSubstr("case.spec:2: \"sometimes\" is no outcome"));
}

TEST(Files, SessionsMayHaveNamesThatAScheduleCannotWrite) {
  const auto file = script_of_text(
      "on sqlite\nsession \"s 1\" step a { select 1 }\nsession s2 step b { select 2 } step c { select 3 }\n"
      "permutation b a c\n");
  const record::Run ran = must_run(file->scenario(), {.store = "sqlite"});
  EXPECT_EQ(ran.schedule, "s2 s_1 s2");
  const Result<Replay> again = replay(file->scenario(), ran, {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(again->divergence.has_value());
}

TEST(Files, EachPermutationIsAPatternOfItsFile) {
  const auto file = script_of_text(
      "on sqlite\nsetup { create table t (n int); }\n"
      "session s1 step a { insert into t values (1) } step b { select count(*) from t }\n=> 1\n"
      "session s2 step c { insert into t values (2) }\npermutation a b c\npermutation a c b\npermutation b a\n");
  const Scenario& scenario = file->scenario();
  ASSERT_EQ(scenario.patterns().size(), 4U);
  EXPECT_EQ(scenario.patterns()[0].name, "plain");
  EXPECT_EQ(scenario.patterns()[2].name, "permutation-3");
  EXPECT_EQ(scenario.patterns()[2].summary, "b a");
  EXPECT_EQ(scenario.patterns()[3].name, script::kEveryStep);
  EXPECT_EQ(must_run(scenario, {.store = "sqlite"}).schedule, "s1 s1 s2");
  const record::Run second = must_run(scenario, {.store = "sqlite", .pattern = "permutation-2"});
  EXPECT_EQ(second.schedule, "s1 s2 s1");
  // What a step must give is held against what came in that permutation.
  const std::vector<script::Checked> checked = script::check(*file, second, file->latest());
  ASSERT_EQ(checked.size(), 1U);
  EXPECT_FALSE(checked.front().held);
  EXPECT_EQ(checked.front().came, "2");
  // The steps are those of the permutation, in its order.
  const record::Run third = must_run(scenario, {.store = "sqlite", .pattern = "permutation-3"});
  EXPECT_EQ(third.schedule, "s1 s1");
  EXPECT_EQ(script::check(*file, third, file->latest()).front().came, "0");
  const record::Run every = must_run(scenario, {.store = "sqlite", .pattern = script::kEveryStep});
  EXPECT_EQ(every.schedule.size(), std::string("s1 s1 s2").size());
}

TEST(Files, TheTeardownOfASessionIsItsLastStep) {
  const auto file = script_of_text(
      "on sqlite\nsetup { create table t (n int); }\n"
      "session s1 setup { begin } step a { insert into t values (1) } teardown { commit }\n"
      "permutation a\nholds \"it is kept\" { select count(*) = 1 from t }\n");
  const record::Run ran = must_run(file->scenario(), {.store = "sqlite"});
  EXPECT_EQ(ran.schedule, "s1 s1 s1");
  EXPECT_EQ(ran.verdict, record::Verdict::clean) << ran.summary;
}

TEST(Files, ARunOutlivesItsFile) {
  const auto file = script_at("portable_two_lock");
  record::Run ran = must_run(file->scenario(), {.store = "kv", .protocol = "2pl-detect"});
  file->note_source(ran);
  EXPECT_THAT(ran.documents["sites"], HasSubstr("portable_two_lock.spec"));
  const auto recorded = Script::recorded_in(ran);
  ASSERT_TRUE(recorded.ok()) << recorded.error().message;
  const Result<Replay> again = replay((*recorded)->scenario(), ran, {});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(again->divergence.has_value());
  EXPECT_EQ(again->run.verdict, record::Verdict::deadlock);
}

/// The parameter: a file whose verdicts, and whose steps, were measured on PostgreSQL.
class FilesOnServer : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Examples, FilesOnServer,
                         testing::Values("two_transfers", "write_skew", "work_queue", "migration", "portable_two_lock"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(FilesOnServer, EndAsTheySay) {
  const std::optional<std::string> dsn = scenarios_testing::test_dsn();
  if (!dsn) GTEST_SKIP() << "no PostgreSQL server, and none can be started";
  const auto file = script_at(GetParam());
  for (const Pattern& pattern : file->scenario().patterns()) {
    for (const ProtocolTraits& protocol : backend_named("postgres")->protocols) {
      if (!pattern.expected("postgres", protocol.name)) continue;
      SCOPED_TRACE(pattern.name + " " + protocol.name);
      // A wait that the file tells of must be seen before the server looks whether it is a deadlock.
      const record::Run ran = must_run(file->scenario(), {.store = "postgres",
                                                          .protocol = protocol.name,
                                                          .pattern = pattern.name,
                                                          .dsn = *dsn,
                                                          .deadlock_timeout = std::chrono::milliseconds(400)});
      EXPECT_TRUE(ran.as_expected()) << record::name_of(ran.verdict) << ": " << ran.summary;
      for (const script::Checked& each : script::check(*file, ran, file->latest()))
        EXPECT_TRUE(each.held) << each.line << ": => " << each.said << ": " << each.came;
    }
  }
}

TEST(Files, EveryOrderOfTheDeadlockIsFound) {
  const std::optional<std::string> dsn = scenarios_testing::test_dsn();
  if (!dsn) GTEST_SKIP() << "no PostgreSQL server, and none can be started";
  const auto file = script_at("two_transfers");
  const Result<Exploration> explored =
      explore(file->scenario(), {.run = {.store = "postgres", .dsn = *dsn}, .direct = true});
  ASSERT_TRUE(explored.ok()) << explored.error().message;
  EXPECT_TRUE(explored->complete);
  EXPECT_EQ(explored->interleavings, 42);
  EXPECT_EQ(explored->runs_ending(record::Verdict::deadlock), 24u);
  EXPECT_EQ(explored->runs_ending(record::Verdict::clean), 18u);
  const Result<Exploration> ordered =
      explore(file->scenario(), {.run = {.store = "postgres", .pattern = "ordered", .dsn = *dsn}, .direct = true});
  ASSERT_TRUE(ordered.ok()) << ordered.error().message;
  EXPECT_EQ(ordered->interleavings, 24);
  EXPECT_EQ(ordered->runs_ending(record::Verdict::clean), 24u);
}

}  // namespace
}  // namespace lockstep
