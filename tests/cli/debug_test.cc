// debug_test.cc: the gdb commands in batch mode: on a live run, on an attached one, on a core file.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "engine/record/run.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// What a shell command prints, both streams.
std::string printed_by(const std::string& command) {
  std::string text;
  std::FILE* const pipe = ::popen(("timeout 60 " + command + " 2>&1 </dev/null").c_str(), "r");
  std::array<char, 4096> part;
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), size);
  ::pclose(pipe);
  return text;
}

class Debug : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "skipped: a sanitizer and a debugger both want to trace";
#else
    if (printed_by("gdb --version").find("GNU gdb") == std::string::npos) GTEST_SKIP() << "skipped: no gdb";
#endif
  }
  /// `lockstep debug WHAT --batch -- -ex COMMAND ...`
  std::string debugged(const std::string& what, const std::vector<std::string>& commands) const {
    std::vector<std::string> words{"debug", what, "--batch", "--out", folder_.path(), "--"};
    for (const std::string& each : commands) words.insert(words.end(), {"-ex", each});
    const Ended ended = lockstep(words);
    return ended.out + ended.err;
  }
  const ScratchFolder folder_;
};

TEST_F(Debug, StandsBeforeTheStepThatClosesTheCycle) {
  const std::string text = debugged(
      "threads/two-lock", {"lockstep graph", "lockstep pending", "info threads", "lockstep step", "lockstep graph",
                           "lockstep locks", "lockstep why T1", "lockstep history 3", "thread apply all -s bt"});
  EXPECT_THAT(text, HasSubstr("threads/two-lock none none naive, step 3\n"));
  EXPECT_THAT(text, HasSubstr("* T2           ready       lock A\n"));
  EXPECT_THAT(text, HasSubstr("  T1 -- wants B --> T2\n"));
  EXPECT_THAT(text, HasSubstr("\"T1\""));  // the thread bears the actor's name
  EXPECT_THAT(text, HasSubstr("step 4: next nobody"));
  EXPECT_THAT(text, HasSubstr("cycle: T1 -> T2 -> T1\n"));
  EXPECT_THAT(text, HasSubstr("scenarios/threads/two_lock.cc:"));
  EXPECT_THAT(text, HasSubstr("... and so T1 waits for itself: a deadlock\n"));
  EXPECT_THAT(text, HasSubstr("T2 request lock A"));
  EXPECT_THAT(text, HasSubstr("boost::timed_mutex"));  // parked in the real lock
}

TEST_F(Debug, GoesBackAndForthAndTriesAnotherOrder) {
  const std::string text = debugged("threads/two-lock", {"lockstep back", "lockstep goto 4", "lockstep goto 1",
                                                         "lockstep schedule T1", "lockstep actors"});
  EXPECT_THAT(text, HasSubstr("step 2: next T1  lock B\n"));
  EXPECT_THAT(text, HasSubstr("step 4: next nobody"));
  EXPECT_THAT(text, HasSubstr("step 1: next T2  lock B\n"));
  EXPECT_THAT(text, HasSubstr("  T1           finished"));  // T1 went twice: no deadlock
}

TEST_F(Debug, ShowsTheLocksOfTheStore) {
  const std::string text = debugged("deadlock/two-lock", {"lockstep locks", "lockstep graph"});
  EXPECT_THAT(text, HasSubstr("deadlock/two-lock kv 2pl-detect plain, step 5\n"));
  EXPECT_THAT(text, HasSubstr("  A                    T1 "));
  EXPECT_THAT(text, HasSubstr("  T1 -- wants B --> T2\n"));
}

TEST_F(Debug, ReadsACoreFile) {
  const std::string core = folder_.path() + "/core";
  const std::string live = debugged("threads/two-lock", {"lockstep step", "gcore " + core});
  ASSERT_TRUE(std::filesystem::exists(core)) << live;
  const auto saved = record::list(folder_.path());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);
  const std::string script = std::filesystem::path(saved->front().path).parent_path().string() + "/lockstep.py";
  const std::string text = printed_by("gdb -q -batch -nx -x " + script + " -c " + core + " " + LOCKSTEP_PROGRAM +
                                      " -ex 'lockstep graph' -ex 'lockstep locks'");
  EXPECT_THAT(text, HasSubstr("cycle: T1 -> T2 -> T1\n"));
  EXPECT_THAT(text, HasSubstr("scenarios/threads/two_lock.cc:"));
}

TEST_F(Debug, AttachesToARunThatIsHeld) {
  Child child({"run", "deadlock/two-lock", "--hold", "--out", folder_.path()});
  ASSERT_TRUE(child.wait_for_error("held at the deadlock"));
  const std::string text = printed_by("gdb -q -batch -nx -p " + std::to_string(child.pid()) + " -x " + folder_.path() +
                                      "/lockstep.py -ex 'lockstep graph'");
  EXPECT_THAT(text, HasSubstr("cycle: T1 -> T2 -> T1\n"));
  ::kill(child.pid(), SIGINT);
  const Ended ended = child.wait();
  EXPECT_TRUE(ended.in_time);
  EXPECT_EQ(ended.code, 130);
}

TEST_F(Debug, WritesTheScriptAndSaysWhatIsWrong) {
  const Ended script = lockstep({"debug", "threads/two-lock", "--script", "--out", folder_.path()});
  EXPECT_EQ(script.code, 0) << script.err;
  const std::string path = script.out.substr(0, script.out.find('\n'));
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("set environment LOCKSTEP_DEBUG 3\n"));
  EXPECT_THAT(script.out, HasSubstr("launch.json"));
  EXPECT_EQ(lockstep({"debug", "ffff", "--out", folder_.path()}).code, 2);
  EXPECT_EQ(lockstep({"debug", "threads/two-lokc", "--out", folder_.path()}).code, 2);
  EXPECT_EQ(lockstep({"debug", "threads/two-lock", "--step", "soon", "--out", folder_.path()}).code, 2);
  EXPECT_THAT(debugged("threads/two-lock", {"lockstep why T9"}), HasSubstr("no actor \"T9\"; there are: T1, T2"));
}

}  // namespace
}  // namespace lockstep::cli
