// help.cc: the commands about the program itself: `help`, `man`, `completion`, and what completion scripts ask.
#include "cli/text/help.h"

#include "cli/args/completion.h"
#include "cli/args/exit_code.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/man.h"
#include "cli/text/text.h"
#include "engine/base/suggest.h"

namespace lockstep::cli {
namespace {

int help(Program& program) {
  if (!program.arguments.has("COMMAND")) {
    program.out.write(program_help(program.terminal));
    return kAsExpected;
  }
  const std::string name = program.arguments.value("COMMAND");
  const CommandSpec* command = command_named(name);
  if (command == nullptr) return usage_error(unknown_name("command", name, command_names()));
  program.out.write(command_help(*command, program.terminal));
  return kAsExpected;
}

int man(Program& program) {
  program.out.write(man_page());
  return kAsExpected;
}

int completion(Program& program) {
  program.out.write(completion_script(program.arguments.value("SHELL")));
  return kAsExpected;
}

int complete(Program& program) {
  for (const Suggestion& suggestion : suggestions(program.arguments.all("WORDS"))) {
    program.out.write(suggestion.word + "\t" + neutral(suggestion.what) + "\n");
  }
  return kAsExpected;
}

}  // namespace

CommandSpec help_command() {
  return {
      .name = "help",
      .summary = "the help of a command",
      .description = "",
      .arguments = {{"COMMAND", "default: the overview", false, Names::command}},
      .options = {},
      .examples = {{"help run", "The same as lockstep run --help."}},
      .run = help,
  };
}

CommandSpec man_command() {
  return {
      .name = "man",
      .summary = "the manual page, in roff",
      .description = "Prints lockstep(1).",
      .arguments = {},
      .options = {},
      .examples = {{"man | man -l -", "Read it."},
                   {"man > lockstep.1", "Keep it where man(1) looks, such as ~/.local/share/man/man1/."}},
      .run = man,
  };
}

CommandSpec completion_command() {
  return {
      .name = "completion",
      .summary = "the completion script for a shell",
      .description = "The script asks the program, so it knows the scenarios, patterns and saved runs that there are.",
      .arguments = {{"SHELL", "bash, zsh or fish", true, Names::choices, {"bash", "zsh", "fish"}}},
      .options = {},
      .examples = {{"completion bash > ~/.local/share/bash-completion/completions/lockstep", "For every new shell."}},
      .run = completion,
  };
}

CommandSpec complete_command() {
  return {
      .name = "__complete",
      .summary = "what can come next, for completion scripts",
      .description = "",
      .arguments = {{"WORDS", "what was typed so far"}},
      .options = {},
      .examples = {},
      .run = complete,
      .hidden = true,
  };
}

}  // namespace lockstep::cli
