// report_test.cc: `lockstep report`, `matrix` and the care of saved runs, as scripts meet them.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands/run_archive.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ReportCommand : public testing::Test {
 protected:
  Ended call(const std::vector<std::string>& words) { return lockstep(words, {{"LOCKSTEP_RUNS", folder_.path()}}); }
  std::string run_one() {
    const Ended ended = call({"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--json"});
    return nlohmann::json::parse(ended.out)["id"];
  }
  bool there(const std::string& path) const { return std::filesystem::exists(folder_.path() + "/" + path); }

  const ScratchFolder folder_;
};

TEST_F(ReportCommand, WritesThePageBesideTheRecording) {
  const std::string id = run_one();
  const Ended ended = call({"report"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, folder_.path() + "/" + id + "/report.html\n");
  EXPECT_TRUE(there(id + "/report.html"));
  EXPECT_FALSE(there(id + "/report.html.part"));
}

TEST_F(ReportCommand, WritesEveryFormatAndSaysSoAsJson) {
  const std::string id = run_one();
  const Ended ended = call({"report", id.substr(0, 6), "--format", "html,md,csv,json,junit,trace", "--json", "--out",
                            folder_.path() + "/out"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["runs"][0], id);
  ASSERT_EQ(json["files"].size(), 6u);
  for (const auto& file : json["files"]) {
    EXPECT_EQ(std::filesystem::file_size(file["path"].get<std::string>()), file["bytes"]) << file["path"];
  }
}

TEST_F(ReportCommand, WritesOneFormatToStandardOutput) {
  run_one();
  EXPECT_THAT(call({"report", "--format", "md", "--out", "-"}).out, StartsWith("# deadlock/two-lock\n"));
  EXPECT_EQ(call({"report", "--format", "md,csv", "--out", "-"}).code, 2);
}

TEST_F(ReportCommand, SaysWhatIsWrong) {
  EXPECT_THAT(call({"report"}).err, HasSubstr("no saved runs in "));
  const std::string id = run_one();
  const Ended format = call({"report", "--format", "htm"});
  EXPECT_EQ(format.code, 2);
  EXPECT_THAT(format.err, HasSubstr("did you mean \"html\"?"));
  const Ended unknown = call({"report", "ffffffffffff"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("--runs names another folder"));
  // The last page is missing.
  const std::string recording = folder_.path() + "/" + id + "/run.sqlite";
  std::filesystem::resize_file(recording, std::filesystem::file_size(recording) - 4096);
  const Ended damaged = call({"report", id});
  EXPECT_EQ(damaged.code, 4);
  EXPECT_THAT(damaged.err, HasSubstr("it is cut short"));
  EXPECT_TRUE(there(id + "/report.html"));
}

TEST_F(ReportCommand, AMatrixIsSavedWithARunForEachCell) {
  const Ended ended = call({"matrix", "isolation/write-skew", "--store", "kv", "--json"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  std::map<std::string, std::string> how;
  for (const auto& cell : json["cells"]) {
    how[cell["protocol"]] = cell["how"];
    EXPECT_TRUE(there(cell["run"].get<std::string>() + "/run.sqlite"));
  }
  EXPECT_EQ(how["snapshot"], "✗");
  EXPECT_EQ(how["2pl-detect"], "deadlock");
  EXPECT_EQ(how["occ"], "validation");
  EXPECT_EQ(how["ssi"], "conflict");
  const Ended page = call({"report", json["id"], "--format", "md", "--out", "-"});
  EXPECT_THAT(page.out, HasSubstr("| isolation/write-skew | plain | deadlock |"));
}

TEST_F(ReportCommand, RunsArePrunedExportedAndTakenIn) {
  const std::string first = run_one(), second = run_one();
  call({"report", first});
  EXPECT_EQ(call({"runs", "--prune"}).code, 2);
  EXPECT_EQ(call({"runs", "--export", folder_.path() + "/all.sqlar"}).code, 0);
  const Ended dry = call({"runs", "--prune", "--keep", "1", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("would delete " + first));
  EXPECT_TRUE(there(first));
  const Ended done = call({"runs", "--prune", "--keep", "1", "--json"});
  EXPECT_EQ(nlohmann::json::parse(done.out)["pruned"][0], first);
  EXPECT_FALSE(there(first));
  EXPECT_TRUE(there(second));
  const auto imported = nlohmann::json::parse(call({"runs", "--import", folder_.path() + "/all.sqlar", "--json"}).out);
  EXPECT_EQ(imported["imported"][0], first);
  EXPECT_EQ(imported["there_already"][0], second);
  EXPECT_EQ(call({"replay", first}).code, 0);
}

TEST(RunsCare, PrunesWhatIsNeitherNewNorYoung) {
  std::vector<record::SavedRun> runs(4);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i].id = std::string(1, static_cast<char>('a' + i));
    runs[i].started_at = "2026-01-0" + std::to_string(i + 1) + "T00:00:00Z";
  }
  const auto ids = [](const std::vector<record::SavedRun>& all) {
    std::string text;
    for (const auto& run : all) text += run.id;
    return text;
  };
  const long long now = 1767571200;  // 2026-01-05
  EXPECT_EQ(ids(to_prune(runs, 1, -1, now)), "abc");
  EXPECT_EQ(ids(to_prune(runs, 0, -1, now)), "abcd");
  EXPECT_EQ(ids(to_prune(runs, -1, 2.5 * 86400, now)), "ab");
  EXPECT_EQ(ids(to_prune(runs, 3, 2.5 * 86400, now)), "a");
  runs[0].started_at = "some day";
  EXPECT_EQ(ids(to_prune(runs, -1, 2.5 * 86400, now)), "b");
}

TEST(RunsCare, ReadsAges) {
  EXPECT_EQ(age_named("90s"), 90);
  EXPECT_EQ(age_named("30m"), 1800);
  EXPECT_EQ(age_named("1.5h"), 5400);
  EXPECT_EQ(age_named("7d"), 604800);
  for (const char* text : {"", "7", "d", "-1d", "7w", "7dd", "nan d", "nand", "1e9d"})
    EXPECT_LT(age_named(text), 0) << text;
}

}  // namespace
}  // namespace lockstep::cli
