// load_test.cc: `load` in a file: what it means, what is said of what means nothing, and rounds of it on kv and SQLite.
#include <gmock/gmock.h>

#include "engine/load/round.h"
#include "engine/run/run.h"
#include "engine/script/script.h"

namespace lockstep::script {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kTransfers =
    "given account/:row = 100\n"
    "load transfer\n"
    "  rows 20\n"
    "  choose a, b\n"
    "  step { begin claims account/:a, account/:b }\n"
    "  step { add account/:a -1 }\n"
    "  step { add account/:b 1 }\n"
    "  step { commit }\n"
    "holds \"money is conserved\" total = 100 * rows\n"
    "pattern ordered\n"
    "  choose a < b\n";

std::unique_ptr<Script> script_of(const std::string& text) {
  spec::ParsedSpec parsed = spec::parse("load.spec", text);
  EXPECT_TRUE(parsed.file.has_value()) << parsed.complaint.text("load.spec");
  if (!parsed.file) return nullptr;
  Result<std::unique_ptr<Script>> made = Script::made_of(std::move(*parsed.file));
  EXPECT_TRUE(made.ok()) << made.error().message;
  return made.ok() ? std::move(*made) : nullptr;
}

std::string said(const std::string& text) {
  const spec::ParsedSpec parsed = spec::parse("load.spec", text);
  EXPECT_FALSE(parsed.file.has_value()) << text;
  return parsed.complaint.text("load.spec");
}

load::RoundResult round_of(const Script& script, const std::string& store, const std::string& protocol,
                           const std::string& pattern, std::uint64_t rows, std::uint64_t commits = 50) {
  load::RoundRequest request;
  request.store = store;
  request.protocol = protocol;
  request.pattern = pattern;
  request.sessions = 4;
  request.shape = {.rows = rows, .theta = 0, .read_percent = kNoReads, .seed = 7};
  request.warmup = Nanos(0);
  request.measured = std::chrono::minutes(1);
  request.commits_most = commits;
  Result<load::RoundResult> result = load::run_round(script.scenario(), request, nullptr);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? std::move(*result) : load::RoundResult{};
}

TEST(LoadInAFile, IsPerformedByManySessionsAtEveryProtocol) {
  const auto script = script_of(kTransfers);
  ASSERT_NE(script, nullptr);
  EXPECT_TRUE(script->scenario().runs_under_load());
  EXPECT_EQ(script->scenario().rows_of_load_default(), 20u);
  for (const std::string& protocol : backend_named("kv")->protocol_names()) {
    SCOPED_TRACE(protocol);
    const load::RoundResult result = round_of(*script, "kv", protocol, "plain", 20);
    EXPECT_THAT(result.broken, IsEmpty());
    EXPECT_EQ(result.committed, 200u);
  }
}

TEST(LoadInAFile, ChoosesInOrderWhereThePatternSaysSo) {
  const auto script = script_of(kTransfers);
  ASSERT_NE(script, nullptr);
  const load::RoundResult result = round_of(*script, "kv", "2pl-detect", "ordered", 3, 300);
  EXPECT_EQ(result.committed, 1200u);
  EXPECT_EQ(result.aborts.count("deadlock"), 0u) << "two sessions took two accounts in opposite order";
}

TEST(LoadInAFile, IsWrongWhereAnUpdateIsLost) {
  const auto script = script_of(
      "given n/:row = 0\nload add\nrows 1\nchoose k\nstep { begin }\nstep { read n/:k -> seen }\n"
      "step { write n/:k = seen + 1 }\nstep { add done 1 }\nstep { commit }\nholds \"all count\" total = 0\n");
  ASSERT_NE(script, nullptr);
  EXPECT_EQ(round_of(*script, "kv", "occ", "plain", 1, 5).broken, "all count: it does not hold");
}

TEST(LoadInAFile, IsOfSeveralByTheirShares) {
  const auto script = script_of(
      "given often = 0, seldom = 0\n"
      "load a 90%\nstep { begin }\nstep { add often 1 }\nstep { commit }\n"
      "load b\nstep { begin }\nstep { add seldom 1 }\nstep { commit }\n"
      "holds \"mostly the first\" often > seldom * 5 and seldom > 20\n");
  ASSERT_NE(script, nullptr);
  EXPECT_THAT(round_of(*script, "kv", "2pl-detect", "plain", 1, 200).broken, IsEmpty());
}

TEST(LoadInAFile, InSqlHasTheNumberOfRowsInItsSetupAndItsInvariants) {
  const auto script = script_of(
      "load pay\nrows 12\nsetup {\n"
      "create table a (id integer primary key, n integer not null);\n"
      "with recursive i(k) as (select 1 union all select k + 1 from i where k < :rows) insert into a select k, 5 from "
      "i;\n"
      "}\nchoose x, y\n"
      "step { begin }\nstep { update a set n = n - 1 where id = :x returning n } -> left\n"
      "step { update a set n = n + 1 + :left * 0 where id = :y }\nstep { commit }\n"
      "holds \"sum\" { select sum(n) = 5 * :rows and count(*) = :rows from a }\n"
      "on sqlite\n");
  ASSERT_NE(script, nullptr);
  for (const std::uint64_t rows : {12u, 30u}) {
    const load::RoundResult result = round_of(*script, "sqlite", "immediate", "plain", rows, 20);
    EXPECT_THAT(result.broken, IsEmpty());
    EXPECT_EQ(result.committed, 80u);
  }
}

TEST(LoadInAFile, RunsUnderAScheduleInTwoSessions) {
  const auto script = script_of(kTransfers);
  ASSERT_NE(script, nullptr);
  const Result<record::Run> ran = run(script->scenario(), {.store = "kv", .protocol = "2pl-detect"});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_THAT(ran->actors, ElementsAre("S1", "S2"));
  EXPECT_FALSE(ran->invariants.empty());
  for (const record::Invariant& each : ran->invariants) EXPECT_TRUE(each.held) << each.detail;
}

TEST(LoadInAFile, SaysWhatIsWrongAtItsLine) {
  EXPECT_THAT(said("load a\nstep { select 1 }\nT1: select 1\n"), HasSubstr("load.spec:3: a file has sessions"));
  EXPECT_THAT(said("T1: select 1\nload a\nstep { select 1 }\n"), HasSubstr("load.spec:2: a file has sessions"));
  EXPECT_THAT(said("load\nstep { select 1 }\n"), HasSubstr("load.spec:1: write `load NAME`"));
  EXPECT_THAT(said("load a 120%\nstep { select 1 }\n"), HasSubstr("load.spec:1: write `load NAME`"));
  EXPECT_THAT(said("load a\nrows 10\n"), HasSubstr("load.spec:1: the load a has no step"));
  EXPECT_THAT(said("load a\nchoose x\nstep { select 1 }\n"), HasSubstr("write `rows 1000`"));
  EXPECT_THAT(said("load a\nrows 1\nchoose x, y\nstep { select 1 }\n"), HasSubstr("2 different rows of 1"));
  EXPECT_THAT(said("load a\nrows 5\nchoose x, x\nstep { select 1 }\n"), HasSubstr("different names"));
  EXPECT_THAT(said("load a\nrows none\nstep { select 1 }\n"), HasSubstr("`rows` takes a number"));
  EXPECT_THAT(said("load a\nrows 2\nrows 3\nstep { select 1 }\n"), HasSubstr("load.spec:3: `rows` is said once"));
  EXPECT_THAT(said("rows 2\nT1: select 1\n"), HasSubstr("`rows` stands below the `load`"));
  EXPECT_THAT(said("load a 50%\nstep { select 1 }\nload b 20%\nstep { select 1 }\n"), HasSubstr("add up to 70 %"));
  EXPECT_THAT(said("load a\nstep { select 1 }\nload a\nstep { select 1 }\n"),
              HasSubstr("load.spec:3: the pattern has"));
  EXPECT_THAT(said("load a\nstep x { select 1 }\n"), HasSubstr("steps of a load have no names"));
  EXPECT_THAT(said("load a\nstep { select 1 }\n=> 1\n"), HasSubstr("load.spec:3: a load performs its steps"));
  EXPECT_THAT(said("load a\nstep { select 1 }\npattern b\nstep { select 2 }\n"),
              HasSubstr("load.spec:4: a step stands below"));
  EXPECT_THAT(said("given a = 1\nload a\nrows 5\nchoose x\nstep { read n/:y }\n"), HasSubstr("no name \"y\""));
}

}  // namespace
}  // namespace lockstep::script
