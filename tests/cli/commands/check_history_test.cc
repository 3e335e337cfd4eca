// check_history_test.cc: `lockstep check-history` as people and scripts meet it.
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class CheckHistory : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  std::string right() {
    return file("right.edn",
                "{:type :ok :process 0 :f :txn :value [[:append x 1]]}\n"
                "{:type :ok :process 1 :f :txn :value [[:r x [1]]]}\n");
  }
  std::string write_skew() {
    return file("skew.edn",
                "{:type :invoke :process 0 :f :txn :value [[:r x nil] [:r y nil] [:append x 1]]}\n"
                "{:type :invoke :process 1 :f :txn :value [[:r x nil] [:r y nil] [:append y 1]]}\n"
                "{:type :ok :process 0 :f :txn :value [[:r x []] [:r y []] [:append x 1]]}\n"
                "{:type :ok :process 1 :f :txn :value [[:r x []] [:r y []] [:append y 1]]}\n"
                "{:type :ok :process 2 :f :txn :value [[:r x [1]] [:r y [1]]]}\n");
  }
  std::string nothing() { return file("nothing.edn", "{:type :ok :process 0 :f :txn :value [[:append x 1]]}\n"); }

  const ScratchFolder folder_;
};

TEST_F(CheckHistory, SaysTrueFalseOrUnknownAndEndsWithIt) {
  const std::string valid = right(), skew = write_skew(), empty = nothing();
  const Ended good = lockstep({"check-history", valid});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, StartsWith(valid + "  true  serializable\n"));
  EXPECT_THAT(good.out, HasSubstr("strict-serializable is the strongest"));
  const Ended bad = lockstep({"check-history", valid, skew});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, StartsWith(valid + "  true  serializable\n" + skew + "  false  serializable\n"));
  const Ended unknown = lockstep({"check-history", valid, empty});
  EXPECT_EQ(unknown.code, 3);
  EXPECT_THAT(unknown.out, HasSubstr(empty + "  unknown  serializable\n"));
  EXPECT_THAT(unknown.out, HasSubstr("no transaction saw another"));
}

TEST_F(CheckHistory, ProvesAndDrawsWhatItFound) {
  const Ended ended = lockstep({"check-history", write_skew()});
  EXPECT_THAT(ended.out, AllOf(HasSubstr("repeatable-read is the weakest"), HasSubstr("G2-item"),
                               HasSubstr("T1 before T2: T2 appended 1 to y, of which T1 had read []"),
                               HasSubstr("──── rw x ───▶"), HasSubstr("strong-snapshot-isolation is the strongest"),
                               HasSubstr("line 1 process 0 [r x []] [r y []] [append x 1]")));
}

TEST_F(CheckHistory, HoldsAFileAgainstTheLevelsThatAreNamed) {
  const std::string skew = write_skew();
  const Ended two = lockstep({"check-history", skew, "--level", "snapshot-isolation,strict-serializable", "--quiet"});
  EXPECT_EQ(two.code, 1);
  EXPECT_EQ(two.out, skew + "  true  snapshot-isolation\n" + skew + "  false  strict-serializable\n");
  EXPECT_EQ(lockstep({"check-history", skew, "--level", "snapshot-isolation"}).code, 0);
  EXPECT_EQ(lockstep({"check-history", skew, "--level", "PL-SI"}).code, 0);
  const Ended all = lockstep({"check-history", skew, "--all", "--quiet"});
  EXPECT_EQ(std::count(all.out.begin(), all.out.end(), '\n'), 18);
}

