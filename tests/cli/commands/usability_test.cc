// usability_test.cc: what people type and expect: help, filters, completion, refusals, widths, predictions, progress.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <pty.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/args/completion.h"
#include "cli/args/tree.h"
#include "cli/text/text.h"
#include "engine/record/comparison.h"
#include "engine/record/run.h"
#include "engine/store/backend.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Json = nlohmann::ordered_json;

std::vector<std::string> words_after(const std::vector<std::string>& words) {
  std::vector<std::string> found;
  for (const Suggestion& suggestion : suggestions(words)) found.push_back(suggestion.word);
  return found;
}

/// What the program prints when this is typed to it.
Ended with_input(const std::string& input, const std::vector<std::string>& arguments) {
  std::string line = "printf '" + input + "' | " LOCKSTEP_PROGRAM;
  for (const std::string& word : arguments) line += " '" + word + "'";
  std::FILE* const pipe = ::popen(line.c_str(), "r");
  Ended ended;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) ended.out.append(buffer, got);
  const int status = ::pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

TEST(Usability, HelpOfACommandIsTheHelpOfTheCommand) {
  for (const CommandSpec& command : commands()) {
    if (command.hidden) continue;
    const Ended help = lockstep({"help", command.name});
    EXPECT_EQ(help.code, 0) << command.name;
    EXPECT_EQ(help.out, lockstep({command.name, "--help"}).out) << command.name;
    EXPECT_THAT(help.out, HasSubstr("lockstep " + command.name));
  }
}

