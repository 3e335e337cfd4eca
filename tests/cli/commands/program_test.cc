// program_test.cc: the program as scripts and people meet it: exit codes, streams, ^C.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/record/run.h"
#include "engine/stores/postgres/server_binaries.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// True once the process has a thread with this name: an actor runs.
bool has_thread(pid_t pid, const std::string& name) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file(task.path() / "comm");
    std::string comm;
    if (std::getline(file, comm) && comm == name) return true;
  }
  return false;
}

/// A run that lasts: T1 holds a row for 400 ms of real time, T2 waits for it.
std::vector<std::string> lasting_run(const std::string& folder) {
  return {"run",  "timeout/lock-timeout", "--store", "kv",    "--protocol", "2pl-timeout", "--schedule",
          "free", "--lock-timeout",       "1h",      "--out", folder};
}

/// True once the child has ended; Child::wait() still learns how.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/// Returns once T1 runs, or the child has ended.
void wait_for_actor(Child& child) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kPatience);
  while (!has_thread(child.pid(), "T1") && !has_ended(child.pid()) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // polls /proc; nothing tells when a thread is named
  }
}

TEST(Program, RunsTheDeadlockAndSavesIt) {
  const ScratchFolder folder;
  const Ended ended =
      lockstep({"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--seed", "7", "--out", folder.path()});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("deadlock/two-lock   store kv · 2pl-detect · plain · threads"));
  EXPECT_THAT(ended.out, HasSubstr("◆ cycle T1→T2→T1"));
  EXPECT_THAT(ended.out, HasSubstr(" DEADLOCK  found and broken: 1 victim, 1 retry"));
  EXPECT_THAT(ended.out, HasSubstr("lockstep run deadlock/two-lock --pattern ordered"));
  EXPECT_THAT(ended.err, IsEmpty());
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);
  const auto run = record::load(saved->front().path);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(
      run->command,
      "lockstep run deadlock/two-lock --store kv --protocol 2pl-detect --pattern plain --executor threads --seed 7");

  const Ended again = lockstep({"runs", saved->front().id.substr(0, 4), "--out", folder.path()});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr(" DEADLOCK  found and broken"));
  EXPECT_THAT(again.out, HasSubstr(" again     " + run->command));
}

TEST(Program, GivesJson) {
  const Ended ended =
      lockstep({"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--no-record", "--json", "--seed", "9"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["verdict"], "deadlock");
  EXPECT_EQ(json["seed"], 9);
  EXPECT_TRUE(json["recording"].is_null());
  EXPECT_EQ(nlohmann::json::parse(lockstep({"list", "--json"}).out)["schema"], 1);
  EXPECT_EQ(nlohmann::json::parse(lockstep({"list", "--stores", "--json"}).out)["stores"][0]["name"], "kv");
  EXPECT_EQ(nlohmann::json::parse(lockstep({"show", "deadlock/two-lock", "--json"}).out)["name"], "deadlock/two-lock");
}

TEST(Program, ExploresAndSavesTheShortestBadRun) {
  const ScratchFolder folder;
  const Ended text = lockstep({"explore", "threads/dining-philosophers", "--out", folder.path()});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("✗ deadlock  P0 → P1 → P2 → P3 → P4 → P0"));
  EXPECT_THAT(text.out, HasSubstr(" complete  all 13712800 interleavings"));
  EXPECT_THAT(text.out, HasSubstr(" shortest  deadlock in 10 steps"));
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);

  const Ended json =
      lockstep({"explore", "threads/dining-philosophers", "--pattern", "ordered", "--no-record", "--json"});
  EXPECT_EQ(json.code, 0) << json.err;
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["schema"], 1);
  EXPECT_EQ(parsed["complete"], true);
  EXPECT_EQ(parsed["deadlocks"], 0);
  EXPECT_TRUE(parsed["shortest"].is_null());

  // Few enough schedules for the proof to be done within its second on any machine.
  const Ended small = lockstep({"explore", "threads/two-lock", "--no-record"});
  EXPECT_EQ(small.code, 0) << small.err;
  EXPECT_THAT(small.out, HasSubstr(" shortest  deadlock in 4 steps with 1 preemption, provably the fewest"));

  const std::string dot = folder.path() + "/states.dot";
  const Ended bounded = lockstep({"explore", "threads/two-lock", "--strategy", "bounded", "--jobs", "2", "--graph", dot,
                                  "--out", folder.path(), "--json"});
  EXPECT_EQ(bounded.code, 0) << bounded.err;
  const auto graph = nlohmann::json::parse(bounded.out);
  EXPECT_EQ(graph["findings"][0]["preemptions"], 1);
  EXPECT_EQ(graph["shares"]["deadlock"], 0.5);
  EXPECT_EQ(graph["state_graph"]["complete"], true);
  std::string first_line;
  std::getline(std::ifstream(dot), first_line);
  EXPECT_EQ(first_line, "digraph \"threads/two-lock\" {");

  EXPECT_EQ(lockstep({"explore", "deadlock/two-lock", "--jobs", "0", "--no-record"}).code, 2);
  EXPECT_EQ(lockstep({"explore", "deadlock/two-lock", "--budget", "2", "--no-record"}).code, 5);
  EXPECT_EQ(lockstep({"explore", "deadlock/two-lock", "--budget", "soon", "--no-record"}).code, 2);
  EXPECT_EQ(lockstep({"explore", "deadlock/two-lock", "--store", "postgres", "--pattern", "gone"}).code, 2);
}

