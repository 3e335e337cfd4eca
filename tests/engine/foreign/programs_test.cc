// programs_test.cc: programs under control (tests/programs/cases.cc): the classes and interleavings that a search
// finds, by the reduction and one by one; what each ending is called; replays; what bad input is told.
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "engine/explore/explore.h"
#include "engine/foreign/program.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::foreign {
namespace {

using record::Verdict;
using testing::HasSubstr;

ProgramCall call(std::vector<std::string> words) {
  words.insert(words.begin(), LOCKSTEP_CASES);
  const Result<ProgramCall> found = call_of(words);
  EXPECT_TRUE(found.ok()) << found.error().message;
  return *found;
}

Result<Exploration> search(const std::vector<std::string>& words, Strategy strategy,
                           Nanos preemptions_least = std::chrono::seconds(1)) {
  const ProgramExplorable explorable(call(words), {}, nullptr);
  RunRequest run;
  run.store = record::kNoStore;
  run.protocol = record::kNoProtocol;
  run.pattern = "program";
  ExploreRequest request{
      .run = run, .strategy = strategy, .most_time = std::chrono::minutes(10), .preemptions_least = preemptions_least};
  return explore(explorable, run, request, 1, nullptr, RealClock().now());
}

/// What is known of a program: its classes and interleavings, and how many of each end in which way.
struct Known {
  std::vector<std::string> words;
  std::uint64_t classes;
  double interleavings;
  std::vector<std::string> bad = {};  ///< "deadlock 1/2 T1 → T2 → T1": classes, interleavings
  bool one_by_one = true;             ///< few enough for it
};

std::string name_of_case(const testing::TestParamInfo<Known>& info) {
  std::string name;
  for (const std::string& word : info.param.words) {
    for (const char c : word) {
      if (c != '-') name += c;
    }
  }
  return name;
}

class Counts : public testing::TestWithParam<Known> {};

std::vector<std::string> bad_of(const Exploration& explored, bool with_classes) {
  std::vector<std::string> bad;
  for (const Finding& each : explored.findings) {
    if (each.verdict == Verdict::clean) continue;
    bad.push_back(with_classes ? fmt::format("{} {}/{} {}", record::name_of(each.verdict), each.runs,
                                             each.interleavings, each.what)
                               : fmt::format("{} {} {}", record::name_of(each.verdict), each.interleavings, each.what));
  }
  std::sort(bad.begin(), bad.end());
  return bad;
}

TEST_P(Counts, areExact) {
  const Known& known = GetParam();
  const Result<Exploration> reduced = search(known.words, Strategy::exhaustive);
  ASSERT_TRUE(reduced.ok()) << reduced.error().message;
  EXPECT_TRUE(reduced->complete);
  EXPECT_EQ(reduced->runs, known.classes);
  EXPECT_EQ(reduced->interleavings, known.interleavings);
  EXPECT_EQ(bad_of(*reduced, true), known.bad);
  if (!known.one_by_one) return;
  const Result<Exploration> every = search(known.words, Strategy::unreduced);
  ASSERT_TRUE(every.ok()) << every.error().message;
  EXPECT_TRUE(every->complete);
  EXPECT_EQ(static_cast<double>(every->runs), known.interleavings);
  EXPECT_EQ(bad_of(*every, false), bad_of(*reduced, false));
}

INSTANTIATE_TEST_SUITE_P(
    Programs, Counts,
    testing::Values(
        Known{{"two-lock"}, 3, 13, {"deadlock 1/2 T1 → T2 → T1"}},
        Known{{"two-lock-pthread"}, 3, 13, {"deadlock 1/2 T1 → T2 → T1"}}, Known{{"ordered"}, 2, 6},
        Known{{"philosophers", "2"}, 3, 13, {"deadlock 1/2 T1 → T2 → T1"}},
        Known{{"philosophers", "3"}, 7, 1113, {"deadlock 1/6 T1 → T2 → T3 → T1"}},
        Known{{"philosophers", "5"}, 31, 2'198'482'509, {"deadlock 1/120 T1 → T2 → T3 → T4 → T5 → T1"}, false},
        Known{{"recursive"}, 3, 19, {"deadlock 1/3 T1 → T2 → T1"}},
        Known{{"reader-writer"}, 3, 13, {"deadlock 1/2 T1 → T2 → T1"}},
        Known{{"timed"}, 8, 156, {"error 2/120 exit code 7"}}, Known{{"condition"}, 2, 5},
        Known{{"lost-wake-up"}, 4, 8, {"hung 1/2 nobody is left to wake T1: waits at bell"}},
        Known{
            {"posts-nothing"}, 1, 1, {"hung 1/1 nobody is left to wake T1: sem_wait (anonymous namespace)::tokens_a"}},
        // A wait that times out takes its mutex in the same step.
        Known{{"condition-timed"}, 4, 12, {"error 1/4 exit code 5"}},
        Known{{"once"}, 3, 4, {"deadlock 1/1 T1 → T1", "deadlock 1/2 T1 → T2 → T1"}},
        Known{{"static"}, 3, 4, {"deadlock 1/1 T1 → T1", "deadlock 1/2 T1 → T2 → T1"}},
        Known{{"future"}, 2, 60, {"deadlock 1/20 T1 → T2 → T1"}}, Known{{"detached"}, 8, 8},
        Known{{"thread-local"}, 3, 13, {"deadlock 1/2 T1 → T2 → T1"}}),
    name_of_case);

TEST(Programs, aTryIsRefusedInOneOrder) {
  const Result<Exploration> found = search({"tries"}, Strategy::exhaustive);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->runs, 4U);
  EXPECT_THAT(bad_of(*found, false), testing::ElementsAre(HasSubstr("exit code 3")));
}

/// Searches the program with and without the reduction, which must agree, and gives its bad endings, the worst first:
/// "deadlock T1 → T2 → T1".
std::vector<std::string> bad_endings_found_alike(const std::string& name) {
  const Result<Exploration> reduced = search({name}, Strategy::exhaustive);
  const Result<Exploration> every = search({name}, Strategy::unreduced);
  EXPECT_TRUE(reduced.ok()) << reduced.error().message;
  EXPECT_TRUE(every.ok()) << every.error().message;
  if (!reduced.ok() || !every.ok()) return {};
  EXPECT_TRUE(reduced->complete && every->complete);
  EXPECT_EQ(reduced->interleavings, static_cast<double>(every->runs));
  EXPECT_EQ(bad_of(*reduced, false), bad_of(*every, false));
  std::vector<std::string> bad;
  for (const Finding& each : reduced->findings) {
    if (each.verdict != Verdict::clean) bad.push_back(fmt::format("{} {}", record::name_of(each.verdict), each.what));
  }
  return bad;
}

/// What the other primitives come to, counted one by one as well.
TEST(Programs, everyPrimitiveIsCountedAsBruteForceDoes) {
  const std::map<std::string, std::string> cases = {
      {"semaphores", "hung nobody is left to wake"},
      {"spins", "deadlock T1 → T2 → T1"},
      {"barrier", ""},
      {"tries", "error exit code 3"},
      {"heap", ""},
      {"leaves-deadlock", "deadlock T1 → T2 → T1, while main ends"},
      {"signal", ""},
      {"signal-under-lock", "deadlock T1 → T2 → T1"},
      {"signal-for-another", "hung nobody is left to wake T1: sigwait SIGUSR1, SIGUSR2"},
      {"signal-for-one-of-two", ""},
      {"signal-with-time", "error exit code 6"},
      {"locks-file", ""},
      {"file-and-lock", "deadlock T1 → T2 → T1"},
      {"two-files", "deadlock T1 → T2 → T1"},
      {"file-is-refused", "error exit code 4"},
      {"file-is-closed", ""},
      {"locks-file-for-process", ""},
      {"unlocks-of-other", "error T1 unlocks left_mutex, which it does not hold"}};
  for (const auto& [name, bad] : cases) {
    SCOPED_TRACE(name);
    const std::vector<std::string> found = bad_endings_found_alike(name);
    EXPECT_EQ(found.empty(), bad.empty());
    if (!found.empty()) {
      EXPECT_EQ(found.front().substr(0, bad.size()), bad);
    }
  }
}

TEST(Programs, theShortestDeadlockIsTwoSteps) {
  const Result<Exploration> found = search({"two-lock"}, Strategy::exhaustive, std::chrono::minutes(1));
  ASSERT_TRUE(found.ok()) << found.error().message;
  const Finding& worst = found->findings.front();
  EXPECT_EQ(worst.verdict, Verdict::deadlock);
  EXPECT_EQ(worst.preemptions, 1);
  EXPECT_TRUE(worst.fewest_steps);
  EXPECT_THAT(worst.shortest.schedule, testing::AnyOf("T1 T2", "T2 T1"));
  ASSERT_EQ(worst.shortest.cycles.size(), 1U);
  EXPECT_THAT(worst.shortest.cycles.front(), testing::ElementsAre("T1", "T2"));
  bool names_lock = false;
  for (const record::Event& each : worst.shortest.events)
    names_lock = names_lock || (each.kind == record::EventKind::wait && (each.object == "A" || each.object == "B") &&
                                !each.others.empty());
  EXPECT_TRUE(names_lock);
}

TEST(Programs, anAssertionIsFoundBehindASleep) {
  const Result<Exploration> found = search({"sleeps"}, Strategy::exhaustive);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(found->findings.front().what, HasSubstr("SIGABRT"));
  EXPECT_THAT(found->findings.front().what, HasSubstr("value == 1"));
  EXPECT_THAT(output_of(found->findings.front().shortest), HasSubstr("Assertion"));
}

TEST(Programs, aCrashIsNamedWithItsThreadItsFunctionAndItsLastOperation) {
  const Result<Exploration> found = search({"crashes-in-one-order"}, Strategy::exhaustive);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_TRUE(found->complete);
  EXPECT_EQ(found->runs, 3U);
  ASSERT_EQ(found->findings.size(), 2U);
  const Finding& worst = found->findings.front();
  EXPECT_EQ(worst.verdict, Verdict::crashed);
  EXPECT_EQ(worst.runs, 2U);
  EXPECT_EQ(worst.what, "SIGSEGV in T1, in (anonymous namespace)::reads_shared(), after lock A");
  EXPECT_EQ(worst.shortest.summary, worst.what);
  const std::vector<std::string> stack = stack_of(worst.shortest);
  ASSERT_FALSE(stack.empty());
  EXPECT_THAT(stack.front(), HasSubstr("reads_shared() "));
  const Result<ProgramSchedule> schedule = program_schedule_of(worst.shortest);
  ASSERT_TRUE(schedule.ok()) << schedule.error().message;
  const Result<Replay> replayed = replay(*schedule, {.times = 50}, {});
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  EXPECT_EQ(replayed->identical, 50U);
  EXPECT_EQ(replayed->run.verdict, Verdict::crashed);
  EXPECT_EQ(stack_of(replayed->run), stack);
}

TEST(Programs, whatEndsAProgramIsSaid) {
  const auto ended_as = [](const char* name) {
    const Result<record::Run> ran = run(call({name}), "", {});
    EXPECT_TRUE(ran.ok()) << ran.error().message;
    return fmt::format("{} {}", record::name_of(ran->verdict), ran->summary);
  };
  EXPECT_EQ(ended_as("uses-up-its-stack"),
            "crashed SIGSEGV in T2, in (anonymous namespace)::dive(int), before its first operation");
  EXPECT_EQ(ended_as("is-ended-by-sanitizer"),
            "crashed exit code 1 in T2, after lock A: ERROR: AddressSanitizer: heap-use-after-free");
  EXPECT_THAT(ended_as("raises"), testing::StartsWith("crashed SIGBUS in T2, "));
  EXPECT_THAT(ended_as("crashes"),
              testing::StartsWith("crashed SIGABRT in main, in (anonymous namespace)::crashes(), after "));
}

TEST(Programs, aPoolOfAStaticVariableIsEndedByItsDestructor) {
  const Result<Exploration> found = search({"pool"}, Strategy::exhaustive);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_TRUE(found->complete);
  for (const Finding& each : found->findings) EXPECT_EQ(each.verdict, Verdict::clean) << each.what;
}

TEST(Programs, aReplayIsTheSameHundredTimes) {
  for (const char* const name :
       {"two-lock", "lost-wake-up", "timed", "future", "heap", "signal-under-lock", "two-files"}) {
    SCOPED_TRACE(name);
    const Result<Exploration> found = search({name}, Strategy::exhaustive);
    ASSERT_TRUE(found.ok()) << found.error().message;
    const Result<ProgramSchedule> schedule = program_schedule_of(found->findings.front().shortest);
    ASSERT_TRUE(schedule.ok()) << schedule.error().message;
    const Result<Replay> replayed = replay(*schedule, {.times = 100}, {});
    ASSERT_TRUE(replayed.ok()) << replayed.error().message;
    EXPECT_EQ(replayed->identical, 100U);
    EXPECT_EQ(replayed->run.verdict, schedule->verdict);
    if (replayed->divergence)
      ADD_FAILURE() << replayed->divergence->recorded << " / " << replayed->divergence->happened;
  }
}

TEST(Programs, aScheduleFileIsReadAsItIsWritten) {
  const Result<record::Run> ran = run(call({"two-lock"}), "T1 T2", {});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->verdict, Verdict::deadlock);
  const Result<ProgramSchedule> schedule = program_schedule_of(*ran);
  ASSERT_TRUE(schedule.ok()) << schedule.error().message;
  const std::string text = to_text(*schedule);
  EXPECT_TRUE(is_of_program(text));
  const Result<ProgramSchedule> again = program_schedule_of(text);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(to_text(*again), text);
  EXPECT_FALSE(program_schedule_of(text.substr(0, text.rfind("{\"step\""))).ok());