TEST(Usability, ADsnSpeaksOfTheStoreThatHasAServer) {
  const Ended gone = lockstep({"run", "isolation/write-skew", "--no-record", "--dsn", "host=/nonexistent user=nobody"});
  EXPECT_EQ(gone.code, 3) << gone.out;
  EXPECT_THAT(gone.err, HasSubstr("PostgreSQL"));
  EXPECT_EQ(lockstep({"compare", "stock/oversell", "--no-record", "--dsn", "host=/nonexistent user=nobody"}).code, 3);
  EXPECT_EQ(lockstep({"check", "isolation/write-skew", "--dsn", "host=/nonexistent user=nobody"}).code, 3);
  for (const char* store : {"kv", "sqlite"}) {
    const Ended wrong = lockstep({"run", "isolation/write-skew", "--store", store, "--dsn", "x"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr(std::string("--dsn names a server, and ") + store + " has none"));
  }
  for (const char* dsn : {"x", "mysql://bob:secret@db"}) {
    const Ended wrong = lockstep({"run", "isolation/write-skew", "--no-record", "--store", "postgres", "--dsn", dsn});
    EXPECT_NE(wrong.code, 0) << dsn;
    EXPECT_THAT(wrong.err, Not(HasSubstr("secret")));
  }
  std::vector<std::string> servers;
  for (const BackendKind& kind : backends()) {
    if (kind.traits.dsn) servers.emplace_back(kind.name);
  }
  ASSERT_GE(servers.size(), 2U);
  const std::string last = servers.back();
  servers.pop_back();
  const Ended nobodys = lockstep({"run", "isolation/write-skew", "--no-record", "--dsn", "x"});
  EXPECT_EQ(nobodys.code, 2);
  EXPECT_THAT(nobodys.err, HasSubstr(fmt::format("--dsn is no DSN of {} or {}", fmt::join(servers, ", "), last)));
  const Ended alone =
      lockstep({"run", "distributed/crosswise", "--no-record", "--store", "postgres-2", "--dsn", "host=a"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--dsn is no DSN of postgres-2"));
}

TEST(Usability, ThemesAreListedWhereAScenarioIsAsked) {
  for (const char* command : {"run", "explore", "show", "debug"}) {
    const Ended ended = lockstep({command, "deadlock"});
    EXPECT_EQ(ended.code, 2) << command;
    EXPECT_THAT(ended.err, HasSubstr("deadlock is a theme; name one of its scenarios")) << command;
    EXPECT_THAT(ended.out, HasSubstr("deadlock/two-lock")) << command;
    EXPECT_THAT(ended.out, Not(HasSubstr("isolation/"))) << command;
  }
  EXPECT_THAT(lockstep({"compare", "ycsb"}).err, HasSubstr("ycsb is a theme; its workloads: ycsb/latest"));
}

TEST(Usability, CellsWithoutAnExpectationAreNotCountedAsExpected) {
  const Ended unjudged = lockstep({"check", "ycsb/mixed", "--store", "kv"});
  EXPECT_EQ(unjudged.code, 0);
  EXPECT_THAT(unjudged.out, HasSubstr(" checked: 0 as expected, 0 not, "));
}

TEST(Usability, OptionsThatAWorkloadCannotHonourAreRefused) {
  const Ended read = lockstep({"compare", "stock/oversell", "--read", "90", "--no-record"});
  EXPECT_EQ(read.code, 2);
  EXPECT_THAT(read.err, HasSubstr("stock/oversell has no share of reads to choose"));
  const Ended theta = lockstep({"compare", "queue/work-queue", "--theta", "0.9", "--no-record"});
  EXPECT_EQ(theta.code, 2);
  EXPECT_THAT(theta.err, HasSubstr("takes its rows in order"));
  const Ended json = lockstep({"compare", "money/hot-counter", "--strategy", "plain", "--for", "20ms", "--warmup",
                               "1ms", "--rounds", "1", "--sessions", "1", "--no-record", "--json"});
  EXPECT_TRUE(Json::parse(json.out)["groups"][0]["read_percent"].is_null()) << json.out;
}

TEST(Usability, SavedRunsAreFoundByWhatTheyAre) {
  const ScratchFolder folder;
  const auto run = [&folder](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--out", folder.path()});
    const Ended ended = lockstep(arguments);
    EXPECT_THAT(ended.code, testing::AnyOf(0, 2)) << ended.err;
    return ended;
  };
  const auto listed = [&run](std::vector<std::string> filters) {
    filters.insert(filters.begin(), "runs");
    filters.push_back("--json");
    std::vector<std::string> scenarios;
    const Json list = Json::parse(run(filters).out);
    for (const Json& each : list["runs"]) scenarios.push_back(each["scenario"]);
    return scenarios;
  };
  run({"run", "deadlock/two-lock"});
  run({"run", "deadlock/two-lock", "--pattern", "ordered"});
  run({"matrix", "isolation/write-skew", "--store", "kv"});
  run({"explore", "threads/two-lock"});
  run({"compare", "money/hot-counter", "--strategy", "plain", "--for", "20ms", "--warmup", "1ms", "--rounds", "1"});

  const std::vector<std::string> usual = {"deadlock/two-lock", "deadlock/two-lock", "matrix", "threads/two-lock",
                                          "money/hot-counter"};
  EXPECT_THAT(listed({}), testing::UnorderedElementsAreArray(usual));
  EXPECT_GT(listed({"--all"}).size(), usual.size() + 5) << "every protocol of kv is a cell";
  EXPECT_THAT(run({"runs"}).out, HasSubstr(" cells of matrices not shown (--all)"));
  EXPECT_THAT(listed({"--scenario", "deadlock"}), testing::ElementsAre("deadlock/two-lock", "deadlock/two-lock"));
  EXPECT_THAT(listed({"--scenario", "deadlock", "--verdict", "deadlock"}), testing::ElementsAre("deadlock/two-lock"));
  EXPECT_THAT(listed({"--kind", "matrix,comparison"}), testing::UnorderedElementsAre("matrix", "money/hot-counter"));
  EXPECT_THAT(listed({"--kind", "exploration"}), testing::ElementsAre("threads/two-lock"));
  EXPECT_EQ(listed({"--last", "2"}).size(), 2U);
  EXPECT_THAT(run({"runs", "--kind", "comparison"}).out, AllOf(HasSubstr("compared"), Not(HasSubstr("clean"))));
  EXPECT_EQ(run({"runs", "--last", "0"}).code, 2);
  EXPECT_EQ(run({"runs", "--verdict", "dreadlock"}).code, 2);
  EXPECT_EQ(run({"runs", "--prune", "--keep", "0", "--scenario", "deadlock"}).code, 2) << "it would delete all";
  const std::string path =
      run({"runs", Json::parse(run({"runs", "--last", "1", "--json"}).out)["runs"][0]["id"], "--path"}).out;
  EXPECT_THAT(path, testing::EndsWith("/run.sqlite\n"));
  EXPECT_TRUE(std::filesystem::exists(path.substr(0, path.size() - 1))) << path;
}

TEST(Usability, CompletionKnowsWorkloadsStrategiesPatternsAndLists) {
  EXPECT_THAT(words_after({"compare", "stock/"}), testing::ElementsAre("stock/oversell"));
  EXPECT_THAT(words_after({"compare", "stock/oversell", "--strategy", ""}),
              AllOf(Contains("for-update"), Contains("occ")));
  EXPECT_THAT(words_after({"compare", "stock/oversell", "--strategy", "occ,"}),
              AllOf(Contains("occ,for-update"), Not(Contains("occ,occ"))));
  EXPECT_THAT(words_after({"compare", "stock/oversell", "--executor", ""}), Contains("coroutines"));
  EXPECT_THAT(words_after({"debug", "threads/two"}), testing::ElementsAre("threads/two-lock"));
  EXPECT_THAT(words_after({"debug", "threads/two-lock", "--pattern", ""}), Contains("ordered"));
  EXPECT_THAT(words_after({"explore", "threads/two-lock", "--strategy", "b"}), testing::ElementsAre("bounded"));
  EXPECT_THAT(words_after({"check", "--store", "kv,s"}), testing::ElementsAre("kv,sqlite"));
  EXPECT_THAT(words_after({"matrix", "isol"}), Contains("isolation"));
  EXPECT_THAT(words_after({"runs", "--kind", ""}), Contains("matrix"));
}

TEST(Usability, ADamagedFileIsSaidInOurOwnWords) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/broken.jsonl";
  for (const char* text : {"{\"lockstep\": ", "[1, 2]\n", "{\"format\": 3}\n", "{\"a\": [}\n"}) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    std::fputs(text, file);
    std::fclose(file);
    const Ended ended = lockstep({"replay", path});
    EXPECT_EQ(ended.code, 2) << text;
    EXPECT_THAT(ended.err, Not(HasSubstr("exception")));
    EXPECT_THAT(ended.err, Not(HasSubstr("parse_error")));
    EXPECT_THAT(ended.err, Not(HasSubstr("type must be")));
  }
  const Ended ended = lockstep({"replay", folder.path()});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("is a folder, and neither a run nor a schedule file"));
}