TEST(Program, ExploresADatabaseByItsModel) {
  const std::vector<std::string> sqlite = {"explore", "isolation/lost-update", "--store", "sqlite",    "--retries",
                                           "0",       "--no-record",           "--json",  "--protocol"};
  const auto explored = [&sqlite](const std::string& protocol, const std::string& option) {
    std::vector<std::string> arguments = sqlite;
    arguments.push_back(protocol);
    if (!option.empty()) arguments.push_back(option);
    const Ended ended = lockstep(arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  };
  const auto modelled = explored("immediate", "");
  EXPECT_EQ(modelled["model"]["name"], "kv serial as sqlite/immediate");
  EXPECT_EQ(modelled["model"]["classes"], modelled["runs"]);
  EXPECT_TRUE(modelled["disagreements"].empty());
  const auto direct = explored("immediate", "--direct");
  EXPECT_TRUE(direct["model"].is_null());
  EXPECT_TRUE(direct["no_model"].is_null());
  EXPECT_EQ(direct["interleavings"], modelled["interleavings"]);
  EXPECT_THAT(explored("deferred", "")["no_model"].get<std::string>(), HasSubstr("no protocol of kv stands for"));
}

TEST(Program, SavesWhereADatabaseIsNotAsItsModel) {
  if (!postgres::find_server_binaries().ok()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed";
  const ScratchFolder folder;
  const Ended ended = lockstep({"explore", "atomicity/savepoint", "--pattern", "plain", "--store", "postgres", "--out",
                                folder.path(), "--json"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto parsed = nlohmann::json::parse(ended.out);
  ASSERT_EQ(parsed["disagreements"].size(), 1U);
  const auto& found = parsed["disagreements"][0];
  EXPECT_EQ(found["step"], 4);
  EXPECT_EQ(found["model_says"], "succeeds");
  EXPECT_EQ(found["database_says"], "invalid");
  const auto path = record::find(folder.path(), found["run"].get<std::string>());
  ASSERT_TRUE(path.ok());
  const auto run = record::load(*path);
  ASSERT_TRUE(run.ok());
  EXPECT_THAT(run->documents.at("model-difference"), HasSubstr("\"database_says\":\"invalid\""));
  EXPECT_EQ(lockstep({"replay", run->id, "--out", folder.path()}).code, 0);
}

TEST(Program, ReplaysASavedRun) {
  const ScratchFolder folder;
  ASSERT_EQ(lockstep({"run", "deadlock/two-lock", "--quiet", "--out", folder.path()}).code, 0);
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  ASSERT_EQ(saved->size(), 1u);
  const std::string id = saved->front().id;
  const Ended ended = lockstep({"replay", id.substr(0, 6), "--out", folder.path()});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr(" replayed  "));
  EXPECT_THAT(ended.out, HasSubstr(" DEADLOCK  "));
  EXPECT_THAT(lockstep({"replay", id, "--until", "5", "--out", folder.path()}).out,
              HasSubstr(" stopped   after step 5"));
  EXPECT_EQ(nlohmann::json::parse(lockstep({"replay", id, "--json", "--out", folder.path()}).out)["identical"], true);
  const auto often =
      nlohmann::json::parse(lockstep({"replay", id, "--times", "50", "--json", "--out", folder.path()}).out);
  EXPECT_EQ(often["times_identical"], 50);
  EXPECT_GT(often["replays_per_s"], 0);
  EXPECT_EQ(lockstep({"replay", id, "--times", "0", "--out", folder.path()}).code, 2);

  const std::string file = folder.path() + "/deadlock.jsonl";
  EXPECT_EQ(lockstep({"replay", id, "--save-schedule", file, "--quiet", "--out", folder.path()}).code, 0);
  EXPECT_THAT(lockstep({"replay", file, "--out", folder.path()}).out, HasSubstr(" DEADLOCK  "));
  EXPECT_EQ(lockstep({"replay", folder.path() + "/none.jsonl"}).code, 2);
  EXPECT_EQ(lockstep({"replay", "ffff", "--out", folder.path()}).code, 2);
  EXPECT_EQ(lockstep({"replay", id, "--until", "soon", "--out", folder.path()}).code, 2);
}

TEST(Program, ExitsWithTheCodeOfTheContract) {
  const struct {
    std::vector<std::string> arguments;
    int code;
    const char* error;
  } examples[] = {
      {{"run", "deadlock/two-lock", "--no-record", "--expect", "clean"}, 1, ""},
      {{"run", "deadlock/tow-lock"},
       2,
       "lockstep: no scenario \"deadlock/tow-lock\"; did you mean \"deadlock/two-lock\"?\n"},
      {{"run", "deadlock/two-lock", "--store", "kvv"}, 2, "\"kvv\""},
      {{"run", "deadlock/two-lock", "--protocol", "no-wiat"}, 2, "\"no-wiat\""},
      {{"run", "deadlock/two-lock", "--pattern", "oredred"}, 2, "\"oredred\""},
      {{"run", "deadlock/two-lock", "--protcol", "occ"}, 2, "did you mean \"--protocol\"?"},
      {{"run", "deadlock/two-lock", "--schedule", "T1 T9"}, 2, "position 2"},
      {{"run", "deadlock/two-lock", "--seed", "-1"}, 2, "--seed \"-1\""},
      {{"run", "deadlock/two-lock", "--timeout", "soon"}, 2, "--timeout \"soon\""},
      {{"show", "nothing/such"}, 2, "no scenario"},
      {{"runs", "ffff", "--out", "/nonexistent/lockstep"}, 2, "ffff"},
      {{"run", "deadlock/two-lock", "--store", "postgres", "--dsn", "host=/nonexistent/lockstep"}, 3, "lockstep: "},
      {{"run", "deadlock/two-lock", "--store", "postgres", "--dsn", "postgres=host=/nonexistent/lockstep", "--dsn",
        "x"},
       3,
       "no connection to PostgreSQL at host \"/nonexistent/lockstep\""},
      {{"check", "deadlock/two-lock", "--store", "postgres", "--dsn", "host=/nonexistent/lockstep"},
       3,
       "postgres was left out"},
      {{"check", "deadlock/two-lock", "--store", "kv"}, 0, ""},
      {{"check", "deadlock/two-lock", "--store", "kv", "--expect", "deadlock/two-lock kv 2pl-detect plain=clean"},
       1,
       ""},
      {{"--version"}, 0, ""},
      {{"--help"}, 0, ""},
      {{}, 0, ""},
  };
  for (const auto& [arguments, code, error] : examples) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Ended ended = lockstep(arguments);
    EXPECT_EQ(ended.code, code) << ended.out << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(error));
    if (code == 2) {
      EXPECT_THAT(ended.out, IsEmpty());
      EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    }
  }
}

TEST(Program, ChecksAndReports) {
  const ScratchFolder folder;
  const std::string junit = folder.path() + "/check.xml";
  const Ended ended = lockstep({"check", "deadlock/two-lock", "--store", "kv", "--executor", "threads,coroutines",
                                "--junit", junit, "--expect", "deadlock/two-lock kv 2pl-detect plain=clean"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, HasSubstr("✗ deadlock"));
  EXPECT_THAT(ended.out, HasSubstr("expected clean, was deadlock"));
  EXPECT_THAT(ended.out, HasSubstr("lockstep run deadlock/two-lock --store kv --protocol 2pl-detect --pattern plain "
                                   "--executor coroutines --seed 1\n"));
  std::ifstream file(junit);
  const std::string xml((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"lockstep.kv.coroutines\""));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"expected clean, was deadlock\">"));
  EXPECT_EQ(lockstep({"check", "deadlock/two-lock", "--store", "kv", "--junit", "/nonexistent/check.xml"}).code, 4);
}

