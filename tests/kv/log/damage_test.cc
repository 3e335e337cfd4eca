// damage_test.cc: folders that are not as they should be: each a fault whose message names the file and what to do.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "kv/log/folder.h"
#include "kv/log/write_set.h"
#include "tests/kv/clients.h"
#include "tests/kv/log/faulty_files.h"

namespace lockstep::kv::testing {
namespace {

Options options_on(FaultyFiles& files) {
  Options options;
  options.protocol = "occ";
  options.path = kFolder;
  options.files = &files;
  options.log_limits.segment_bytes = 1024;
  options.log_limits.checkpoint_bytes = 1u << 30;
  return options;
}

/// A store of several segments, `commits` transactions, not closed in order unless `close`.
std::unique_ptr<FaultyFiles> store_of(int commits, bool close, std::uint64_t checkpoint_bytes = 1u << 30) {
  FaultyFiles files;
  Options options = options_on(files);
  options.log_limits.checkpoint_bytes = checkpoint_bytes;
  Result<std::unique_ptr<Store>> store = Store::open(options);
  EXPECT_TRUE(store.ok()) << store.error().message;
  for (int i = 1; i <= commits; ++i) commit_row(**store, fmt::format("k{:03}", i), std::string(40, 'v'));
  if (checkpoint_bytes < 1u << 30)
    while ((*store)->log_status()->checkpoint == 0) std::this_thread::yield();
  if (close) {
    EXPECT_TRUE((*store)->close().ok());
    store->reset();  // its checkpointer ends only with it
  }
  return files.crash(Loss::nothing, 1);
}

std::string error_of(FaultyFiles& files) {
  const Result<std::unique_ptr<Store>> store = Store::open(options_on(files));
  return store.ok() ? "" : fmt::format("{}: {}", lockstep::name_of(store.fault()), store.error().message);
}

std::vector<Position> segments_of(FaultyFiles& files) { return look_into(files, kFolder)->segments; }

void expect_words(const std::string& text, std::initializer_list<std::string> words) {
  for (const std::string& word : words) EXPECT_NE(text.find(word), std::string::npos) << word << " is not in: " << text;
}

TEST(DamagedStore, ALogCutInTheMiddleIsAnError) {
  const auto files = store_of(60, false);
  const std::string path = segment_path(kFolder, segments_of(*files)[1]);
  files->put(path, files->contents(path).substr(0, 500));
  expect_words(error_of(*files), {"io: ", path, "offset", "restore"});
}

TEST(DamagedStore, AChangedByteInTheMiddleIsAnErrorThatNamesItsRecord) {
  const auto intact = store_of(60, false);
  const std::string path = segment_path(kFolder, segments_of(*intact)[0]);
  const std::string bytes = intact->contents(path);
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    SCOPED_TRACE(fmt::format("byte {}", at));
    const auto files = intact->crash(Loss::nothing, 1);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    files->put(path, changed);
    expect_words(error_of(*files), {path});
    EXPECT_EQ(files->contents(path), changed) << "a damaged store is left as it is";
  }
}

// The store was closed in order, so it is known where its log ended.
TEST(DamagedStore, DamageInTheLastSegmentIsNotTakenForATornEnd) {
  const auto intact = store_of(58, true);
  const std::string path = segment_path(kFolder, segments_of(*intact).back());
  const std::string bytes = intact->contents(path);
  ASSERT_GT(bytes.size(), kSegmentHeaderBytes + 2 * kRecordHeaderBytes);
  for (std::size_t at = kSegmentHeaderBytes; at < bytes.size(); at += 3) {
    SCOPED_TRACE(fmt::format("byte {}", at));
    const auto files = intact->crash(Loss::nothing, 1);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    files->put(path, changed);
    expect_words(error_of(*files), {"io: ", path, "offset", "was on disk"});
    files->put(path, bytes.substr(0, at));
    expect_words(error_of(*files), {"io: ", path, "offset", "was on disk"});
  }
}

// After a crash every record but those of the last group is followed by one which shows that it was on disk.
TEST(DamagedStore, DamageBeforeTheLastGroupIsNotTakenForATornEnd) {
  const auto intact = store_of(58, false);
  intact->drop(kFolder + "/SETTLED");
  const std::string path = segment_path(kFolder, segments_of(*intact).back());
  const std::string bytes = intact->contents(path);
  const std::size_t last_record = bytes.size() - kRecordHeaderBytes - 8 - 4 - 40;
  for (std::size_t at = kSegmentHeaderBytes; at < last_record; at += 3) {
    SCOPED_TRACE(fmt::format("byte {}", at));
    const auto files = intact->crash(Loss::nothing, 1);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    files->put(path, changed);
    expect_words(error_of(*files), {"io: ", path, "offset", "shows that it was on disk"});
  }
}

TEST(DamagedStore, ATornEndIsCut) {
  const auto intact = store_of(60, false);
  const std::string path = segment_path(kFolder, segments_of(*intact).back());
  const std::string bytes = intact->contents(path);
  for (const std::string& tail :
       {std::string(1, 'x'), std::string(31, '\0'), std::string(700, 'z'), bytes.substr(40)}) {
    const auto files = intact->crash(Loss::nothing, 1);
    files->put(path, bytes + tail);
    Result<std::unique_ptr<Store>> store = Store::open(options_on(*files));
    ASSERT_TRUE(store.ok()) << store.error().message;
    EXPECT_EQ((*store)->log_status()->recovery.cut_bytes, tail.size());
    EXPECT_EQ((*store)->log_status()->last, 60u);
    EXPECT_EQ(files->contents(path), bytes);
  }
}

TEST(DamagedStore, AMissingSegmentIsAnError) {
  const auto intact = store_of(60, true);
  const std::vector<Position> segments = segments_of(*intact);
  ASSERT_GT(segments.size(), 3u);
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const auto files = intact->crash(Loss::nothing, 1);
    files->drop(segment_path(kFolder, segments[i]));
    expect_words(error_of(*files), {"io: ", fmt::format("position {}", segments[i]), "restore"});
  }
  for (const Position first : segments) intact->drop(segment_path(kFolder, first));
  expect_words(error_of(*intact), {"io: ", "lacks the records from position 1 on"});
}

