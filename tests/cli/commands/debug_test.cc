// debug_test.cc: the gdb commands in batch mode: on a live run, on an attached one, on a core file.
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/record/run.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::ContainsRegex;
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
  /// The lockstep.py beside the one recording.
  std::string saved_script() const {
    const auto saved = record::list(folder_.path());
    EXPECT_TRUE(saved.ok() && saved->size() == 1);
    return std::filesystem::path(saved->front().path).parent_path().string() + "/lockstep.py";
  }
  /// `lockstep debug WHAT --batch -- -ex COMMAND ...`
  std::string debugged(const std::string& what, const std::vector<std::string>& commands) const {
    std::vector<std::string> words{"debug"};
    std::istringstream named(what);
    for (std::string word; named >> word;) words.push_back(word);
    words.insert(words.end(), {"--batch", "--out", folder_.path(), "--"});
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
  const std::string text = printed_by("gdb -q -batch -nx -x " + saved_script() + " -c " + core + " " +
                                      LOCKSTEP_PROGRAM + " -ex 'lockstep graph' -ex 'lockstep locks'");
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

TEST_F(Debug, ShowsTheLogicalStacksOfCoroutines) {
  const std::string text = debugged("threads/two-lock --executor coroutines", {"lockstep step", "lockstep actors"});
  const std::size_t stands = text.find("step 4: next nobody");
  ASSERT_NE(stands, std::string::npos) << text;
  // Who awaits whom, innermost first, of each actor; nobody has a thread.
  const std::string after = text.substr(stands);
  EXPECT_THAT(after, ContainsRegex("  T1           waits       lock B +waits for T2 \\(exclusive lock\\)\n"
                                   "      #0  source_first at .*scenarios/threads/two_lock.cc:[0-9]+\n"
                                   "      #1  perform_transactions at .*engine/actor/transactions.h:[0-9]+\n"
                                   "  T2           waits       lock A +waits for T1 \\(exclusive lock\\)\n"
                                   "      #0  source_first at .*scenarios/threads/two_lock.cc:[0-9]+\n"));
}

TEST_F(Debug, ReadsTheStacksOfCoroutinesFromACoreFile) {
  const std::string core = folder_.path() + "/core";
  const std::string live = debugged("deadlock/two-lock --executor coroutines", {"gcore " + core});
  ASSERT_TRUE(std::filesystem::exists(core)) << live;
  const std::string text = printed_by("gdb -q -batch -nx -x " + saved_script() + " -c " + core + " " +
                                      LOCKSTEP_PROGRAM + " -ex 'lockstep actors'");
  EXPECT_THAT(text, ContainsRegex("      #0  source_first at .*scenarios/deadlock/two_lock.cc:[0-9]+\n"
                                  "      #1  perform_transactions at .*engine/actor/transactions.h:[0-9]+\n"));
}

TEST_F(Debug, ReadsTheStacksOfCoroutinesOfARunThatIsHeld) {
  Child child({"run", "deadlock/two-lock", "--executor", "coroutines", "--hold", "--out", folder_.path()});
  ASSERT_TRUE(child.wait_for_error("held at the deadlock"));
  const std::string text = printed_by("gdb -q -batch -nx -p " + std::to_string(child.pid()) + " -x " + folder_.path() +
                                      "/lockstep.py -ex 'lockstep actors'");
  for (const char* actor : {"T1", "T2"}) {
    EXPECT_THAT(text, ContainsRegex(std::string("[* ] ") + actor +
                                    " [^\n]*\n      #0  source_first at .*scenarios/deadlock/two_lock.cc:[0-9]+\n"));
  }
  ::kill(child.pid(), SIGINT);
  EXPECT_EQ(child.wait().code, 130);
}

/// `lockstep debug -- CASES NAME` with gdb's commands.
std::string program_debugged(const std::string& folder, const std::string& name,
                             const std::vector<std::string>& commands) {
  std::vector<std::string> words{"debug", "--batch", "--out", folder};
  for (const std::string& each : commands) words.insert(words.end(), {"--gdb", "-ex", "--gdb", each});
  words.insert(words.end(), {"--", LOCKSTEP_CASES, name});
  const Ended ended = lockstep(words);
  return ended.out + ended.err;
}

TEST_F(Debug, StandsAtTheDeadlockOfAProgram) {
  const std::string text = program_debugged(folder_.path(), "two-lock",
                                            {"lockstep graph", "lockstep locks", "lockstep why T1", "lockstep history",
                                             "info threads", "thread apply all -s bt"});
  EXPECT_THAT(text, HasSubstr("two-lock, step 2\n"));
  EXPECT_THAT(text, ContainsRegex("\n  main +waits +join T1   waits for T1\n"));
  EXPECT_THAT(text, HasSubstr("  T1 -- wants B --> T2\n"));
  EXPECT_THAT(text, HasSubstr("  T2 -- wants A --> T1\n"));
  EXPECT_THAT(text, ContainsRegex("cycle: T[12] -> T[12] -> T[12]\n"));
  EXPECT_THAT(text, ContainsRegex("  A +T1 exclusive +[a-z-]+\\.[a-z]+:[0-9]+\n"));
  EXPECT_THAT(text, HasSubstr("... and so T1 waits for itself: a deadlock\n"));
  EXPECT_THAT(text, ContainsRegex("\n   1      0.01 ms  T[12] lock [AB]\n"));
  EXPECT_THAT(text, HasSubstr("\"T2\""));  // the thread bears its name
  // Each stands in frames of its own.
  EXPECT_THAT(text, HasSubstr("std::thread::join()"));
  EXPECT_THAT(text, HasSubstr("two_lock()::<lambda()>"));
}

/// The id of the worst run of `explore -- CASES NAME`.
std::string explored_program(const std::string& folder, const std::string& name) {
  const Ended ended = lockstep({"explore", "--out", folder, "--", LOCKSTEP_CASES, name});
  EXPECT_EQ(ended.code, 1) << ended.err;
  const auto saved = record::list(folder);
  EXPECT_TRUE(saved.ok() && saved->size() == 1);
  return saved.ok() && !saved->empty() ? saved->front().id : std::string();
}

TEST_F(Debug, TheScriptOfAProgramIsRunByGdbAlone) {
  const std::string id = explored_program(folder_.path(), "two-lock");
  const Ended written = lockstep({"debug", id, "--script", "--out", folder_.path()});
  EXPECT_EQ(written.code, 0) << written.err;
  const std::string script = written.out.substr(0, written.out.find('\n'));
  EXPECT_EQ(script, folder_.path() + "/" + id + "/debug.gdb");
  // Without a terminal, and without any lockstep that was started before.
  const std::string text =
      printed_by("gdb -q -batch -nx -x " + script + " -ex 'lockstep graph' -ex 'lockstep back' -ex 'lockstep pending'");
  EXPECT_THAT(text, HasSubstr("two-lock, step 2\n"));
  EXPECT_THAT(text, ContainsRegex("cycle: T[12] -> T[12] -> T[12]\n"));
  EXPECT_THAT(text, HasSubstr("\nstep 1: next T"));
  EXPECT_THAT(text, HasSubstr("  main         join T1   (waits)\n"));
  // The same for an editor.
  std::ifstream file(folder_.path() + "/" + id + "/launch.json");
  const std::string launch((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(launch, HasSubstr("\"program\": \"" LOCKSTEP_CASES "\""));
  EXPECT_THAT(launch, HasSubstr("lockstep serve "));
  EXPECT_THAT(launch, HasSubstr("{\"name\": \"LOCKSTEP_DEBUG\", \"value\": \"2\"}"));
}

TEST_F(Debug, ASavedRunOfAProgramTakesArgumentsForGdb) {
  const std::string id = explored_program(folder_.path(), "two-lock");
  const std::string text = debugged(id + " --step 1", {"lockstep pending"});
  EXPECT_THAT(text, HasSubstr("two-lock, step 1\n"));
  EXPECT_THAT(text, HasSubstr("  main         join T1   (waits)\n"));
  const Ended served = lockstep({"debug", id, "--serve", "--out", folder_.path()});
  EXPECT_EQ(served.code, 0) << served.err;  // its input has ended
  EXPECT_THAT(served.out, testing::StartsWith("set startup-with-shell on\nset cwd "));
  EXPECT_EQ(lockstep({"debug", "threads/two-lock", "--serve", "--out", folder_.path()}).code, 2);
}

TEST_F(Debug, GoesBackAndForthInAProgram) {
  const std::string text = program_debugged(
      folder_.path(), "two-lock",
      {"lockstep back", "lockstep pending", "lockstep goto 0", "lockstep schedule T1", "lockstep schedule T1",
       "lockstep schedule T1", "lockstep schedule T1", "lockstep schedule T2", "lockstep step 9"});
  EXPECT_THAT(text, ContainsRegex("\nstep 1: next T[12]  lock A\n|\nstep 1: next T[12]  lock B\n"));
  EXPECT_THAT(text, HasSubstr("  main         join T1   (waits)\n"));
  EXPECT_THAT(text, HasSubstr("\nstep 0: next "));
  // T1 has gone four times without T2: the deadlock is left, and the program ends.
  EXPECT_THAT(text, HasSubstr("\nstep 4: next "));
  EXPECT_THAT(text, HasSubstr("\nstep 5: next "));
  EXPECT_THAT(text, HasSubstr("exited normally"));
  EXPECT_THAT(text, HasSubstr("the run is over"));
}

TEST_F(Debug, StandsAtTheCrashOfAProgram) {
  const std::string text = program_debugged(folder_.path(), "crashes-in-one-order", {"bt 1", "lockstep goto 1"});
  EXPECT_THAT(text, HasSubstr("\"T1\" received signal SIGSEGV"));
  EXPECT_THAT(text, ContainsRegex("#0 .*reads_shared"));
  EXPECT_THAT(text, HasSubstr("\nstep 1: next T"));
}

TEST_F(Debug, ShowsTenThousandCoroutinesOfALoopAsOneStack) {
  // Nothing was asked for beforehand: the loop has gone to sleep, as when a debugger is attached, or a core was dumped.
  const std::string text = printed_by(
      "gdb -q -batch -nx -ex 'set breakpoint pending on' -ex 'break epoll_pwait2' -ex run "
      "-ex 'source " LOCKSTEP_SOURCE_DIR "/engine/gdb/lockstep.py' -ex 'lockstep actors' -ex kill --args " +
      std::string(LOCKSTEP_PROGRAM) + " run runtime/sleepers --no-record");
  EXPECT_THAT(text, ContainsRegex("root\n    #0  .* at .*\n"));
  // Some may have woken before the loop went to sleep: the first after 31 ms, the last after a second.
  EXPECT_THAT(text,
              ContainsRegex("  child and [0-9]{4} more\n    +#0  sleeper at .*scenarios/runtime/sleepers.cc:[0-9]+\n"));
}

TEST_F(Debug, ShowsTheSessionsOfAComparison) {
  // On one loop, which has gone to sleep: each has made a transaction and thinks.
  const std::string text = printed_by(
      "gdb -q -batch -nx -ex 'set breakpoint pending on' -ex 'break epoll_pwait2' -ex run "
      "-ex 'source " LOCKSTEP_SOURCE_DIR "/engine/gdb/lockstep.py' -ex 'lockstep actors' -ex kill --args " +
      std::string(LOCKSTEP_PROGRAM) +
      " compare money/hot-counter --executor coroutines --workers 1 --sessions 4 --think 1s --no-record");
  EXPECT_THAT(text, ContainsRegex("S1 and 3 more\n(    #[^\n]*\n)*    #[0-9]+ +perform_transactions at "
                                  ".*engine/actor/transactions.h:[0-9]+\n"));
}

TEST_F(Debug, SaysHowToGetGdbWhereThereIsNone) {
  const Ended ended =
      lockstep({"debug", "threads/two-lock", "--batch", "--out", folder_.path()}, {{"PATH", "/nonexistent"}});
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.err, HasSubstr("gdb is not installed (on Debian: apt-get install gdb); its commands are in "));
}

/// From here on this process and its children may not trace: as in a container without SYS_PTRACE.
bool forbid_tracing() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ptrace, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST_F(Debug, SaysWhichSettingToChangeWhereTracingIsForbidden) {
  const std::string said = folder_.path() + "/said";
  const std::string command = std::string(LOCKSTEP_PROGRAM) + " debug threads/two-lock --batch --out " +
                              folder_.path() + " >" + said + " 2>&1; echo \"exit $?\" >>" + said;
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid_tracing()) ::_exit(1);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) GTEST_SKIP() << "skipped: no seccomp filters here";
  std::ifstream file(said);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("gdb may not trace here (ptrace: Operation not permitted: in a container give it the "
                              "capability (docker run --cap-add=SYS_PTRACE)); its commands are in "));
  EXPECT_THAT(text, HasSubstr("exit 3\n"));
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
