// tree.h: the command tree as data. The parser, the help, the man page and the shell completions are all made from it.
//
// A command is one file under cli/commands/ that defines a function which returns its CommandSpec; tree.cc lists them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

class Program;

/// What a value names; for completion.
enum class Names {
  nothing,
  choices,
  scenario,
  theme,
  scenario_or_theme,
  scenario_or_run,
  workload,
  store,
  protocol,
  pattern,
  strategy,  ///< of a workload: a pattern, a protocol, or PROTOCOL/PATTERN
  run,
  folder,
  file,
  command
};

struct OptionSpec {
  std::string name;   ///< without dashes: "store"
  std::string value;  ///< what it takes, for people: "NAME"; empty: a flag
  std::string help;
  Names names = Names::nothing;
  std::vector<std::string> choices = {};  ///< with Names::choices
  bool repeats = false;

  /// Its values may be several, with commas.
  bool takes_list() const { return value == "LIST" || value == "NAMES"; }
};

struct ArgumentSpec {
  std::string name;  ///< for people: "NAME"
  std::string help;
  bool required = false;
  Names names = Names::nothing;
  std::vector<std::string> choices = {};
  bool repeats = false;  ///< the last one only: as many as are typed
};

struct Example {
  std::string command;  ///< after "lockstep "
  std::string what;
};

struct CommandSpec {
  std::string name;
  std::string summary;      ///< one line
  std::string description;  ///< a paragraph or more, separated by empty lines
  std::vector<ArgumentSpec> arguments;
  std::vector<OptionSpec> options;
  std::vector<Example> examples;
  int (*run)(Program&) = nullptr;  ///< gives the exit code
  bool hidden = false;
  /// What follows "--" is for another program: Arguments holds it as "--".
  bool passes_on = false;
};

/// Every command, in the order of the help.
const std::vector<CommandSpec>& commands();
const CommandSpec* command_named(std::string_view name);
/// The names that are not hidden.
std::vector<std::string> command_names();

/// The options that every command takes: --color, --quiet, --help.
const std::vector<OptionSpec>& common_options();
/// The command's own options and the common ones.
std::vector<OptionSpec> all_options(const CommandSpec& command);

struct CodeMeaning {
  int code;
  std::string meaning;
};
const std::vector<CodeMeaning>& exit_codes();

struct Variable {
  std::string name, meaning;
};
const std::vector<Variable>& environment_variables();

}  // namespace lockstep::cli
