// tree.cc: what every command has in common, and their order.
#include "cli/args/tree.h"

#include <algorithm>

#include "cli/args/exit_code.h"
#include "cli/commands/commands.h"
#include "engine/store/backend.h"

namespace lockstep::cli {

const std::vector<CommandSpec>& commands() {
  static const std::vector<CommandSpec> all = {
      list_command(),          show_command(),       run_command(),      explore_command(), compare_command(),
      replay_command(),        debug_command(),      report_command(),   runs_command(),    check_command(),
      check_history_command(), import_command(),     mend_command(),     matrix_command(),  kv_command(),
      man_command(),           completion_command(), complete_command(), help_command(),
  };
  return all;
}

const CommandSpec* command_named(std::string_view name) {
  const auto& all = commands();
  const auto found = std::find_if(all.begin(), all.end(), [name](const CommandSpec& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandSpec& command : commands()) {
    if (!command.hidden) names.push_back(command.name);
  }
  return names;
}

const std::vector<OptionSpec>& common_options() {
  static const std::vector<OptionSpec> all = {
      {"color", "WHEN", "colours: auto (on a terminal), always or never", Names::choices, {"auto", "always", "never"}},
      {"quiet", "", "say only what matters: the verdict, or nothing"},
      {"help", "", "show this help"},
  };
  return all;
}

std::vector<OptionSpec> all_options(const CommandSpec& command) {
  std::vector<OptionSpec> all = command.options;
  all.insert(all.end(), common_options().begin(), common_options().end());
  return all;
}

const std::vector<CodeMeaning>& exit_codes() {
  static const std::vector<CodeMeaning> all = {
      {kAsExpected, "as expected; a deadlock that was to be shown and was shown is success"},
      {kNotAsExpected,
       "a verdict that was not expected, or an invariant broken under a strategy said to be safe; a damaged store"},
      {kUsage, "a wrong name, option or schedule"},
      {kStoreUnavailable,
       "the store could not be opened or failed in mid-run, or a rank of the job was lost; check-history: it is not "
       "known"},
      {kInternal, "an internal error, or standard output or the recording could not be written"},
      {kTimeBudgetHit, "ended by --timeout, which nobody expected, or a search by --budget"},
      {kInterrupted, "interrupted; what happened up to then is shown and saved"},
  };
  return all;
}

const std::vector<Variable>& environment_variables() {
  static const std::vector<Variable> all = [] {
    std::vector<Variable> list = {
        {"LOCKSTEP_RUNS", "the folder of saved runs; default: lockstep-runs in the working folder"}};
    for (const BackendKind& kind : backends()) {
      if (kind.traits.dsn)
        list.push_back({std::string(kind.traits.dsn->variable), std::string(kind.traits.dsn->variable_help)});
    }
    list.push_back({"COLUMNS", "the width of the output; default: the terminal's, or 80"});
    list.push_back({"NO_COLOR", "when it is set, colours are used only with --color always"});
    list.push_back({"LC_ALL, LC_CTYPE, LANG", "unless they name UTF-8, everything is drawn in ASCII"});
    return list;
  }();
  return all;
}

}  // namespace lockstep::cli
