// folder_test.cc: the folder of saved runs: listing, finding, and folders or disks that refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>

#include "engine/record/files.h"
#include "engine/record/owned_folder.h"
#include "tests/engine/record/recording.h"

namespace lockstep::record {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  return names;
}

std::string saved_at(const std::string& folder, const std::string& started_at, const std::string& id = "") {
  auto run = full_run();
  run.id = id;
  run.started_at = started_at;
  const auto path = save(run, folder);
  EXPECT_TRUE(path.ok()) << path.error().message;
  return run.id;
}

TEST(RunFolder, ListsTheOldestFirst) {
  TemporaryFolder folder;
  const std::string second = saved_at(folder.path(), "2026-01-02T00:00:00Z", "000000000000");
  const std::string third = saved_at(folder.path(), "2026-01-03T00:00:00Z", "111111111111");
  const std::string first = saved_at(folder.path(), "2026-01-01T00:00:00Z", "222222222222");
  std::vector<std::string> ids;
  const auto runs = list(folder.path());
  for (const SavedRun& run : *runs) ids.push_back(run.id);
  EXPECT_THAT(ids, ElementsAre(first, second, third));
}

TEST(RunFolder, ShowsWhatARunIs) {
  TemporaryFolder folder;
  auto run = full_run();
  const std::string path = *save(run, folder.path());
  const auto runs = list(folder.path());
  ASSERT_THAT(*runs, SizeIs(1));
  const SavedRun& one = runs->front();
  EXPECT_EQ(one.id, run.id);
  EXPECT_EQ(one.scenario, run.scenario);
  EXPECT_EQ(one.store, run.store);
  EXPECT_EQ(one.protocol, run.protocol);
  EXPECT_EQ(one.pattern, run.pattern);
  EXPECT_EQ(one.executor, run.executor);
  EXPECT_EQ(one.started_at, run.started_at);
  EXPECT_EQ(one.path, path);
  EXPECT_EQ(one.verdict, Verdict::deadlock);
  EXPECT_FALSE(one.as_expected);
  EXPECT_EQ(one.events, run.events.size());
}

TEST(RunFolder, HoldsNothingWhenItDoesNotExist) {
  TemporaryFolder folder;
  EXPECT_THAT(*list(folder.in("none")), IsEmpty());
  EXPECT_EQ(find(folder.in("none"), "7f").fault(), Fault::invalid);
}

TEST(RunFolder, NamesTheUnreadableAndPassesThemOver) {
  TemporaryFolder folder;
  const std::string good = saved_at(folder.path(), "2026-01-01T00:00:00Z");
  std::filesystem::create_directories(folder.in("aaaaaaaaaaaa"));
  std::filesystem::create_directories(folder.in("bbbbbbbbbbbb"));
  put(folder.in("bbbbbbbbbbbb/run.sqlite"), "not a database");
  std::filesystem::create_directories(folder.in("a folder of the user's"));
  put(folder.in("cccccccccccc"), "a file");
  std::vector<std::string> unreadable;
  const auto runs = list(folder.path(), &unreadable);
  ASSERT_THAT(*runs, SizeIs(1));
  EXPECT_EQ(runs->front().id, good);
  EXPECT_THAT(unreadable, ElementsAre(HasSubstr("aaaaaaaaaaaa"), HasSubstr("bbbbbbbbbbbb"), HasSubstr("cccccccccccc")));
  EXPECT_THAT(*list(folder.path()), SizeIs(1)) << "nobody has to ask for them";
}

TEST(RunFolder, FindsARunByTheStartOfItsId) {
  TemporaryFolder folder;
  for (const char* id : {"7f3a00000000", "7f3b00000000", "80aa00000000"}) saved_at(folder.path(), "", id);
  EXPECT_EQ(*find(folder.path(), "8"), folder.in("80aa00000000/run.sqlite"));
  EXPECT_EQ(*find(folder.path(), "7F3A"), folder.in("7f3a00000000/run.sqlite"));
  EXPECT_EQ(*find(folder.path(), "7f3b00000000"), folder.in("7f3b00000000/run.sqlite"));
  const auto several = find(folder.path(), "7f");
  EXPECT_EQ(several.fault(), Fault::invalid);
  EXPECT_THAT(several.error().message, AllOf(HasSubstr("7f3a00000000"), HasSubstr("7f3b00000000")));
  for (const char* bad : {"", "9", "../7f", "7f3a000000000", "xyz"}) {
    const auto none = find(folder.path(), bad);
    ASSERT_FALSE(none.ok()) << bad;
    EXPECT_EQ(none.fault(), Fault::invalid);
    EXPECT_THAT(none.error().message, AllOf(HasSubstr(folder.path()), HasSubstr(bad)));
  }
}

