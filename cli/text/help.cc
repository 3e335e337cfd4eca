// help.cc: usage, what it does, options, examples; in that order.
#include "cli/text/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

std::size_t prose_width(const Terminal& terminal) { return std::min(terminal.width, kProseMost); }

void add_text(std::vector<Line>& lines, const Terminal& terminal, const std::string& text) {
  for (const std::string& line : wrapped(terminal.clean(text), prose_width(terminal))) lines.emplace_back(line);
}

/// "  TERM      text wrapped beside it".
void add_entry(std::vector<Line>& lines, const Terminal& terminal, const std::string& term, const std::string& text,
               std::size_t text_at) {
  Line line;
  line.add("  ").add(Style::bold, term);
  if (line.columns() + 2 > text_at) {
    lines.push_back(std::move(line));
    line = Line();
  }
  const std::size_t room = std::max<std::size_t>(prose_width(terminal) - std::min(prose_width(terminal), text_at), 20);
  for (const std::string& part : wrapped(terminal.clean(text), room)) {
    lines.push_back(std::move(line.to(text_at).add(part)));
    line = Line();
  }
}

void add_heading(std::vector<Line>& lines, const std::string& heading) {
  lines.emplace_back();
  lines.push_back(Line().add(Style::heading, heading));
}

void add_examples(std::vector<Line>& lines, const Terminal& terminal, const std::vector<Example>& examples) {
  if (examples.empty()) return;
  add_heading(lines, "Examples");
  for (const Example& example : examples) {
    lines.push_back(Line().add("  ").add(Style::bold, "lockstep " + example.command));
    for (const std::string& text : wrapped(terminal.clean(example.what), prose_width(terminal) - 6)) {
      lines.push_back(Line().to(6).add(text));
    }
  }
}

}  // namespace

std::string usage_line(const CommandSpec& command) {
  std::string line = "lockstep " + command.name;
  for (const ArgumentSpec& argument : command.arguments) {
    const std::string name = argument.name + (argument.repeats ? "…" : "");
    line += argument.required ? " " + name : " [" + name + "]";
  }
  return line + (command.options.empty() ? "" : " [options]");
}

std::string option_heading(const OptionSpec& option) {
  const std::string name = option.name == "help" ? "-h, --help" : "--" + option.name;
  return option.value.empty() ? name : name + " " + option.value;
}

std::vector<std::string> paragraphs(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find("\n\n", begin), text.size());
    all.push_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
  return all;
}

std::string program_help(const Terminal& terminal) {
  std::vector<Line> lines;
  lines.push_back(Line()
                      .add(Style::heading, "lockstep")
                      .add(terminal.clean(" — see concurrency go wrong, and right, step by step")));
  lines.emplace_back();
  add_text(
      lines, terminal,
      "Runs named scenarios of deadlock, lost updates, write skew and their kin against an in-memory transactional "
      "store, SQLite, and a real PostgreSQL or MariaDB; shows who held what and who waited for whom, and says why and "
      "what "
      "mends it.");
  add_heading(lines, "Usage");
  lines.emplace_back("  lockstep COMMAND [arguments] [options]");
  add_heading(lines, "Commands");
  for (const CommandSpec& command : commands()) {
    if (!command.hidden) add_entry(lines, terminal, command.name, command.summary, 15);
  }
  add_heading(lines, "Options");
  add_entry(lines, terminal, "-h, --help", "show this help; after a command: the command's", 15);
  add_entry(lines, terminal, "--version", "show the version", 15);
  add_examples(lines, terminal,
               {{"run deadlock/two-lock", "A deadlock happens, is found, is broken and is explained."},
                {"run deadlock/two-lock --store postgres", "The same on a real PostgreSQL, private to the run."},
                {"list", "Everything there is to see."}});
  add_heading(lines, "Exit codes");
  for (const CodeMeaning& each : exit_codes()) add_entry(lines, terminal, std::to_string(each.code), each.meaning, 7);
  return str(lines, terminal);
}

std::string command_help(const CommandSpec& command, const Terminal& terminal) {
  std::vector<Line> lines;
  Line title;
  title.add(Style::heading, "lockstep " + command.name);
  const std::size_t at = title.columns() + columns(terminal.clean(" — "));
  const auto summary =
      wrapped(terminal.clean(command.summary), prose_width(terminal) - std::min(prose_width(terminal) - 20, at));
  lines.push_back(std::move(title.add(terminal.clean(" — ")).add(summary.front())));
  for (std::size_t i = 1; i < summary.size(); ++i) lines.push_back(Line().to(at).add(summary[i]));
  add_heading(lines, "Usage");
  lines.emplace_back("  " + usage_line(command));
  for (const std::string& paragraph : paragraphs(command.description)) {
    lines.emplace_back();
    add_text(lines, terminal, paragraph);
  }
  std::size_t text_at = 0;
  for (const OptionSpec& option : all_options(command)) {
    text_at = std::max(text_at, std::min<std::size_t>(columns(option_heading(option)) + 4, 26));
  }
  if (!command.arguments.empty()) {
    add_heading(lines, "Arguments");
    for (const ArgumentSpec& argument : command.arguments) {
      add_entry(lines, terminal, argument.name, argument.help, text_at);
    }
  }
  add_heading(lines, "Options");
  for (const OptionSpec& option : all_options(command)) {
    add_entry(lines, terminal, option_heading(option), option.help, text_at);
  }
  add_examples(lines, terminal, command.examples);
  return str(lines, terminal);
}

}  // namespace lockstep::cli