  ProgramSchedule edited = *again;
  edited.steps[1].object = "C";
  const Result<Replay> replayed = replay(edited, {}, {});
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  ASSERT_TRUE(replayed->divergence.has_value());
  EXPECT_EQ(replayed->divergence->step, 2U);
  EXPECT_EQ(replayed->divergence->recorded, "T2 lock C");
  EXPECT_EQ(replayed->divergence->happened, "T2 lock B");
}

TEST(Programs, aScheduleThatCannotBeFollowedIsRefused) {
  const Result<record::Run> ran = run(call({"two-lock"}), "T1 T1 T2 T2", {});
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().message, "step 3: T2 cannot go; can go: T1");
  EXPECT_THAT(run(call({"two-lock"}), "Peter", {}).error().message, HasSubstr("threads are called main, T1"));
}

TEST(Programs, timeIsVirtualAndTheSame) {
  const Result<record::Run> first = run(call({"prints"}), "", {});
  const Result<record::Run> second = run(call({"prints"}), "", {});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(output_of(*first), "time 1767225600\n");
  EXPECT_EQ(output_of(*second), output_of(*first));
}

TEST(Programs, aProgramSeesAllProcessors) {
  const Result<record::Run> ran = run(call({"counts-processors"}), "", {});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(output_of(*ran), fmt::format("{0} {0}\n", std::thread::hardware_concurrency()));
}

