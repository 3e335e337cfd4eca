// command_line.h: the command lines that documents show, made fit to be run by a test: small, and without placeholders.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/documents/markdown.h"

namespace lockstep::documents {

/// What a test does with a command line of a document.
struct CommandLine {
  std::string shown;  ///< as the document has it
  int line = 0;       ///< where it stands in the document
  std::string run;    ///< what a shell is given instead
  std::set<int> exit_codes{0};
  bool holds = false;                             ///< stands still until it is told to stop
  std::vector<std::string> options_of_help = {};  ///< `run` asks for a help, which must name these
};

/// A command line that no test runs, and why.
struct NotRun {
  const char* begins;
  const char* why;
};
inline constexpr std::array kNotRun{
    NotRun{"lockstep test", "runs every test, this one too"},
    NotRun{"lockstep compare ycsb/mixed --strategy update,update", "elided: its list of loads is not written out"},
};

inline bool is_not_run(const std::string& run) {
  return std::any_of(kNotRun.begin(), kNotRun.end(), [&](const NotRun& each) { return run.starts_with(each.begins); });
}

inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

inline bool is_one_of(const std::string& word, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* each) { return word == each; });
}

inline void replace(std::string& text, const char* pattern, const char* by) {
  text = std::regex_replace(text, compiled(pattern), by);
}

/// What a reader puts in: the fixture of the test has made these runs, this folder and this server.
inline void fill_in(std::string& text) {
  replace(text, R"(\b7f3a\b)", "$RUN");
  replace(text, R"(\b91c0\b)", "$OTHER_RUN");
  replace(text, R"(\b5c1e\b)", "$COMPARISON");
  replace(text, R"(\ba9d0\b)", "$MATRIX");
  replace(text, R"(\bID\b)", "$RUN");
  replace(text, R"(\bDIR\b)", "$DATA");
  replace(text, R"(/var/lib/bank\b)", "$DATA");
  replace(text, R"(\bNAME\b)", "deadlock/two-lock");
  replace(text, R"(\bCOMMAND\b)", "run");
  replace(text, R"(\bsrc/test/isolation\b)", LOCKSTEP_SOURCE_DIR "/tests/isolation");
  replace(text, R"(\./server-test 8)", "$$CASES two-lock");
  replace(text, R"(\./accounts_test)", "$$TESTS --gtest_filter=Documents.TheReadmeStaysShort");
  replace(text, "-- PROGRAM( ARGUMENTS)?", "-- $$CASES two-lock");
  replace(text, R"(postgresql://[^ ]+)", "\"$$SERVER\"");
}

/// Gives `option` this value, whatever the document gives it.
inline void set_option(std::string& text, const std::string& option, const std::string& value) {
  const std::regex& given = compiled(option + R"( \S+)");
  if (std::regex_search(text, given)) {
    text = std::regex_replace(text, given, option + " " + value);
  } else {
    text += " " + option + " " + value;
  }
}

