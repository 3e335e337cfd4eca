// archive_test.cc: runs as one file and back, and runs taken away.
#include "engine/record/archive.h"

#include <gmock/gmock.h>

#include "engine/record/sqlite.h"
#include "tests/engine/record/recording.h"

namespace lockstep::record {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Archive : public testing::Test {
 protected:
  std::string save(const std::string& id) {
    record::Run run = full_run();
    run.id = id;
    const auto saved = record::save(run, from_);
    EXPECT_TRUE(saved.ok());
    return saved ? *saved : std::string();
  }
  /// An archive with one row.
  void write_archive(const std::string& name, const std::string& data) {
    sqlite::Database archive(file_, sqlite::Database::Mode::create);
    archive.run("CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)");
    sqlite::Statement(archive, "INSERT INTO sqlar VALUES (?, 33188, 0, ?, CAST(? AS BLOB))")
        .insert(name, static_cast<std::int64_t>(data.size()), data);
    ASSERT_FALSE(archive.failed());
  }

  TemporaryFolder folder_;
  const std::string from_ = folder_.in("from"), to_ = folder_.in("to"), file_ = folder_.in("runs.sqlar");
};

TEST_F(Archive, TakesRunsOutAndInByteForByte) {
  const std::string one = save("aaaaaaaaaaaa"), two = save("bbbbbbbbbbbb");
  ASSERT_TRUE(pack({one, two}, file_).ok());
  const auto unpacked = unpack(file_, to_);
  ASSERT_TRUE(unpacked.ok()) << unpacked.error().message;
  EXPECT_THAT(unpacked->ids, ElementsAre("aaaaaaaaaaaa", "bbbbbbbbbbbb"));
  EXPECT_THAT(unpacked->refused, IsEmpty());
  EXPECT_EQ(bytes_of(to_ + "/aaaaaaaaaaaa/run.sqlite"), bytes_of(one));
  EXPECT_EQ(bytes_of(to_ + "/bbbbbbbbbbbb/run.sqlite"), bytes_of(two));
}

TEST_F(Archive, LeavesARunThatIsThereAsItIs) {
  const std::string one = save("aaaaaaaaaaaa");
  ASSERT_TRUE(pack({one}, file_).ok());
  put(one, "mine");
  const auto unpacked = unpack(file_, from_);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_THAT(unpacked->there_already, ElementsAre("aaaaaaaaaaaa"));
  EXPECT_EQ(bytes_of(one), "mine");
}

TEST_F(Archive, IsNeverWrittenOverAFile) {
  put(file_, "mine");
  const auto packed = pack({save("aaaaaaaaaaaa")}, file_);
  ASSERT_FALSE(packed.ok());
  EXPECT_THAT(packed.error().message, HasSubstr("is there already"));
  EXPECT_EQ(bytes_of(file_), "mine");
}

TEST_F(Archive, LeavesNothingBehindWhenARecordingIsGone) {
  EXPECT_FALSE(pack({folder_.in("from/cccccccccccc/run.sqlite")}, file_).ok());
  EXPECT_FALSE(std::filesystem::exists(file_));
  EXPECT_FALSE(std::filesystem::exists(file_ + ".part"));
}

TEST_F(Archive, RefusesNamesThatLeadElsewhere) {
  write_archive("../aaaaaaaaaaaa/run.sqlite", bytes_of(save("aaaaaaaaaaaa")));
  const auto unpacked = unpack(file_, to_);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_THAT(unpacked->refused, ElementsAre(HasSubstr("it is no run")));
  EXPECT_FALSE(std::filesystem::exists(folder_.in("aaaaaaaaaaaa")));
}

TEST_F(Archive, RefusesWhatIsNoRecordingOrAnotherRun) {
  write_archive("aaaaaaaaaaaa/run.sqlite", "no database");
  auto unpacked = unpack(file_, to_);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_THAT(unpacked->refused, ElementsAre(HasSubstr("not a SQLite database")));
  std::filesystem::remove(file_);
  write_archive("aaaaaaaaaaaa/run.sqlite", bytes_of(save("bbbbbbbbbbbb")));
  unpacked = unpack(file_, to_);
  ASSERT_TRUE(unpacked.ok());
  EXPECT_THAT(unpacked->refused, ElementsAre(HasSubstr("it is the run bbbbbbbbbbbb")));
  EXPECT_TRUE(std::filesystem::is_empty(to_));
}

TEST_F(Archive, IsRefusedWhenItIsNone) {
  put(file_,
      "no database at all, but long enough to be looked at by SQLite, which wants a hundred bytes of header before it "
      "says so");
  const auto unpacked = unpack(file_, to_);
  ASSERT_FALSE(unpacked.ok());
  EXPECT_THAT(unpacked.error().message, HasSubstr("is no archive of runs"));
  EXPECT_FALSE(unpack(folder_.in("nothing"), to_).ok());
}

TEST_F(Archive, RemovesARunAndWhatWeLaidBesideItAndNothingElse) {
  const std::string one = save("aaaaaaaaaaaa"), two = save("bbbbbbbbbbbb");
  put(from_ + "/aaaaaaaaaaaa/report.html", "ours");
  put(from_ + "/bbbbbbbbbbbb/notes.txt", "mine");
  std::string left;
  ASSERT_TRUE(remove(one, {"report.html"}, left).ok());
  EXPECT_THAT(left, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(from_ + "/aaaaaaaaaaaa"));
  ASSERT_TRUE(remove(two, {"report.html"}, left).ok());
  EXPECT_EQ(left, from_ + "/bbbbbbbbbbbb");
  EXPECT_EQ(bytes_of(from_ + "/bbbbbbbbbbbb/notes.txt"), "mine");
  EXPECT_TRUE(list(from_)->empty());
}

}  // namespace
}  // namespace lockstep::record