TEST(Programs, whatIsNotSupportedIsNamed) {
  EXPECT_THAT(run(call({"forks"}), "", {}).error().message, HasSubstr("T2 calls fork in "));
  EXPECT_THAT(run(call({"executes"}), "", {}).error().message, HasSubstr("T2 calls execl in "));
  EXPECT_THAT(run(call({"many-threads"}), "", {}).error().message, HasSubstr("more than 32 threads"));
  const ProgramLimits soon{.of_operation = std::chrono::seconds(2)};
  const Result<record::Run> endless = run(call({"never-ends"}), "", soon);
  ASSERT_TRUE(endless.ok()) << endless.error().message;
  EXPECT_EQ(endless->verdict, Verdict::hung);
  EXPECT_EQ(endless->summary, "T2 came to no operation within 2 s: it runs on, as in a loop that waits by looking");
  EXPECT_THAT(fmt::format("{}", fmt::join(stack_of(*endless), "; ")), HasSubstr("never_ends"));
  const Result<record::Run> waits = run(call({"waits-for-handler"}), "", soon);
  ASSERT_TRUE(waits.ok()) << waits.error().message;
  EXPECT_EQ(waits->summary, "T2 came to no operation within 2 s: it waits in sigsuspend, which is no operation here");
  const Result<record::Run> yields = run(call({"yields"}), "", {});
  ASSERT_TRUE(yields.ok()) << yields.error().message;
  EXPECT_THAT(yields->summary, HasSubstr("no end after 20000 steps"));
}

