// commands_test.cc: every `lockstep …` command line of a document does what a reader expects of it: it runs.
//
// A shell runs each line in a folder of its own, in the order of the document, so a file that one line writes is there
// for the next. command_line.h says what is put in for placeholders, what is made smaller, and what is not run.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "engine/store/backend.h"
#include "engine/stores/postgres/cluster.h"
#include "tests/documents/command_line.h"
#include "tests/documents/reader.h"

namespace lockstep::documents {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// Waits until the program stands at the deadlock, which it says, and stops it. The loop polls: nothing else tells.
constexpr const char* kUntilItHolds = R"( >held 2>&1 &
pid=$!
until grep -q 'held at the deadlock' held || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
kill -TERM $pid
wait $pid
)";

/// The server of every test where there is one (LOCKSTEP_TEST_DSN), else one for this process; empty: none can be
/// started.
std::string server() {
  if (const char* dsn = std::getenv("LOCKSTEP_TEST_DSN"); dsn != nullptr && *dsn != '\0') return dsn;
  static const auto cluster = postgres::start_private_cluster();
  return cluster ? (*cluster)->dsn() : std::string();
}

/// The store is in this build, and its server on this machine.
bool has_store(std::string_view name) {
  const BackendKind* const kind = backend_named(name);
  return kind != nullptr && kind->available({}).ok();
}

bool has_tool(const std::string& tool) { return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0; }

/// Why this machine cannot run the line; empty: it can.
std::string what_is_missing(const std::string& line) {
  const auto says = [&](const char* pattern) { return std::regex_search(line, compiled(pattern)); };
  if (says("^sqlite3 ") && !has_tool("sqlite3")) return "sqlite3";
  if (says(R"(\| man )") && !has_tool("man")) return "man";
  if (says("^lockstep debug ") && !says("--script") && !has_tool("gdb")) return "gdb";
  if (says("postgres|SERVER|/tests/isolation") && server().empty()) return "a PostgreSQL server";
  if (says("mariadb") && !has_store("mariadb")) return "a MariaDB server";
  if (says("redis") && !has_store("redis")) return "a Redis server";
  if (says("galera") && !has_store("galera")) return "a Galera cluster";
  return {};
}

/// Runs command lines as a reader of `document` would, one after the other.
class Commands {
 public:
  void expect_it_runs(const std::string& document, const CommandLine& command) {
    SCOPED_TRACE(fmt::format("{}:{}: {}\n  run as: {}", document, command.line, command.shown, command.run));
    if (is_not_run(command.run)) return;
    if (const std::string missing = what_is_missing(command.run); !missing.empty()) {
      std::cout << "skipped, no " << missing << ": " << command.shown << "\n";
      return;
    }
    // `check` and `matrix` take every store that there is: one server for them all is quicker than one for each.
    if (std::regex_search(command.run, compiled("postgres|/tests/isolation|^lockstep (check|matrix) ")) &&
        !server().empty()) {
      need_server();
    }
    const auto begin = std::chrono::steady_clock::now();
    const Ended ended = reader_.types(command.run + (command.holds ? kUntilItHolds : ""));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    std::cout << fmt::format("{:6.2f} s  {}\n", taken.count(), command.run);
    EXPECT_THAT(command.exit_codes, Contains(ended.code)) << ended.printed;
    for (const std::string& option : command.options_of_help) EXPECT_THAT(ended.printed, HasSubstr(option));
  }
  const Reader& reader() const { return reader_; }

 private:
  void need_server() {
    if (!has_server_) reader_.use_server(server());
    has_server_ = true;
  }

  Reader reader_;
  bool has_server_ = false;
};

/// Those of one document, each once.
std::vector<CommandLine> command_lines_of(const std::string& document) {
  std::vector<CommandLine> lines;
  std::set<std::string> seen;
  for (const Piece& piece : taken_apart(document).code) {
    const auto command = command_line_of(piece);
    if (command && seen.insert(command->run + command->shown).second) lines.push_back(*command);
  }
  return lines;
}

/// What the documents before this one have run already; all of them for "".
std::set<std::string> run_before(const std::string& document) {
  std::set<std::string> lines;
  for (const std::string& each : all_documents()) {
    if (each == document) break;
    for (const CommandLine& command : command_lines_of(each)) lines.insert(command.run);
  }
  return lines;
}

std::vector<std::string> documents_with_commands() {
  std::vector<std::string> documents = all_documents();
  std::erase_if(documents, [](const std::string& each) { return command_lines_of(each).empty(); });
  return documents;
}

class Document : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Commands, Document, testing::ValuesIn(documents_with_commands()),
                         [](const auto& info) { return test_name_of(info.param); });

TEST_P(Document, ShowsCommandsThatRun) {
  Commands commands;
  const std::set<std::string> before = run_before(GetParam());
  for (const CommandLine& each : command_lines_of(GetParam())) {
    const bool known = before.contains(each.run) && each.options_of_help.empty();
    if (!known || writes_a_file(each.run)) commands.expect_it_runs(GetParam(), each);
  }
}

