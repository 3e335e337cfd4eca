// files_test.cc: text files where the program takes a name: exit codes, complaints, and what outlives a file.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "engine/record/run.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const char* const kTwoLines =
    "# Two sessions and a row\n"
    "setup { create table t (n int); insert into t values (1); }\n"
    "on sqlite\n"
    "T1: update t set n = n + 1\n"
    "=> 1 row\n"
    "T2: select n from t\n";

/// A folder with a file.
class Files : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  std::string runs() const { return path("runs"); }

  const ScratchFolder folder_;
};

TEST_F(Files, RunSaysWhetherAllCameAsTheFileSays) {
  const std::string good = write("good.spec", std::string(kTwoLines) + "=> 2\n");
  const Ended held = lockstep({"run", good, "--store", "sqlite", "--out", runs()});
  EXPECT_EQ(held.code, 0) << held.err;
  EXPECT_THAT(held.out, StartsWith(good + "   store sqlite"));
  EXPECT_THAT(held.out, HasSubstr("2 lines => as the file says"));

  const std::string bad = write("bad.spec", std::string(kTwoLines) + "=> 3\n");
  const Ended missed = lockstep({"run", bad, "--store", "sqlite", "--out", runs(), "--quiet"});
  EXPECT_EQ(missed.code, 1);
  EXPECT_THAT(missed.err, HasSubstr(bad + ":7: => 3: 2 came"));
  // In another order `=>` says nothing.
  const Ended other = lockstep({"run", bad, "--store", "sqlite", "--out", runs(), "--schedule", "T2 T1"});
  EXPECT_EQ(other.code, 0) << other.out;
}

TEST_F(Files, RowsAreToldOnlyWhereAStatementHasSome) {
  const std::string file = write("case.spec",
                                 "setup { create table t (n int); }\non sqlite\nT1: begin\n"
                                 "T1: update t set n = 2\nT1: rollback\nT1: begin\nT1: commit\n");
  const Ended ended = lockstep({"run", file, "--no-record"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("● rollback → rolled back\n"));
  EXPECT_THAT(ended.out, HasSubstr("● begin\n"));
  EXPECT_THAT(ended.out, HasSubstr("● commit\n"));
}

TEST_F(Files, AnAnswerThatIsKeptBeforeTheSemicolonIsToldOf) {
  const std::string head = "setup { create table t (n int); insert into t values (1); }\non sqlite\n";
  const Ended before = lockstep({"run", write("before.spec", head + "T1: select n from t -> x;\n"), "--no-record"});
  EXPECT_EQ(before.code, 1);
  EXPECT_THAT(before.out, HasSubstr("an answer is kept by `-> name`"));
  const Ended behind = lockstep(
      {"run", write("behind.spec", head + "T1: select n from t; -> x\nT1: select :x + 1\n=> 2\n"), "--no-record"});
  EXPECT_EQ(behind.code, 0) << behind.out << behind.err;
  EXPECT_THAT(behind.out, HasSubstr("1 line => as the file says"));
}

TEST_F(Files, BlessWritesWhatCame) {
  const std::string file = write("case.spec", std::string(kTwoLines) + "=> 3\n");
  const Ended blessed = lockstep({"run", file, "--store", "sqlite", "--bless", "--no-record"});
  EXPECT_EQ(blessed.code, 0) << blessed.err;
  EXPECT_EQ(read("case.spec"), std::string(kTwoLines) + "=> 2\n");
  const Ended of_catalogue = lockstep({"run", "deadlock/two-lock", "--bless", "--no-record"});
  EXPECT_EQ(of_catalogue.code, 2);
  EXPECT_THAT(of_catalogue.err, HasSubstr("--bless writes into a text file"));
}

TEST_F(Files, AFileOfTheCatalogueIsPartOfTheProgram) {
  const Ended shown = lockstep({"show", "deadlock/foreign-key"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("scenarios/deadlock/foreign_key.spec"));
  EXPECT_THAT(lockstep({"list", "deadlock"}).out, HasSubstr("deadlock/foreign-key"));
  const Ended blessed = lockstep({"run", "deadlock/foreign-key", "--bless", "--no-record"});
  EXPECT_EQ(blessed.code, 2);
  EXPECT_THAT(blessed.err, HasSubstr("lockstep run scenarios/deadlock/foreign_key.spec --bless"));
  const Ended of_cpp = lockstep({"mend", "deadlock/two-lock"});
  EXPECT_EQ(of_cpp.code, 2);
  EXPECT_THAT(of_cpp.err, HasSubstr("is written in C++"));
}

TEST_F(Files, ASearchHasNoOptionOfFreeRuns) {
  const Ended ended = lockstep({"explore", "deadlock/two-lock", "--record-every", "4"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("no option \"--record-every\" for explore"));
}

TEST_F(Files, ComplaintsNameTheLine) {
  const std::string file = write("case.spec", "T1: begin\nsetpu { }\n");
  for (const char* const command : {"run", "show", "explore", "debug", "check", "matrix"}) {
    const Ended ended = lockstep({command, file});
    EXPECT_EQ(ended.code, 2) << command << ended.out << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(file + ":2: no statement \"setpu\"; did you mean \"setup\"?")) << command;
  }
  const Ended missing = lockstep({"run", path("none.spec")});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, HasSubstr("none.spec cannot be read: No such file"));
  const Ended no_text = lockstep({"run", write("zero.spec", std::string("T1: begin\n\0", 11))});
  EXPECT_EQ(no_text.code, 2);
  EXPECT_THAT(no_text.err, HasSubstr("a NUL byte"));
}

TEST_F(Files, ARunIsReplayedAfterItsFileIsGone) {
  const std::string file = write("case.spec", kTwoLines);
  ASSERT_EQ(lockstep({"run", file, "--store", "sqlite", "--out", runs()}).code, 0);
  const auto saved = record::list(runs());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);
  const std::string id = saved->front().id;

  const Ended same = lockstep({"replay", id, "--out", runs()});
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.err, IsEmpty());
  write("case.spec", "T1: select 1\n");
  const Ended changed = lockstep({"replay", id, "--out", runs()});
  EXPECT_EQ(changed.code, 0) << changed.err;
  EXPECT_THAT(changed.err, HasSubstr("case.spec has changed since; the text in the recording is used"));
  std::filesystem::remove(file);
  const Ended gone = lockstep({"replay", id, "--out", runs()});
  EXPECT_EQ(gone.code, 0) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr("case.spec is not there any more"));
  EXPECT_EQ(lockstep({"report", id, "--runs", runs(), "--out", path("page")}).code, 0);
}