TEST(Programs, aPipeIsAThingThatThreadsWaitFor) {
  const std::map<std::string, std::string> cases = {
      {"pipe", ""},
      {"pipe-deadlock", "deadlock T1 → T2 → T1"},
      {"two-readers", "hung nobody is left to wake T1: read pipe 1 of main"},
      {"reads", "hung nobody is left to wake T2: read pipe 1 of main"}};
  for (const auto& [name, bad] : cases) {
    SCOPED_TRACE(name);
    const std::vector<std::string> found = bad_endings_found_alike(name);
    if (bad.empty()) {
      EXPECT_THAT(found, testing::IsEmpty());
    } else {
      EXPECT_THAT(found, testing::Contains(bad));
    }
  }
}

/// A step may touch much: what has room is searched, the rest is refused.
TEST(Programs, aStepThatTouchesMuchIsSearchedOrRefused) {
  const Result<Exploration> reduced = search({"closes-pipes", "20"}, Strategy::exhaustive);
  const Result<Exploration> every = search({"closes-pipes", "20"}, Strategy::unreduced);
  ASSERT_TRUE(reduced.ok() && every.ok());
  EXPECT_EQ(reduced->interleavings, static_cast<double>(every->runs));
  EXPECT_THAT(bad_of(*reduced, false), testing::ElementsAre(HasSubstr("exit code 3")));
  EXPECT_EQ(bad_of(*reduced, false), bad_of(*every, false));

  const Result<Exploration> refused = search({"closes-pipes", "40"}, Strategy::exhaustive);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("of T1, touches more than 64 things"));
  const Result<Exploration> one_by_one = search({"closes-pipes", "40"}, Strategy::unreduced);
  ASSERT_TRUE(one_by_one.ok()) << one_by_one.error().message;
  EXPECT_EQ(one_by_one->runs, every->runs);
}