TEST(Program, KeepsWhatHappenedWhenItIsInterrupted) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const ScratchFolder folder;
    Ended ended;
    // The run lasts 400 ms; a machine that stalls for longer gets another try.
    for (int attempt = 0; attempt < 5 && ended.code != 130; ++attempt) {
      Child child(lasting_run(folder.path()));
      wait_for_actor(child);
      child.send(signal);
      ended = child.wait();
    }
    EXPECT_EQ(ended.code, 130) << ended.out << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("interrupted: this is what happened so far"));
    const auto saved = record::list(folder.path());
    ASSERT_TRUE(saved.ok());
    ASSERT_FALSE(saved->empty());
    const auto run = record::load(saved->back().path);
    ASSERT_TRUE(run.ok());
    EXPECT_EQ(run->ending, record::Ending::interrupted);
  }
}

TEST(Program, LeavesNoServerWhenAPostgresRunIsInterrupted) {
  if (!postgres::find_server_binaries()) GTEST_SKIP() << "no PostgreSQL server programs here";
  const ScratchFolder folder, temporary;
  Child child({"run", "deadlock/two-lock", "--store", "postgres", "--deadlock-timeout", "1m", "--out", folder.path()},
              {{"TMPDIR", temporary.path()}});
  wait_for_actor(child);
  child.send(SIGTERM);
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 130) << "signal " << ended.signal << ended.out << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("starting a private PostgreSQL server"));
  EXPECT_THAT(ended.out, HasSubstr("interrupted: this is what happened so far"));
  for (const auto& entry : std::filesystem::directory_iterator(temporary.path())) {
    EXPECT_FALSE(std::filesystem::exists(entry.path() / "data")) << "a server's folder is left: " << entry.path();
  }
}