/// The names of the program's commands, as the shell completes them.
std::vector<std::string> command_names(const Reader& reader) {
  std::istringstream printed(reader.types("lockstep __complete -- ''").printed);
  std::vector<std::string> names;
  for (std::string line; std::getline(printed, line);) {
    if (line.front() != '-') names.push_back(line.substr(0, line.find('\t')));
  }
  return names;
}

TEST(Help, ShowsExamplesThatRun) {
  Commands commands;
  const std::set<std::string> in_documents = run_before("");
  const std::vector<std::string> names = command_names(commands.reader());
  ASSERT_THAT(names, Contains("explore"));
  for (const std::string& name : names) {
    const std::string help = commands.reader().types("COLUMNS=400 lockstep help " + name).printed;
    std::istringstream examples(help.substr(std::min(help.find("\nExamples\n"), help.size())));
    for (std::string line; std::getline(examples, line);) {
      const auto example = command_line_of({.text = trimmed(line)});
      if (example && !in_documents.contains(example->run)) commands.expect_it_runs("lockstep help " + name, *example);
    }
  }
}

TEST(GdbCommands, Run) {
  std::string typed;
  for (const std::string& document : all_documents()) {
    for (const std::string& each : gdb_commands_of(taken_apart(document))) {
      typed += " -ex 'echo <" + each + ">\\n' -ex '" + each + "'";
    }
  }
  ASSERT_THAT(typed, HasSubstr("lockstep graph"));
  if (!has_tool("gdb")) GTEST_SKIP() << "skipped: no gdb";
  const Ended ended = Reader().types("lockstep debug threads/two-lock --batch --" + typed + " -ex 'echo <end>\\n'");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.printed, HasSubstr("<end>"));
  for (const char* complaint : {"Undefined", "no actor", "Error", "usage:", "No symbol"}) {
    EXPECT_THAT(ended.printed, Not(HasSubstr(complaint)));
  }
}

TEST(ReadmeExample, ShowsWhatTheProgramPrints) {
  const Markdown& readme = taken_apart("README.md");
  ASSERT_GE(readme.blocks.size(), 2U);
  ASSERT_EQ(readme.blocks[0], std::vector<std::string>{"./lockstep run deadlock/two-lock"});
  const Ended ended = Reader().types("lockstep run deadlock/two-lock");
  std::size_t at = 0;
  for (const std::string& line : readme.blocks[1]) {
    if (trimmed(line) == "…") continue;  // something is left out
    const std::size_t found = ended.printed.find(line + "\n", at);
    ASSERT_NE(found, std::string::npos) << "\"" << line << "\" does not come, or not here, in\n" << ended.printed;
    at = found + line.size();
  }
}

TEST(NotRun, IsStillInADocument) {
  std::vector<std::string> all;
  for (const std::string& document : all_documents()) {
    for (const CommandLine& command : command_lines_of(document)) all.push_back(command.run);
  }
  for (const NotRun& each : kNotRun) EXPECT_THAT(all, Contains(testing::StartsWith(each.begins))) << each.why;
}

TEST(CommandLines, AreFoundFilledInAndMadeSmall) {
  const auto run = [](const std::string& text) {
    const auto command = command_line_of({.text = text});
    return command ? command->run : "(none)";
  };
  EXPECT_EQ(run("lockstep::kv"), "(none)");
  EXPECT_EQ(run("lockstep …"), "(none)");
  EXPECT_EQ(run("./lockstep run deadlock/two-lock"), "lockstep run deadlock/two-lock");
  EXPECT_EQ(run("LOCKSTEP_PRESET=tsan ./lockstep test"), "lockstep test");
  EXPECT_EQ(run("build/dev/cli/lockstep replay 7f3a --times 1000"), "lockstep replay $RUN --times 100");
  EXPECT_EQ(run("lockstep compare"), "lockstep help compare");
  EXPECT_EQ(run("lockstep run --schedule"), "lockstep help run");
  EXPECT_EQ(run("lockstep check"), "lockstep check --scenario deadlock/two-lock");
  EXPECT_EQ(run("lockstep compare ycsb/mixed --sessions 1,2,4 --for 10s"),
            "lockstep compare ycsb/mixed --sessions 1 --for 30ms --warmup 5ms --rounds 1");
}

TEST(CommandLines, GoWrongWhereTheProgramHasNoSuchThing) {
  const Reader reader;
  for (const char* line : {"lockstep explode", "lockstep run deadlock/two-locks",
                           "lockstep run deadlock/two-lock --fast", "lockstep replay ffff", "lockstep sing"}) {
    const auto command = command_line_of({.text = line});
    ASSERT_TRUE(command) << line;
    EXPECT_THAT(command->exit_codes, Not(Contains(reader.types(command->run).code))) << line;
  }
}

}  // namespace
}  // namespace lockstep::documents