TEST_F(CheckHistory, GivesJson) {
  const auto json = nlohmann::json::parse(lockstep({"check-history", write_skew(), nothing(), "--json"}).out);
  EXPECT_EQ(json["schema"], 1);
  const auto& skew = json["files"][0];
  EXPECT_EQ(skew["model"], "list-append");
  EXPECT_EQ(skew["valid"], false);
  EXPECT_EQ(skew["levels"]["snapshot-isolation"], true);
  EXPECT_EQ(skew["weakest_broken"], "repeatable-read");
  EXPECT_EQ(skew["anomalies"][0]["name"], "G2-item");
  EXPECT_EQ(skew["anomalies"][0]["cycle"].size(), 2u);
  EXPECT_EQ(json["files"][1]["valid"], "unknown");
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(CheckHistory, MakesAPageBesideTheHistory) {
  const std::string skew = write_skew();
  const Ended ended = lockstep({"check-history", skew, "--report", "--level", "serializable,snapshot-isolation"});
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr(folder_.path() + "/skew.html"));
  const std::string page = content_of(folder_.path() + "/skew.html");
  EXPECT_THAT(page, AllOf(StartsWith("<!doctype html>"), HasSubstr("✗ 1 of 2 hold, 1 broken"),
                          HasSubstr("The weakest level that is broken: repeatable-read."),
                          HasSubstr("The strongest that holds: strong-snapshot-isolation.")));
  EXPECT_THAT(page,
              AllOf(HasSubstr("✗ G2-item"), HasSubstr("The cycle of G2-item"), HasSubstr(">rw x</text>"),
                    HasSubstr("T2 appended 1 to y, of which T1 had read []"), HasSubstr("<code>[append x 1]</code>")));
  EXPECT_THAT(page, HasSubstr("check-history " + skew + " --level serializable,snapshot-isolation"));
  EXPECT_THAT(page, Not(HasSubstr("What is not known")));
}

TEST_F(CheckHistory, SaysOnThePageWhatIsUnknownAndWhichRulesWereUsed) {
  const Ended unknown = lockstep({"check-history", nothing(), "--out", "-"});
  EXPECT_EQ(unknown.code, 3);
  EXPECT_THAT(unknown.out, AllOf(StartsWith("<!doctype html>"), HasSubstr("? serializable: unknown"),
                                 HasSubstr("What is not known, and why"), HasSubstr("no transaction saw another")));
  const std::string registers = file("register.edn",
                                     "{:type :ok :process 0 :f :txn :value [[:w x 1]]}\n"
                                     "{:type :ok :process 1 :f :txn :value [[:r x 1] [:w x 2]]}\n");
  const Ended ruled = lockstep({"check-history", registers, "--out", "-"});
  EXPECT_EQ(ruled.code, 0);
  EXPECT_THAT(ruled.out, AllOf(HasSubstr("✓ serializable: holds"), HasSubstr("<code>writes-follow-reads</code>")));
}

TEST_F(CheckHistory, PutsPagesIntoAFolderUnderNamesOfTheirOwn) {
  const std::string edn = right(), json = file("right.json", R"([{"type":"ok","process":0,"f":"txn",
"value":[["append","x",1],["r","x",[1]]]}])");
  const std::string pages = folder_.path() + "/pages";
  const Ended ended = lockstep({"check-history", edn, json, "--out", pages, "--json"});
  const auto said = nlohmann::json::parse(ended.out);
  EXPECT_EQ(said["files"][0]["page"], pages + "/right.html");
  EXPECT_EQ(said["files"][1]["page"], pages + "/right-2.html");
  EXPECT_THAT(content_of(pages + "/right-2.html"), HasSubstr(json));
  EXPECT_EQ(lockstep({"check-history", edn, json, "--out", "-"}).code, 2) << "two pages are not one file";
  EXPECT_EQ(lockstep({"check-history", edn, "--out", "-", "--json"}).code, 2);
  EXPECT_EQ(lockstep({"check-history", edn, "--out", edn + "/pages"}).code, 2);
}

