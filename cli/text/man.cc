// man.cc: lockstep(1).
#include "cli/text/man.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/args/tree.h"
#include "cli/args/version.h"
#include "cli/text/help.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// Text as roff takes it: nothing in it is a request, a hyphen stays a minus.
std::string roff(const std::string& text) {
  std::string safe;
  for (const char c : to_ascii(neutral(text))) {
    if (c == '\\') {
      safe += "\\e";
    } else if (c == '-') {
      safe += "\\-";
    } else if (safe.empty() && (c == '.' || c == '\'')) {
      safe += std::string("\\&") + c;
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string quoted_argument(std::string text) {
  std::string safe;
  for (const char c : roff(text)) safe += c == '"' ? std::string("\\(dq") : std::string(1, c);
  return "\"" + safe + "\"";
}

void add_tagged(std::string& page, const std::string& term, const std::string& text) {
  page += fmt::format(".TP\n.B {}\n{}\n", roff(term), roff(text));
}

void add_examples(std::string& page, const std::vector<Example>& examples) {
  for (const Example& example : examples) {
    page += fmt::format(".TP\n.B {}\n{}\n", roff("lockstep " + example.command), roff(example.what));
  }
}

}  // namespace

std::string man_page() {
  std::string page = fmt::format(".TH LOCKSTEP 1 \"\" \"lockstep {}\" \"User Commands\"\n", kVersion);
  page += ".SH NAME\nlockstep \\- see concurrency go wrong, and right, step by step\n";
  page += ".SH SYNOPSIS\n.B lockstep\n.I COMMAND\n[\\fIarguments\\fR] [\\fIoptions\\fR]\n";
  page += ".SH DESCRIPTION\n";
  page +=
      roff(
          "Runs named scenarios of deadlock, lost updates, write skew and their kin against an in-memory "
          "transactional store, SQLite and a real PostgreSQL; shows who held what and who waited for whom, and says "
          "why and what mends it. Results go to standard output, everything else to standard error.") +
      "\n.SH COMMANDS\n";
  for (const CommandSpec& command : commands()) {
    if (command.hidden) continue;
    page += fmt::format(".SS {}\n", quoted_argument(usage_line(command)));
    std::string summary = command.summary;
    summary[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(summary[0])));
    page += roff(summary) + ".\n";
    for (const std::string& paragraph : paragraphs(command.description)) page += ".PP\n" + roff(paragraph) + "\n";
    for (const ArgumentSpec& argument : command.arguments) add_tagged(page, argument.name, argument.help);
    for (const OptionSpec& option : command.options) add_tagged(page, option_heading(option), option.help);
  }
  page += ".SH OPTIONS OF EVERY COMMAND\n";
  for (const OptionSpec& option : common_options()) add_tagged(page, option_heading(option), option.help);
  page += ".SH \"EXIT STATUS\"\n";
  for (const CodeMeaning& each : exit_codes()) add_tagged(page, std::to_string(each.code), each.meaning);
  page += ".SH ENVIRONMENT\n";
  for (const Variable& variable : environment_variables()) add_tagged(page, variable.name, variable.meaning);
  page += ".SH EXAMPLES\n";
  for (const CommandSpec& command : commands()) {
    if (!command.hidden) add_examples(page, command.examples);
  }
  return page;
}

}  // namespace lockstep::cli
