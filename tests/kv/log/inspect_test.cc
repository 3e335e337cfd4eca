// inspect_test.cc: what a look from the outside finds: intact, in use, damaged.
#include "kv/log/inspect.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "kv/log/folder.h"
#include "kv/log/write_set.h"
#include "tests/kv/clients.h"
#include "tests/kv/log/faulty_files.h"

namespace lockstep::kv::testing {
namespace {

class Inspect : public ::testing::Test {
 protected:
  /// Commits k1..kN, erases k1, and makes at least one checkpoint.
  void SetUp() override {
    Options options;
    options.path = kFolder;
    options.files = &files_;
    options.log_limits.segment_bytes = 1024;
    options.log_limits.checkpoint_bytes = 2048;
    store_ = open_store("occ", options);
    for (int i = 1; i <= 60; ++i) commit_row(*store_, fmt::format("k{}", i), std::string(40, 'v'));
    commit_row(*store_, "k1", "");
    while (store_->log_status()->checkpoint == 0) std::this_thread::yield();
  }
  FolderReport report() {
    Result<FolderReport> found = inspect(files_, kFolder);
    EXPECT_TRUE(found.ok()) << found.error().message;
    return std::move(found).value();
  }

  FaultyFiles files_;
  std::unique_ptr<Store> store_;
};

TEST_F(Inspect, FindsAStoreInUseAndAClosedOneIntact) {
  for (const bool closed : {false, true}) {
    if (closed) store_.reset();
    const FolderReport found = report();
    EXPECT_EQ(found.first_problem(), nullptr) << found.first_problem()->message;
    ASSERT_GE(found.files.size(), 2u);
    EXPECT_TRUE(found.files.front().is_checkpoint);
    EXPECT_GT(found.files.front().items, 10u);
    EXPECT_EQ(found.files.back().last, 61u);
    EXPECT_EQ(found.settled, closed ? 61u : 0u);
    const Result<Contents> contents = read_contents(files_, kFolder);
    ASSERT_TRUE(contents.ok());
    EXPECT_FALSE(contents->damage);
    EXPECT_EQ(contents->last, 61u);
    EXPECT_EQ(contents->rows.size(), 59u);
    EXPECT_FALSE(contents->rows.contains("k1"));
  }
}

TEST_F(Inspect, ChangesNothing) {
  store_.reset();
  const std::size_t steps = files_.steps();
  (void)report();
  (void)read_contents(files_, kFolder);
  EXPECT_EQ(files_.steps(), steps);
}

TEST_F(Inspect, GivesTheLogInOrder) {
  store_.reset();
  Position last = 0;
  std::string final_writes;
  const Result<std::optional<Error>> damage =
      read_log(files_, kFolder, [&](const std::string&, const LogRecord& record) {
        EXPECT_TRUE(last == 0 || record.position == last + 1);
        last = record.position;
        final_writes = record.write_set;
        return Result<void>();
      });
  ASSERT_TRUE(damage.ok());
  EXPECT_FALSE(damage->has_value());
  EXPECT_EQ(last, 61u);
  std::string_view rest = final_writes;
  const std::optional<LoggedWrite> write = take_write(rest);
  ASSERT_TRUE(write);
  EXPECT_EQ(write->key, "k1");
  EXPECT_FALSE(write->value);
}

TEST_F(Inspect, NamesTheDamageAndShowsWhatIsBeforeIt) {
  store_.reset();
  const FolderReport before = report();
  const FileReport& last = before.files.back();
  const std::string path = join_path(kFolder, last.name);
  std::string bytes = files_.contents(path);
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  files_.put(path, bytes);
  const FolderReport after = report();
  ASSERT_NE(after.first_problem(), nullptr);
  EXPECT_NE(after.first_problem()->message.find(path + " is damaged at offset"), std::string::npos);
  EXPECT_EQ(after.files.back().items, last.items - 1);
  const Result<Contents> contents = read_contents(files_, kFolder);
  ASSERT_TRUE(contents.ok());
  EXPECT_TRUE(contents->damage);
  EXPECT_EQ(contents->rows.size(), 60u) << "the erasure of k1 is behind the damage";
}

TEST_F(Inspect, NamesAMissingFile) {
  store_.reset();
  files_.drop(join_path(kFolder, report().files.front().name));
  ASSERT_NE(report().first_problem(), nullptr);
  EXPECT_NE(report().first_problem()->message.find("lacks the records from position 1 on"), std::string::npos);
  const Result<Contents> contents = read_contents(files_, kFolder);
  ASSERT_TRUE(contents.ok());
  EXPECT_TRUE(contents->damage);
}

TEST_F(Inspect, SaysWhenThereIsNoStore) {
  FaultyFiles empty;
  EXPECT_EQ(inspect(empty, kFolder).fault(), Fault::invalid);
  empty.put(kFolder + "/thesis.tex", "text");
  EXPECT_NE(inspect(empty, kFolder).error().message.find("holds no kv store"), std::string::npos);
}

TEST_F(Inspect, FollowsAStoreThatIsBusy) {
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; !done; ++i) commit_row(*store_, fmt::format("w{}", i % 100), std::string(100, 'w'));
  });
  for (int i = 0; i < 200; ++i) {
    const Result<FolderReport> found = inspect(files_, kFolder);
    if (!found.ok()) {
      EXPECT_EQ(found.error().code, kGone) << found.error().message;  // ten times in a row
      continue;
    }
    EXPECT_EQ(found->first_problem(), nullptr) << found->first_problem()->message;
  }
  done = true;
  writer.join();
}

}  // namespace
}  // namespace lockstep::kv::testing