TEST(Usability, AServerThatCannotStartIsNotAnnounced) {
  const Ended ended = lockstep({"run", "distributed/crosswise", "--store", "postgres-2", "--no-record"},
                               {{"LOCKSTEP_PG_BIN", "/nowhere"}});
  EXPECT_EQ(ended.code, 3);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("/nowhere"), Not(HasSubstr("starting"))));
}

/// What is there to be copied (a command, a path) may be longer.
void expect_within_60(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("lockstep ") != std::string::npos || line.find("/run.sqlite") != std::string::npos) continue;
    EXPECT_LE(columns(line), 60U) << what << ": " << line;
  }
}

TEST(Usability, EverythingFitsSixtyColumns) {
  const ScratchFolder folder;
  const std::vector<std::vector<std::string>> all = {
      {"list"},
      {"list", "--stores"},
      {"list", "--protocols"},
      {"--help"},
      {"show", "deadlock/two-lock"},
      {"show", "booking/overlap"},
      {"run", "deadlock/two-lock"},
      {"run", "threads/dining-philosophers"},
      {"run", "isolation/write-skew", "--store", "sqlite"},
      {"explore", "threads/two-lock"},
      {"explore", "isolation/lost-update", "--store", "sqlite", "--protocol", "immediate"},
      {"matrix", "isolation", "--store", "kv,sqlite"},
      {"check", "deadlock", "--store", "kv,sqlite"},
      {"compare", "money/hot-counter", "--for", "20ms", "--warmup", "1ms", "--rounds", "1", "--sessions", "2"},
      {"runs"},
      {"runs", "--all"},
  };
  for (std::vector<std::string> arguments : all) {
    std::string what;
    for (const std::string& word : arguments) what += word + " ";
    const Ended ended = lockstep(arguments, {{"COLUMNS", "60"}, {"LOCKSTEP_RUNS", folder.path()}});
    EXPECT_EQ(ended.code, 0) << what << ended.err;
    EXPECT_THAT(ended.out, Not(IsEmpty())) << what;
    expect_within_60(ended.out, what);
  }
  for (const CommandSpec& command : commands()) {
    if (!command.hidden) expect_within_60(lockstep({"help", command.name}, {{"COLUMNS", "60"}}).out, command.name);
  }
}

