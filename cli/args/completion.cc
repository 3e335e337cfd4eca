// completion.cc: walks the words that were typed through the tree.
#include "cli/args/completion.h"

#include <algorithm>

#include "cli/args/names.h"
#include "cli/args/runs_folder.h"
#include "cli/args/tree.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

/// What has been typed of a command: its arguments and the values of its options.
struct Typed {
  const CommandSpec* command = nullptr;
  Arguments arguments;
  std::size_t positionals = 0;
  const OptionSpec* awaited = nullptr;  ///< the option whose value is being typed
};

const OptionSpec* option_of(const std::vector<OptionSpec>& options, const std::string& word) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&word](const OptionSpec& o) { return "--" + o.name == word; });
  return found == options.end() ? nullptr : &*found;
}

Typed read(const std::vector<std::string>& words, const std::vector<OptionSpec>& options, const CommandSpec& command) {
  Typed typed{.command = &command, .arguments = {}};
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const OptionSpec* option = option_of(options, words[i]);
    if (option != nullptr && !option->value.empty()) {
      if (i + 2 == words.size()) typed.awaited = option;
      typed.arguments.set(option->name, {words[++i]});
    } else if (!words[i].starts_with("-")) {
      if (typed.positionals < command.arguments.size()) {
        typed.arguments.set(command.arguments[typed.positionals].name, {words[i]});
      }
      ++typed.positionals;
    }
  }
  return typed;
}

std::vector<Suggestion> plain(const std::vector<std::string>& words) {
  std::vector<Suggestion> all;
  for (const std::string& word : words) all.push_back({word, ""});
  return all;
}

std::vector<Suggestion> protocols(const Typed& typed) {
  std::vector<Suggestion> all;
  const std::string store = typed.arguments.value("store", std::string(default_backend().name));
  if (const BackendKind* const kind = backend_named(store)) {
    for (const ProtocolTraits& each : kind->protocols) all.push_back({each.name, each.summary});
  }
  return all;
}

/// What was typed for the command's first argument: the scenario.
std::string subject_of(const Typed& typed) {
  const std::vector<ArgumentSpec>& arguments = typed.command->arguments;
  return arguments.empty() ? std::string() : typed.arguments.value(arguments.front().name);
}

std::vector<Suggestion> patterns(const Typed& typed) {
  std::vector<Suggestion> all;
  if (const Scenario* scenario = scenarios::find(subject_of(typed))) {
    for (const Pattern& pattern : scenario->patterns()) all.push_back({pattern.name, pattern.summary});
  }
  return all;
}

/// The patterns that run under load on the store, then the store's protocols.
std::vector<Suggestion> strategies(const Typed& typed) {
  std::vector<Suggestion> all;
  const std::string store = typed.arguments.value("store", std::string(default_backend().name));
  if (const Scenario* const scenario = scenarios::find(subject_of(typed))) {
    for (const Pattern& pattern : scenario->patterns()) {
      if (scenario->runs_under_load(pattern) && pattern.runs_on(store)) all.push_back({pattern.name, pattern.summary});
    }
  }
  for (Suggestion& protocol : protocols(typed)) all.push_back(std::move(protocol));
  return all;
}

std::vector<Suggestion> workloads() {
  std::vector<Suggestion> all;
  for (const Scenario& each : scenarios::catalogue()) {
    if (each.runs_under_load()) all.push_back({each.name, each.title()});
  }
  return all;
}

std::vector<Suggestion> saved_runs(const Typed& typed) {
  std::vector<Suggestion> all;
  const std::vector<OptionSpec>& options = typed.command->options;
  const bool apart = std::any_of(options.begin(), options.end(), [](const OptionSpec& o) { return o.name == "runs"; });
  if (const auto runs = record::list(runs_folder(typed.arguments, apart ? "runs" : "out"))) {
    for (const record::SavedRun& run : *runs) all.push_back({run.id, run.scenario + " " + run.store});
  }
  return all;
}

std::vector<Suggestion> scenario_suggestions() {
  std::vector<Suggestion> all;
  for (const Scenario& scenario : scenarios::catalogue()) all.push_back({scenario.name, scenario.title()});
  return all;
}