TEST(Programs, whatIsWrittenAndReadArrives) {
  for (const char* const name : {"writes-much", "polls", "accepts", "echo"}) {
    SCOPED_TRACE(name);
    for (const Strategy strategy : {Strategy::walk, Strategy::exhaustive}) {
      const ProgramExplorable explorable(call({name}), {}, nullptr);
      const Result<Exploration> found =
          explore(explorable, {}, {.strategy = strategy, .most_runs = 30}, 1, nullptr, RealClock().now());
      ASSERT_TRUE(found.ok()) << found.error().message;
      for (const Finding& each : found->findings) EXPECT_EQ(each.verdict, Verdict::clean) << each.what;
      // Nobody has come out of accept().
      const bool is_outside = std::string_view(name) == "polls" || std::string_view(name) == "echo";
      EXPECT_EQ(explorable.met_outside(), is_outside);
      EXPECT_EQ(grain_of(call({name}), explorable.met_outside()).size(), is_outside ? 3U : 2U);
    }
  }
}

TEST(Programs, aWaitForWhatComesFromOutsideIsSaid) {
  const ProgramLimits soon{.of_operation = std::chrono::seconds(2)};
  const Result<record::Run> reads = run(call({"reads-outside"}), "", soon);
  ASSERT_TRUE(reads.ok()) << reads.error().message;
  EXPECT_EQ(reads->verdict, Verdict::hung);
  EXPECT_THAT(reads->summary,
              testing::MatchesRegex("nobody goes on unless something comes from outside: T2: read file [0-9]+"));
  // The others have ended meanwhile.
  EXPECT_TRUE(std::any_of(reads->events.begin(), reads->events.end(), [](const record::Event& each) {
    return each.actor == 1 && each.kind == record::EventKind::finish;
  }));
}