TEST(Program, StopsACheckInTheMiddle) {
  Child child({"check", "--store", "kv,sqlite", "--executor", "threads,coroutines"});
  child.read_until([](const std::string& out) { return !out.empty(); });
  child.send(SIGINT);
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 130) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("not run"));
}

TEST(Program, EndsWithinASecondOfSigterm) {
  Child child({"check", "--store", "kv,sqlite", "--executor", "threads,coroutines"});
  child.read_until([](const std::string& out) { return !out.empty(); });
  const auto sent = std::chrono::steady_clock::now();
  child.send(SIGTERM);
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 130) << ended.err;
  EXPECT_LT(std::chrono::steady_clock::now() - sent, std::chrono::seconds(5));
}

TEST(Program, SaysWhatWasNoStepOfASearch) {
  const Ended ended = lockstep({"explore", "threads/two-lock", "--no-record", "--json"});
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_FALSE(json["grain"].empty());
  EXPECT_EQ(json["missed_expected"], false);
}

TEST(Program, JudgesAWaitThatIsTooLong) {
  const ScratchFolder folder;
  const auto waits = [&folder](const char* most, const char* command = "run", std::string what = "threads/two-lock") {
    std::vector<std::string> words = {command, std::move(what), "--out", folder.path()};
    if (most != nullptr) words.insert(words.end(), {"--pattern", "ordered", "--waits-at-most", most, "--json"});
    return lockstep(words);
  };
  EXPECT_EQ(waits("1s").code, 0);
  const Ended broken = waits("1us");
  EXPECT_EQ(broken.code, 1);
  const auto json = nlohmann::json::parse(broken.out);
  EXPECT_EQ(json["verdict"], "anomaly");
  EXPECT_THAT(broken.out, HasSubstr("nobody waits longer than 0.001 ms"));
  const std::string id = json["id"];
  const Ended again = waits(nullptr, "replay", id);
  EXPECT_EQ(again.code, 0) << again.out << again.err;
  EXPECT_THAT(again.out, HasSubstr("nobody waits longer than 0.001 ms")) << "a replay keeps the limit";
  EXPECT_EQ(waits("soon").code, 2);
}