std::vector<Suggestion> named(Names names, const std::vector<std::string>& choices, const Typed& typed) {
  switch (names) {
    case Names::choices:
      return plain(choices);
    case Names::scenario:
      return scenario_suggestions();
    case Names::theme:
      return plain(theme_names());
    case Names::scenario_or_theme: {
      std::vector<Suggestion> all = plain(theme_names());
      for (Suggestion& each : scenario_suggestions()) all.push_back(std::move(each));
      return all;
    }
    case Names::scenario_or_run: {
      std::vector<Suggestion> all = scenario_suggestions();
      for (Suggestion& each : saved_runs(typed)) all.push_back(std::move(each));
      return all;
    }
    case Names::workload:
      return workloads();
    case Names::strategy:
      return strategies(typed);
    case Names::store: {
      std::vector<Suggestion> all;
      for (const BackendKind& kind : backends()) all.push_back({std::string(kind.name), std::string(kind.summary)});
      return all;
    }
    case Names::protocol:
      return protocols(typed);
    case Names::pattern:
      return patterns(typed);
    case Names::run:
      return saved_runs(typed);
    case Names::command:
      return plain(command_names());
    case Names::nothing:
    case Names::folder:
    case Names::file:
      break;
  }
  return {};
}

/// What can stand behind the last comma of a list that has begun, with what stands before it; nothing twice.
std::vector<Suggestion> behind_commas(std::vector<Suggestion> all, const std::string& begun) {
  const std::size_t comma = begun.rfind(',');
  if (comma == std::string::npos) return all;
  const std::string before = begun.substr(0, comma + 1);
  std::erase_if(all, [&before](const Suggestion& each) {
    return ("," + before).find("," + each.word + ",") != std::string::npos;
  });
  for (Suggestion& each : all) each.word = before + each.word;
  return all;
}

std::vector<Suggestion> all_suggestions(const std::vector<std::string>& words) {
  std::vector<Suggestion> all;
  if (words.size() < 2) {
    for (const CommandSpec& command : commands()) {
      if (!command.hidden) all.push_back({command.name, command.summary});
    }
    all.push_back({"--help", "show help"});
    all.push_back({"--version", "show the version"});
    return all;
  }
  const CommandSpec* command = command_named(words.front());
  if (command == nullptr) return all;
  const std::vector<OptionSpec> options = all_options(*command);
  const Typed typed = read(words, options, *command);
  if (typed.awaited != nullptr) {
    all = named(typed.awaited->names, typed.awaited->choices, typed);
    return typed.awaited->takes_list() ? behind_commas(std::move(all), words.back()) : all;
  }
  if (words.back().starts_with("-")) {
    for (const OptionSpec& option : options) all.push_back({"--" + option.name, option.help});
    return all;
  }
  std::size_t next = typed.positionals;
  if (!command->arguments.empty() && command->arguments.back().repeats) {
    next = std::min(next, command->arguments.size() - 1);
  }
  if (next < command->arguments.size()) {
    const ArgumentSpec& argument = command->arguments[next];
    return named(argument.names, argument.choices, typed);
  }
  return all;
}

constexpr const char* kBash = R"(# bash completion of lockstep; load it with: source <(lockstep completion bash)
_lockstep() {
  local IFS=$'\n' current=${COMP_WORDS[COMP_CWORD]} words
  words=$("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1)
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -F _lockstep lockstep
)";

constexpr const char* kZsh = R"(#compdef lockstep
# zsh completion of lockstep; load it with: source <(lockstep completion zsh)
_lockstep() {
  local -a found
  local word what
  while IFS=$'\t' read -r word what; do
    found+=("${word//:/\\:}${what:+:$what}")
  done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#found} )); then _describe lockstep found; else _files; fi
}
compdef _lockstep lockstep
)";

constexpr const char* kFish = R"(# fish completion of lockstep; load it with: lockstep completion fish | source
function __lockstep_complete
  set -l typed (commandline -opc) (commandline -ct)
  $typed[1] __complete -- $typed[2..-1] 2>/dev/null
end
complete -c lockstep -f -a '(__lockstep_complete)'
complete -c lockstep -n '__fish_prev_arg_in --out --junit' -F
)";

}  // namespace

std::vector<Suggestion> suggestions(const std::vector<std::string>& words) {
  std::vector<Suggestion> all = all_suggestions(words);
  const std::string begun = words.empty() ? "" : words.back();
  std::erase_if(all, [&begun](const Suggestion& s) { return !s.word.starts_with(begun); });
  return all;
}

std::string completion_script(const std::string& shell) {
  return shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
}

}  // namespace lockstep::cli