TEST(Programs, aSignalOfATimerIsWaitedFor) {
  const Result<record::Run> ran = run(call({"signal-of-alarm"}), "", {});
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->verdict, Verdict::clean) << ran->summary;
  EXPECT_THAT(ran->summary, HasSubstr("it was let go on from outside"));
}

TEST(Programs, aLockOfAnotherProcessIsWaitedFor) {
  const TemporaryFolder folder;
  const std::string path = folder.in("lock");
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  const ProgramLimits soon{.of_operation = std::chrono::milliseconds(500)};
  const Result<record::Run> waits = run(call({"locks-file-of-others", path}), "", soon);
  ASSERT_TRUE(waits.ok()) << waits.error().message;
  EXPECT_EQ(waits->verdict, Verdict::hung);
  EXPECT_EQ(waits->summary, "nobody goes on unless something comes from outside: T1: flock " + path);
  ::close(file);
  const Result<record::Run> goes = run(call({"locks-file-of-others", path}), "", {});
  ASSERT_TRUE(goes.ok()) << goes.error().message;
  EXPECT_EQ(goes->verdict, Verdict::clean) << goes->summary;
}

TEST(Programs, whatAProgramDoesToItselfKeepsItUnderControl) {
  for (const char* const name : {"closes-files", "prints-much"}) {
    SCOPED_TRACE(name);
    const Result<Exploration> found = search({name}, Strategy::exhaustive);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_TRUE(found->complete);
    EXPECT_EQ(found->interleavings, 4);
    for (const Finding& each : found->findings) EXPECT_EQ(each.verdict, Verdict::clean) << each.what;
  }
  const Result<record::Run> much = run(call({"prints-much"}), "", {});
  ASSERT_TRUE(much.ok()) << much.error().message;
  EXPECT_THAT(output_of(*much), testing::EndsWith("\nthe last line\n"));
  EXPECT_LE(output_of(*much).size(), 64U * 1024);
  const ProgramLimits soon{.of_operation = std::chrono::milliseconds(300)};
  const Result<record::Run> stays = run(call({"ignores-signals"}), "", soon);
  ASSERT_TRUE(stays.ok()) << stays.error().message;
  EXPECT_EQ(stays->verdict, Verdict::hung);
}

TEST(Programs, aBudgetOfTimeIsUsedForSamples) {
  // What a run teaches about its threads begins the sampling anew, in the time that is left.
  const ProgramExplorable explorable(call({"two-lock"}), {}, nullptr);
  const Result<Exploration> found = explore(
      explorable, {}, {.strategy = Strategy::walk, .most_runs = UINT64_MAX, .most_time = std::chrono::seconds(3)}, 2,
      nullptr, RealClock().now());
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_GT(found->runs, 10U);
  EXPECT_EQ(found->jobs, 2);
}

TEST(Programs, aRecordingThatIsInterruptedIsNoCrash) {
  StopSource stop;
  stop.request();
  const ProgramExplorable explorable(call({"never-ends"}), {}, &stop);
  const Result<RecordedRun> recorded = explorable.record("T2", kNever);
  ASSERT_FALSE(recorded.ok()) << name_of(recorded->run.verdict);
  EXPECT_EQ(recorded.fault(), Fault::cancelled);
}