TEST_F(Files, CheckTakesAFolder) {
  write("a.spec", std::string(kTwoLines) + "=> 2\nexpect sqlite *: clean\n");
  write("b.spec", "given A = 1\nT1: begin claims A\nT1: read A\n=> 1\nT1: commit\nexpect kv *: clean\n");
  write("notes.txt", "no file of this kind");
  const Ended good = lockstep({"check", folder_.path(), "--store", "kv,sqlite", "--junit", path("check.xml")});
  EXPECT_EQ(good.code, 0) << good.out << good.err;
  EXPECT_THAT(good.out, HasSubstr("16 cells checked: 16 as expected"));
  EXPECT_THAT(read("check.xml"), HasSubstr("a.spec"));
  write("c.spec", std::string(kTwoLines) + "=> 4\nexpect sqlite immediate: clean\n");
  const Ended bad = lockstep({"check", folder_.path(), "--store", "kv,sqlite"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, HasSubstr("c.spec:7: => 4: 2 came"));
}

TEST_F(Files, ShowAndExploreTakeAFile) {
  const std::string file = write("case.spec", kTwoLines);
  const Ended shown = lockstep({"show", file});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("update t set n = n + 1"));
  const Ended explored = lockstep({"explore", file, "--store", "sqlite", "--json", "--out", runs()});
  EXPECT_EQ(explored.code, 0) << explored.err;
  EXPECT_THAT(explored.out, HasSubstr("\"interleavings\":2"));
  EXPECT_THAT(explored.out, testing::Not(HasSubstr("co_await"))) << "a file has no code between its lines";
  EXPECT_THAT(explored.out, testing::Not(HasSubstr("bodies share")));
}

}  // namespace
}  // namespace lockstep::cli