TEST(DamagedStore, ADamagedCheckpointIsAnError) {
  const auto intact = store_of(100, true, 2000);
  const std::string path = checkpoint_path(kFolder, look_into(*intact, kFolder)->checkpoints.back());
  const std::string bytes = intact->contents(path);
  for (std::size_t at = 0; at < bytes.size(); at += 11) {
    SCOPED_TRACE(fmt::format("byte {}", at));
    const auto files = intact->crash(Loss::nothing, 1);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    files->put(path, changed);
    expect_words(error_of(*files), {path});
    files->put(path, bytes.substr(0, at));
    expect_words(error_of(*files), {"io: ", path, "offset"});
  }
  intact->drop(path);
  expect_words(error_of(*intact), {"io: ", "lacks the records from position 1 on"});
}

TEST(DamagedStore, ALostIdentityIsAnError) {
  const auto files = store_of(3, true);
  const std::string path = kFolder + "/STORE";
  const std::string text = files->contents(path);
  files->drop(path);
  expect_words(error_of(*files), {"io: ", path, "restore"});
  files->put(path, text.substr(0, text.size() - 3));
  expect_words(error_of(*files), {"io: ", path, "damaged"});
  files->put(path, "");
  expect_words(error_of(*files), {"io: ", path, "damaged"});
}

TEST(DamagedStore, AnotherFormatIsRefused) {
  const auto files = store_of(3, true);
  files->put(kFolder + "/STORE", "lockstep kv store\nformat 2\nid 0000000000000001\nwhatever it says then\n");
  expect_words(error_of(*files), {"invalid: ", kFolder, "format 2", "format 1", "version of lockstep"});
}

TEST(DamagedStore, AFileOfAnotherStoreIsRefused) {
  const auto files = store_of(60, true);
  const auto other = store_of(60, true);
  const std::string path = segment_path(kFolder, 1);
  files->put(path, other->contents(path));
  expect_words(error_of(*files), {"invalid: ", path, "another store", "move it away"});
}

TEST(DamagedStore, AFolderOfOtherFilesIsLeftAlone) {
  FaultyFiles files;
  files.put(kFolder + "/thesis.tex", "years of work");
  expect_words(error_of(files), {"invalid: ", kFolder, "thesis.tex", "empty"});
  EXPECT_EQ(files.paths(), std::vector<std::string>{kFolder + "/thesis.tex"});
}

