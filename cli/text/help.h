// help.h: the help texts, made from the command tree.
#pragma once

#include <string>

#include "cli/args/tree.h"
#include "cli/text/terminal.h"

namespace lockstep::cli {

std::string program_help(const Terminal& terminal);
std::string command_help(const CommandSpec& command, const Terminal& terminal);

/// "lockstep run NAME [--store NAME] …" without the options' list: "lockstep run NAME [options]".
std::string usage_line(const CommandSpec& command);
/// "--store NAME", "-h, --help".
std::string option_heading(const OptionSpec& option);
/// The paragraphs of a description.
std::vector<std::string> paragraphs(const std::string& text);

}  // namespace lockstep::cli