TEST(Usability, AFindingOfASearchIsToldWholeWhereThereIsLittleRoom) {
  const std::string out =
      lockstep({"explore", "isolation/write-skew", "--store", "sqlite", "--no-record"}, {{"COLUMNS", "60"}}).out;
  EXPECT_THAT(out, AllOf(HasSubstr("starved\n"), HasSubstr("T1 never got done, run"), HasSubstr("others did")));
  expect_within_60(out, "explore isolation/write-skew");
}

TEST(Usability, APredictionIsAskedForBeforeTheRunIsShown) {
  const Ended right = with_input("deadlock\\n", {"run", "deadlock/two-lock", "--predict", "--no-record"});
  EXPECT_EQ(right.code, 0);
  const std::size_t asked = right.out.find("how will it end?"), shown = right.out.find("DEADLOCK");
  ASSERT_NE(asked, std::string::npos) << right.out;
  ASSERT_NE(shown, std::string::npos);
  EXPECT_LT(asked, shown);
  EXPECT_THAT(right.out.substr(0, asked),
              AllOf(HasSubstr("T1"), Not(HasSubstr("waits for")), Not(HasSubstr("victim"))));
  EXPECT_THAT(right.out, HasSubstr("you said  ✓ deadlock"));
  const Ended wrong = with_input("cleen\\nclean\\n", {"run", "deadlock/two-lock", "--predict", "--no-record"});
  EXPECT_THAT(wrong.out, AllOf(HasSubstr("did you mean \"clean\"?"), HasSubstr("✗ clean; it was deadlock")));
  EXPECT_THAT(with_input("", {"run", "deadlock/two-lock", "--predict", "--no-record"}).out, Not(HasSubstr("you said")));
  EXPECT_EQ(lockstep({"run", "deadlock/two-lock", "--predict", "--json", "--no-record"}).code, 2);
}

TEST(Usability, APredictionGoesOnStepByStepWithAScore) {
  const std::string out = with_input("deadlock\\ngoes\\ng\\nwaits\\nhangs\\nw\\nT1\\nG\\n\\nq\\n",
                                     {"run", "deadlock/two-lock", "--predict", "--no-record"})
                              .out;
  EXPECT_THAT(out, HasSubstr("? 1       T1: lock A. What comes of it?"));
  EXPECT_THAT(out, HasSubstr("goes on, waits or fails\n > goes\n ✓         goes on (1 of 1 right so far)\n"));
  EXPECT_THAT(out, HasSubstr("? 3       T1: lock B. What comes of it?"));
  EXPECT_THAT(out, HasSubstr("\"hangs\" is none of these: goes on, waits or fails"));
  EXPECT_THAT(out, HasSubstr("? 5       A circle of waits has closed: T1 waits for T2 waits for T1. Who"));
  EXPECT_THAT(out, HasSubstr(" ✗         no: T2 (4 of 5 right so far)"));
  EXPECT_THAT(out, HasSubstr("? 6       T1 has waited for: lock B. What comes of it?"));
  EXPECT_THAT(out, HasSubstr("you said  ✓ deadlock\n steps     5 of 6 right, 1 not answered\n"));
  // Nothing is shown before it was asked for.
  const std::size_t asked = out.find("? 3 ");
  ASSERT_NE(asked, std::string::npos);
  EXPECT_EQ(out.substr(0, asked).find("waits for T2"), std::string::npos);
  EXPECT_LT(asked, out.find("lock B         waits for T2"));
  EXPECT_LT(out.find("waits for T2", asked), out.find("? 5 "));
  // After that the run is shown whole.
  EXPECT_GT(out.rfind("deadlock/two-lock   store kv"), out.find("? 8 "));
}