TEST(DamagedStore, AStrangeFileBesideTheStoreIsLeftAlone) {
  const auto files = store_of(3, true);
  files->put(kFolder + "/notes.txt", "mine");
  EXPECT_EQ(error_of(*files), "");
  EXPECT_EQ(files->contents(kFolder + "/notes.txt"), "mine");
}

TEST(DamagedStore, UnfinishedFilesAreRemoved) {
  const auto files = store_of(3, true);
  files->put(kFolder + "/checkpoint-00000000000000000002.new", "half");
  EXPECT_EQ(error_of(*files), "");
  EXPECT_EQ(files->contents(kFolder + "/checkpoint-00000000000000000002.new"), "");
}

// The same on real files, for what only they can show.
class RealFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lockstep-kv-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::string error_of(const std::string& path) {
    const Result<std::unique_ptr<Store>> store = Store::open({.protocol = "occ", .path = path});
    return store.ok() ? "" : fmt::format("{}: {}", lockstep::name_of(store.fault()), store.error().message);
  }

  std::string folder_;
};

TEST_F(RealFolder, CommitsAndRecovers) {
  for (int round = 0; round < 3; ++round) {
    auto store = open_store("occ", {.path = folder_ + "/store"});
    EXPECT_EQ(contents(*store).size(), static_cast<std::size_t>(round));
    commit_row(*store, fmt::format("round {}", round), "v");
  }
}

TEST_F(RealFolder, IsHeldAgainstASecondStore) {
  auto store = open_store("occ", {.path = folder_});
  expect_words(error_of(folder_), {"unavailable: ", folder_, "in use", fmt::format("process {}", ::getpid())});
  store.reset();
  EXPECT_EQ(error_of(folder_), "");
}

TEST_F(RealFolder, NamesWhatIsNoFolder) {
  std::ofstream(folder_ + "/file") << "text";
  expect_words(error_of(folder_ + "/file"), {"invalid: ", folder_ + "/file", "Not a directory"});
  expect_words(error_of(folder_ + "/no/such"), {"invalid: ", folder_ + "/no/such", "No such file"});
}

TEST_F(RealFolder, NamesAFolderThatCannotBeWrittenTo) {
  // Root may write anywhere but where the kernel itself refuses.
  const std::string path = ::geteuid() == 0 ? "/proc/self/task" : folder_ + "/locked";
  if (::geteuid() != 0) {
    ASSERT_EQ(::mkdir(path.c_str(), 0500), 0);
  }
  const std::string error = error_of(path);
  expect_words(error, {path});
  EXPECT_TRUE(error.starts_with("permission: ") || error.starts_with("invalid: ")) << error;
}

// A bounded share of what tests/fuzz does without end: any bytes give a store or a fault, never a crash, and what is
// given is a state that was committed.
TEST(DamagedStore, AnyBytesGiveAnErrorOrACommittedState) {
  const auto intact = store_of(40, true, 2000);
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::vector<std::string> paths = intact->paths();
  std::size_t opened = 0;
  for (int round = 0; round < 1500; ++round) {
    const auto files = intact->crash(Loss::nothing, 1);
    const std::string& path = paths[random() % paths.size()];
    if (path.ends_with("/SETTLED")) continue;  // it may be gone; then the end of the log is its own witness
    std::string bytes = files->contents(path);
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t i = 0; i < changes; ++i) {
      const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
      switch (random() % 5) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.insert(at, std::string(random() % 100, static_cast<char>(random())));
          break;
        case 2:
          bytes.erase(at, random() % 100);
          break;
        case 3:
          if (at + 8 <= bytes.size()) bytes.replace(at, 8, bytes, random() % bytes.size(), 8);
          break;
        default:
          if (!bytes.empty()) bytes[at] = static_cast<char>(random());
      }
    }
    files->put(path, bytes);
    Result<std::unique_ptr<Store>> store = Store::open(options_on(*files));
    if (!store.ok()) {
      ASSERT_NE(store.error().message.find(kFolder), std::string::npos) << store.error().message;
      continue;
    }
    ++opened;
    // Commit i wrote k<i>: a committed state has the first of them and no other.
    const std::vector<Row> rows = contents(**store);
    for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i].key, fmt::format("k{:03}", i + 1)) << path;
    ASSERT_EQ(rows.size(), 40u) << path;
  }
  EXPECT_GT(opened, 0u);
}

}  // namespace
}  // namespace lockstep::kv::testing