/// The same command on less: what it does stays, how long it does it goes. Everything that is cut is cut here.
inline void scale_down(CommandLine& command, const std::string& name) {
  std::string& text = command.run;
  if (name == "compare") {
    set_option(text, "--for", "30ms");
    set_option(text, "--warmup", "5ms");
    set_option(text, "--rounds", "1");
    replace(text, "--rows [0-9]+", "--rows 100");
    replace(text, "--sessions ([0-9]{2,}|[5-9])", "--sessions 4");
    replace(text, "(--(sessions|theta|read) [^ ,]+),[^ ]+", "$1");  // of a sweep the first load
  }
  const bool has_name = words_of(text).size() > 2 && words_of(text)[2].front() != '-';
  if (name == "check" && !has_name) text += " --scenario deadlock/two-lock";
  if (name == "matrix" && !has_name) text += " --scenario isolation/write-skew";
  replace(text, "^lockstep check deadlock(?= |$)", "lockstep check deadlock/two-lock");  // of a theme one scenario
  replace(text, "^lockstep matrix isolation(?= |$)", "lockstep matrix isolation/write-skew");
  replace(text, "^lockstep matrix booking(?= |$)", "lockstep matrix booking/overlap");
  if (name == "explore" && text.find("--budget ") != std::string::npos) {
    set_option(text, "--budget", "500");
    command.exit_codes.insert(5);  // the budget was spent
  }
  // A server on a busy machine may not take a branch again: that is said, and docs/limits.md says why.
  const bool is_of_servers =
      text.find("--direct") != std::string::npos || text.find("--store galera") != std::string::npos;
  if (name == "explore" && is_of_servers) command.exit_codes.insert(5);
  if (name == "replay") replace(text, "--times [0-9]+", "--times 100");
  // Their figures take up to 20 s. Every command but `run` has them run small.
  replace(text, "^lockstep run runtime/(postgres-sessions|sleepers|threads-vs-coroutines)",
          "lockstep check runtime/$1");
  const bool asks = text.find("--batch") == std::string::npos && text.find("--script") == std::string::npos;
  const bool is_own_program = text.find(" -- $CASES") != std::string::npos;
  if (is_own_program) command.exit_codes.insert(1);  // it has a deadlock
  if (name == "debug" && is_own_program) {
    replace(text, "^lockstep debug", "lockstep debug --batch");  // what follows -- is the program's
  } else if (name == "debug" && asks) {
    text += " --batch";
  }
}

/// `lockstep compare`, `lockstep run --schedule`: no command line but a name for one. The program's help must know it.
inline bool is_a_mention(const std::vector<std::string>& words) {
  if (is_one_of(words[1], {"list", "runs", "report", "matrix", "check", "man", "test"})) return false;
  return std::all_of(words.begin() + 2, words.end(), [](const std::string& word) { return word.starts_with("--"); });
}

/// The command line in this piece of a document; nullopt: it is something else.
inline std::optional<CommandLine> command_line_of(const Piece& piece) {
  const std::regex& program = compiled(R"(^(\$ )?([A-Z_]+=\S+ )*(\./|build/\w+/cli/)?lockstep (?=[a-z]))");
  std::smatch start;
  CommandLine command{.shown = piece.text, .line = piece.line, .run = piece.text};
  if (piece.text.starts_with("sqlite3 lockstep-runs/")) {
    fill_in(command.run);
    return command;
  }
  if (!std::regex_search(piece.text, start, program)) return std::nullopt;
  command.run = "lockstep " + start.suffix().str();
  const std::vector<std::string> words = words_of(command.run);
  if (is_a_mention(words)) {
    command.run = "lockstep help " + words[1];
    command.options_of_help.assign(words.begin() + 2, words.end());
    return command;
  }
  fill_in(command.run);
  scale_down(command, words[1]);
  if (words[1] == "check-history") command.exit_codes = {0, 1};  // the history of the fixture shows a write skew
  // Whether anything helps, and whether anybody waits, is not what the documents show.
  if (words[1] == "mend" || command.run.find(" --live") != std::string::npos) command.exit_codes = {0, 1};
  if (words[1] == "mend" && command.run.find("--budget") == std::string::npos) command.run += " --budget 20";
  if (command.run.find(" --claim ") != std::string::npos) command.exit_codes = {0, 1};  // 1: it found what it looks for
  if (command.run.find(" --expect ") != std::string::npos) command.exit_codes = {1};    // the examples expect otherwise
  if (command.run.find(" --hold") != std::string::npos) {
    command.holds = true;
    command.exit_codes = {130};
  }
  return command;
}

/// Other lines may need what this one leaves.
inline bool writes_a_file(const std::string& run) {
  return std::regex_search(run, compiled("--(save-schedule|graph|junit|export|out|history-out) |>"));
}

/// Of the commands that a document shows in gdb, "(gdb) lockstep graph", what one types.
inline std::vector<std::string> gdb_commands_of(const Markdown& parts) {
  std::vector<std::string> commands;
  for (const Piece& piece : parts.code) {
    if (piece.text.starts_with("(gdb) ")) commands.push_back(piece.text.substr(6));
  }
  return commands;
}

}  // namespace lockstep::documents