TEST_F(CheckHistory, SaysOfARunsHistoryWhatTheRunSaid) {
  for (const char* const name : {"run.edn", "run.json"}) {
    const std::string path = folder_.path() + "/" + name;
    const Ended skew = lockstep(
        {"run", "isolation/write-skew", "--protocol", "snapshot", "--no-record", "--quiet", "--history", path});
    EXPECT_EQ(skew.code, 0) << skew.err;
    EXPECT_THAT(skew.out, HasSubstr(path + "  true  strong-snapshot-isolation\n"));
    EXPECT_EQ(lockstep({"check-history", path, "--quiet", "--level", "strong-snapshot-isolation"}).out,
              path + "  true  strong-snapshot-isolation\n");
    EXPECT_EQ(lockstep({"check-history", path, "--quiet"}).code, 1) << "write skew is not serializable";
  }
  const std::string none = folder_.path() + "/none.edn";
  const Ended locks = lockstep({"run", "threads/two-lock", "--no-record", "--quiet", "--history", none});
  EXPECT_EQ(locks.code, 2);
  EXPECT_THAT(locks.err, HasSubstr("no history can be written: the run uses no store"));
  const auto json = nlohmann::json::parse(
      lockstep({"run", "money/transfer", "--no-record", "--json", "--history", folder_.path() + "/t.edn"}).out);
  EXPECT_EQ(json["history"]["claims"][0]["claim"], "strict-serializable");
  EXPECT_EQ(json["history"]["valid"], true);
}

TEST_F(CheckHistory, TellsManyFilesInTheirOrder) {
  std::vector<std::string> words{"check-history", "--quiet", "--jobs", "4"};
  std::string wanted;
  for (int i = 0; i < 30; ++i) {
    const std::string path = i % 3 == 0 ? write_skew() : i % 3 == 1 ? right() : nothing();
    words.push_back(path);
    wanted += path + (i % 3 == 0 ? "  false" : i % 3 == 1 ? "  true" : "  unknown") + "  serializable\n";
  }
  EXPECT_EQ(lockstep(words).out, wanted);
  EXPECT_EQ(lockstep({"check-history", right(), "--jobs", "none"}).code, 2);
}

TEST_F(CheckHistory, NamesTheLineOfWhatIsNoHistory) {
  const std::string bad = file("bad.edn", "{:type :ok :process 0 :f :txn :value [[:append x 1]]}\n{:type :ok :value 7");
  const Ended ended = lockstep({"check-history", right(), bad});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr(bad + ":2: the text ends before '}'"));
  EXPECT_THAT(ended.out, HasSubstr("  true  serializable\n")) << "the others are judged";
  EXPECT_EQ(lockstep({"check-history", folder_.path() + "/none"}).code, 2);
  EXPECT_EQ(lockstep({"check-history"}).code, 2);
  const Ended level = lockstep({"check-history", right(), "--level", "serialisable"});
  EXPECT_EQ(level.code, 2);
  EXPECT_THAT(level.err, HasSubstr("did you mean \"serializable\"?"));
  EXPECT_EQ(lockstep({"check-history", right(), "--model", "bag"}).code, 2);
  EXPECT_EQ(lockstep({"check-history", right(), "--time-limit", "soon"}).code, 2);
}

TEST_F(CheckHistory, JudgesTheOtherModels) {
  const std::string bank = file("bank.json", R"([{"type":"ok","process":0,"f":"read","value":{"0":50,"1":50}},
{"type":"ok","process":0,"f":"read","value":{"0":60,"1":50}}])");
  const Ended ended = lockstep({"check-history", bank});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, AllOf(StartsWith(bank + "  false  bank\n"), HasSubstr("wrong total"),
                               HasSubstr("process 0, line 2 read 110 in all, where 100 was read first")));
  EXPECT_EQ(lockstep({"check-history", bank, "--total", "110"}).code, 1);
  const std::string cas = file("cas.edn",
                               "{:type :ok :process 0 :f :write :value 1} {:type :ok :process 0 :f :read :value 1}\n"
                               "{:type :fail :process 0 :f :cas :value [1 2]}");
  EXPECT_EQ(lockstep({"check-history", cas}).code, 0);
  EXPECT_EQ(lockstep({"check-history", cas, "--failed-cas", "reads"}).code, 1);
}

}  // namespace
}  // namespace lockstep::cli