TEST(Usability, APredictionAsksForWhatIsRead) {
  const std::string out = with_input("abort\\n101\\n100\\n", {"run", "isolation/lost-update", "--protocol", "snapshot",
                                                              "--predict", "--no-record"})
                              .out;
  EXPECT_THAT(out, HasSubstr("? 1       T1: read balance. What comes of it?"));
  EXPECT_THAT(out, HasSubstr("a value (nothing: no such row), waits or fails\n > 101\n ✗         no: 100"));
  EXPECT_THAT(out, HasSubstr("? 2       T2: read balance. What comes of it?"));
  EXPECT_THAT(out, HasSubstr("steps     1 of 2 right\n"));
}

/// The program on a terminal, to which each of `keys` is typed when the program prompts. Gives how it ended.
Ended typed(const std::vector<std::string>& arguments, std::vector<std::string> keys) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    std::vector<std::string> words = {LOCKSTEP_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::setenv("LANG", "C.UTF-8", 1);
    ::setenv("NO_COLOR", "1", 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  Ended ended;
  std::size_t seen = 0;
  char buffer[1024];
  for (ssize_t got = 0; (got = ::read(terminal, buffer, sizeof buffer)) > 0;) {
    ended.out.append(buffer, static_cast<std::size_t>(got));
    const std::size_t prompt = ended.out.find("\n > ", seen);
    if (prompt == std::string::npos || keys.empty()) continue;
    seen = prompt + 1;
    EXPECT_EQ(::write(terminal, keys.front().data(), keys.front().size()), static_cast<ssize_t>(keys.front().size()));
    keys.erase(keys.begin());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(terminal);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

TEST(Usability, WhoForetellsMayLeaveAtAnyQuestion) {
  const std::vector<std::string> command = {"run", "deadlock/two-lock", "--predict", "--no-record"};
  for (const std::string leave : {"q\n", "\x04"}) {
    const Ended first = typed(command, {leave});
    EXPECT_EQ(first.code, 0);
    EXPECT_THAT(first.out, AllOf(HasSubstr("DEADLOCK"), Not(HasSubstr("you said")), Not(HasSubstr("? 1 "))));
    const Ended second = typed(command, {"clean\n", leave});
    EXPECT_EQ(second.code, 0);
    EXPECT_THAT(second.out, AllOf(HasSubstr("? 1 "), HasSubstr("✗ clean; it was deadlock"), Not(HasSubstr("? 2 "))));
  }
  EXPECT_EQ(typed(command, {"\x03"}).code, 130);
  const Ended stopped = typed(command, {"clean\n", "g\n", "\x03"});
  EXPECT_EQ(stopped.code, 130);
  EXPECT_THAT(stopped.out, HasSubstr("steps     1 of 1 right"));
}

/// What the program writes to a terminal on stderr.
std::string on_a_terminal(const std::vector<std::string>& arguments) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::dup2(::open("/dev/null", O_WRONLY), STDOUT_FILENO);
    std::vector<std::string> words = {LOCKSTEP_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::setenv("TERM", "xterm", 1);
    ::setenv("LANG", "C.UTF-8", 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  std::string said;
  char buffer[1024];
  for (ssize_t got = 0; (got = ::read(terminal, buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(got));
  ::waitpid(child, nullptr, 0);
  ::close(terminal);
  return said;
}

TEST(Usability, WhatTakesOverASecondSaysThatItGoesOn) {
  const std::string explore = on_a_terminal(
      {"explore", "threads/dining-philosophers", "--strategy", "unreduced", "--budget", "1500ms", "--no-record"});
  EXPECT_THAT(explore, AllOf(HasSubstr("explore threads/dining-philosophers"), HasSubstr("runs  1 s"),
                             testing::EndsWith("\r\x1b[K")));
  const std::string quick = on_a_terminal({"run", "deadlock/two-lock", "--no-record"});
  EXPECT_THAT(quick, IsEmpty());
}

}  // namespace
}  // namespace lockstep::cli