TEST(Programs, theFirstFailureMayEndTheSearch) {
  for (const Strategy strategy : {Strategy::exhaustive, Strategy::walk}) {
    const ProgramExplorable explorable(call({"philosophers", "3"}), {}, nullptr);
    const Result<Exploration> found =
        explore(explorable, {}, {.strategy = strategy, .most_time = std::chrono::minutes(10), .until_failure = true}, 2,
                nullptr, RealClock().now());
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_FALSE(found->complete);
    EXPECT_EQ(found->runs_ending(Verdict::deadlock), found->findings.front().runs);
    EXPECT_LE(found->runs_ending(Verdict::deadlock), 2U);  // each worker's own
    EXPECT_GE(found->runs_ending(Verdict::deadlock), 1U);
  }
}

/// A file with this begin, that may be executed.
class ProgramFile {
 public:
  explicit ProgramFile(const std::string& text, mode_t rights = 0755) {
    std::ofstream(path_, std::ios::binary) << text;
    ::chmod(path_.c_str(), rights);
  }
  /// What is said of it, without its name.
  std::string refused() const {
    const Result<ProgramCall> found = call_of({path_});
    return found ? std::string() : found.error().message.substr(path_.size() + 1);
  }

 private:
  const TemporaryFolder folder_;
  const std::string path_ = folder_.in("lockstep-program");
};

std::string elf_head(Elf64_Half machine, Elf64_Half type) {
  Elf64_Ehdr head{};
  std::memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  head.e_machine = machine;
  head.e_type = type;
  return {reinterpret_cast<const char*>(&head), sizeof head};
}

TEST(Programs, filesThatCannotBeControlledAreToldApart) {
#if defined(__x86_64__)
  constexpr Elf64_Half kMine = EM_X86_64;
#else
  constexpr Elf64_Half kMine = EM_AARCH64;
#endif
  EXPECT_EQ(ProgramFile(elf_head(kMine, ET_EXEC)).refused(),
            "is statically linked, so no library can be loaded into it");
  EXPECT_EQ(ProgramFile(elf_head(EM_RISCV, ET_EXEC)).refused(), "is a program of another machine");
  EXPECT_EQ(ProgramFile(elf_head(kMine, ET_DYN)).refused(), "is a library");
  EXPECT_EQ(ProgramFile(elf_head(kMine, ET_REL)).refused(), "is no program");
  EXPECT_EQ(ProgramFile("\x7f"
                        "ELF")
                .refused(),
            "is no program");
  EXPECT_EQ(ProgramFile("").refused(), "is no program");
  EXPECT_EQ(ProgramFile("#!/bin/sh\nexit 0\n").refused(), "is a script: name its interpreter and the script");
  EXPECT_EQ(ProgramFile("#!/bin/sh\n", 04755).refused(),
            "runs with rights of its own (setuid), so no library can be loaded into it");
  EXPECT_EQ(ProgramFile("", 0644).refused(), "may not be executed");
}

TEST(Programs, whatIsNoProgramIsToldApart) {
  EXPECT_EQ(call_of({"no-such-program-here"}).error().message, "no program \"no-such-program-here\"");
  EXPECT_EQ(call_of({"/tmp"}).error().message, "/tmp is no file that can be run");
  EXPECT_EQ(call_of({"/etc/passwd"}).error().message, "/etc/passwd may not be executed");
  EXPECT_EQ(call_of({}).error().message, "no program is named behind --");
}

TEST(Programs, nothingIsLeftBehind) {
  pid_t server = 0;
  {
    Result<std::unique_ptr<ProgramSubject>> subject = ProgramSubject::open(call({"two-lock"}), {});
    ASSERT_TRUE(subject.ok()) << subject.error().message;
    server = (*subject)->process().server();
    EXPECT_EQ(::kill(server, 0), 0);
  }
  EXPECT_NE(::kill(server, 0), 0);
}

}  // namespace
}  // namespace lockstep::foreign