double cpu_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// Time of the processor, not of the clock: other work on the machine does not count. It takes about a third of a
// second; under a sanitizer, which takes what it takes, only the list is looked at.
TEST(RunFolder, ListsTwoThousandRunsInLessThanThreeSeconds) {
  TemporaryFolder folder;
  const std::string id = saved_at(folder.path(), "2026-01-01T00:00:00Z");
  for (int i = 0; i < 2000; ++i) {
    const std::string copy = folder.in("00000000" + std::to_string(1000 + i));
    std::filesystem::create_directories(copy);
    std::filesystem::copy_file(folder.in(id + "/run.sqlite"), copy + "/run.sqlite");
  }
  const double start = cpu_ms();
  const auto runs = list(folder.path());
  const double took = cpu_ms() - start;
  EXPECT_THAT(*runs, SizeIs(2001));
  RecordProperty("milliseconds", static_cast<int>(took));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(took, 3000);
#endif
}

TEST(SavingARun, RefusesAnIdThatIsNone) {
  TemporaryFolder folder;
  for (const char* id : {"../../evil", "7f3a", "7F3A00000000", "7f3a0000000000"}) {
    auto run = full_run();
    run.id = id;
    EXPECT_EQ(save(run, folder.path()).fault(), Fault::invalid);
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

/// The twelfth event, of an actor.
Event event_of(int actor, std::vector<int> others = {}) {
  Event event = event_on(12);
  event.actor = actor;
  event.others = std::move(others);
  return event;
}

TEST(SavingARun, RefusesEventsThatAreOutOfOrderOrOfNobody) {
  TemporaryFolder folder;
  for (const Event& bad : {event_on(13), event_on(0), event_of(2), event_of(-2), event_of(0, {0, 2})}) {
    auto run = full_run();
    run.events.push_back(bad);
    const auto saved = save(run, folder.path());
    ASSERT_FALSE(saved.ok());
    EXPECT_EQ(saved.fault(), Fault::invalid) << saved.error().message;
    EXPECT_THAT(saved.error().message, HasSubstr("event 12"));
    EXPECT_EQ(run.id, "");
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

TEST(SavingARun, SaysWhenTheFolderIsAFile) {
  TemporaryFolder folder;
  put(folder.in("runs"), "a file");
  auto run = full_run();
  for (const std::string& bad : {folder.in("runs"), folder.in("runs/deeper")}) {
    const auto saved = save(run, bad);
    ASSERT_FALSE(saved.ok());
    EXPECT_THAT(saved.error().message, AllOf(HasSubstr(bad), HasSubstr("--out")));
  }
}

/// Runs `body` in a child that is not root, because root may write everywhere. Its exit code is 0 when all held.
template <class Body>
void as_nobody(const Body& body) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(2);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(SavingARun, SaysWhenTheFolderIsNotWritable) {
  TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  as_nobody([&folder] {
    auto run = full_run();
    const auto saved = save(run, folder.path());
    const auto below = save(run, folder.in("below"));
    return !saved.ok() && saved.fault() == Fault::permission &&
           saved.error().message.find(folder.path()) != std::string::npos && !below.ok() &&
           below.fault() == Fault::permission;
  });
}

TEST(SavingARun, SaysWhenARecordingMayNotBeRead) {
  TemporaryFolder folder;
  const std::string id = saved_at(folder.path(), "2026-01-01T00:00:00Z");
  const std::string path = folder.in(id + "/run.sqlite");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0000), 0);
  as_nobody([&path] {
    const auto loaded = load(path);
    return !loaded.ok() && loaded.fault() == Fault::permission &&
           loaded.error().message.find(path) != std::string::npos;
  });
}

TEST(SavingARun, ReadsFromAFolderThatNobodyMayWrite) {
  TemporaryFolder folder;
  const std::string id = saved_at(folder.path(), "2026-01-01T00:00:00Z");
  ASSERT_EQ(::chmod(folder.in(id).c_str(), 0555), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  as_nobody([&folder, &id] { return load(folder.in(id + "/run.sqlite")).ok() && list(folder.path())->size() == 1; });
  ASSERT_EQ(::chmod(folder.in(id).c_str(), 0755), 0);
}

Run big_run() {
  auto run = full_run();
  for (int i = 0; i < 5000; ++i) run.events.push_back(event_on(run.events.size() + 1, std::string(100, 'x')));
  return run;
}

TEST(SavingARun, LeavesNothingWhenTheDiskIsFull) {
  TemporaryFolder folder;
  const SmallDisk disk(folder, 128);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root";
  auto run = big_run();
  const auto saved = save(run, folder.path());
  const auto left = names_in(folder.path());
  auto small = full_run();
  const auto later = save(small, folder.path());
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.fault(), Fault::disk_full) << saved.error().message;
  EXPECT_THAT(saved.error().message, AllOf(HasSubstr(folder.path()), HasSubstr("make room")));
  EXPECT_EQ(run.id, "");
  EXPECT_THAT(left, IsEmpty());
  EXPECT_TRUE(later.ok()) << "a run that fits is saved afterwards";
}

TEST(SavingARun, LeavesNothingWhenFilesMayNotGrow) {
  TemporaryFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{32 * 1024, 32 * 1024};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto run = big_run();
    const auto saved = save(run, folder.path());
    const bool right = !saved.ok() && is_environment(saved.fault()) && names_in(folder.path()).empty();
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(SavingARun, CleansUpAfterASaverThatWasKilled) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.in(".saving-dead"));
  put(folder.in(".saving-dead/run.sqlite"), "half of it");
  auto living = OwnedFolder::make(folder.path(), kSavingPrefix);
  ASSERT_TRUE(living.ok());
  put(living->path() + "/run.sqlite", "being written");
  EXPECT_THAT(*list(folder.path()), IsEmpty()) << "what is not finished is no run";
  const std::string id = saved_at(folder.path(), "");
  EXPECT_THAT(names_in(folder.path()),
              ::testing::UnorderedElementsAre(id, std::filesystem::path(living->path()).filename().string()));
}

TEST(OwnedFolders, LiveAsLongAsTheirOwnerEvenWhenItIsKilled) {
  TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto owned = OwnedFolder::make(folder.path(), "lockstep-");
    if (!owned || ::write(ready[1], "r", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(OwnedFolder::remove_stale(folder.path(), "lockstep-"), 0);
  EXPECT_THAT(names_in(folder.path()), SizeIs(1));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(OwnedFolder::remove_stale(folder.path(), "other-"), 0);
  EXPECT_EQ(OwnedFolder::remove_stale(folder.path(), "lockstep-"), 1);
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(OwnedFolders, GoWithTheirOwner) {
  TemporaryFolder folder;
  {
    auto owned = OwnedFolder::make(folder.path(), "x");
    ASSERT_TRUE(owned.ok());
    put(owned->path() + "/file", "content");
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

// A cleaner that had locked a folder between its mkdir and its owner's flock removed it under the owner.
TEST(OwnedFolders, AreNotCleanedAwayWhileTheyAreBeingMade) {
  TemporaryFolder folder;
  std::atomic<bool> done = false;
  std::thread cleaner([&] {
    while (!done) OwnedFolder::remove_stale(folder.path(), "lockstep-");
  });
  int lost = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto owned = OwnedFolder::make(folder.path(), "lockstep-");
    ASSERT_TRUE(owned.ok()) << owned.error().message;
    lost += std::filesystem::exists(owned->path()) ? 0 : 1;
  }
  done = true;
  cleaner.join();
  EXPECT_EQ(lost, 0);
}

TEST(OwnedFolders, AreNeverReachedThroughALink) {
  TemporaryFolder folder;
  TemporaryFolder elsewhere;
  put(elsewhere.in("precious"), "stays");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.in("lockstep-link"));
  EXPECT_EQ(OwnedFolder::remove_stale(folder.path(), "lockstep-"), 0);
  EXPECT_THAT(names_in(elsewhere.path()), ElementsAre("precious"));
}

}  // namespace
}  // namespace lockstep::record