TEST(Program, SaysOnThePageWhatWasNoStep) {
  const ScratchFolder folder;
  EXPECT_EQ(lockstep({"explore", "threads/two-lock", "--out", folder.path(), "--quiet"}).code, 0);
  const auto saved = record::list(folder.path());
  ASSERT_TRUE(saved.ok());
  bool said = false;
  for (const auto& each : *saved) {
    const Ended page = lockstep({"report", each.id, "--runs", folder.path(), "--out", "-"});
    said = said || page.out.find("What a step is here: between operations") != std::string::npos;
    EXPECT_THAT(page.out, HasSubstr("class=\"verdict none\"")) << "of what a search found nothing was expected";
  }
  EXPECT_TRUE(said);
}

TEST(Program, RunsEveryFixThatItNames) {
  const Ended ended = lockstep({"check", "deadlock/two-lock", "--store", "kv", "--json"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  const auto json = nlohmann::json::parse(ended.out);
  int mends = 0;
  for (const auto& cell : json["cells"]) {
    EXPECT_NE(cell["fix_mends"], false) << cell.dump();
    mends += cell["fix_mends"] == true ? 1 : 0;
  }
  EXPECT_GT(mends, 3);
}

TEST(Program, EndsAStuckRunAtItsTimeout) {
  const Ended ended = lockstep({"run", "threads/lost-wakeup", "--no-record", "--timeout", "2s", "--expect", "hung"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr(" HUNG "));
}

TEST(Program, EndsQuietlyWhenTheReaderHasGone) {
  Child child({"list"});
  child.close_out();
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 0) << ended.signal;
  EXPECT_THAT(ended.err, IsEmpty());
}

TEST(Program, ComplainsWhenStandardOutputIsFull) {
  Child child({"list"}, {}, "/dev/full");
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 4);
  EXPECT_EQ(ended.err, "lockstep: cannot write to standard output: No space left on device\n");
}

TEST(Program, ShowsTheResultWhenItCannotBeSaved) {
  const ScratchFolder folder;
  const std::string file = folder.path() + "/file";
  std::ofstream(file) << "not a folder";
  const Ended ended = lockstep({"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--out", file});
  EXPECT_EQ(ended.code, 4);
  EXPECT_THAT(ended.out, HasSubstr(" DEADLOCK "));
  EXPECT_THAT(ended.out, Not(HasSubstr(" saved ")));
  EXPECT_THAT(ended.err, StartsWith("lockstep: the run is not saved in "));
}

TEST(Program, FollowsTheEnvironment) {
  const std::vector<std::string> run = {"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--no-record"};
  EXPECT_THAT(lockstep(run, {{"COLUMNS", "60"}}).out, HasSubstr("▒  ┃  T1 lock B"));
  const std::string ascii = lockstep(run, {{"LC_ALL", "C"}}).out;
  EXPECT_TRUE(std::all_of(ascii.begin(), ascii.end(), [](unsigned char c) { return c < 0x80; }));
  EXPECT_THAT(lockstep(run).out, Not(HasSubstr("\x1b")));
  auto coloured = run;
  coloured.insert(coloured.end(), {"--color", "always"});
  EXPECT_THAT(lockstep(coloured).out, HasSubstr("\x1b["));
  EXPECT_THAT(lockstep(run, {{"NO_COLOR", "1"}}).out, Not(HasSubstr("\x1b")));
}

TEST(Program, SaysLittleWhenQuiet) {
  const Ended ended = lockstep({"run", "deadlock/two-lock", "--protocol", "2pl-detect", "--no-record", "--quiet"});
  EXPECT_THAT(ended.out, StartsWith("deadlock  found and broken"));
  EXPECT_EQ(std::count(ended.out.begin(), ended.out.end(), '\n'), 1);
}

TEST(Program, CompletesWhatWasTyped) {
  EXPECT_THAT(lockstep({"__complete", "--", "run", "deadlock/two-lock", "--pattern", "ord"}).out,
              StartsWith("ordered\t"));
}

}  // namespace
}  // namespace lockstep::cli
