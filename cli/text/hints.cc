// hints.cc: one row a command; a row counts once its command is in the tree.
#include "cli/text/hints.h"

#include <algorithm>
#include <array>

#include "cli/args/command_line.h"
#include "cli/args/tree.h"
#include "engine/run/replay.h"

namespace lockstep::cli {
namespace {

constexpr std::array kCommands = {"replay", "debug", "report"};

}  // namespace

std::vector<Hint> hints_for(const record::Run& run, const std::string& id) {
  std::vector<Hint> hints;
  const auto typed = run.environment.find(kDsnOption);
  for (const char* name : kCommands) {
    const CommandSpec* const command = command_named(name);
    if (command == nullptr) continue;
    const bool takes_dsn = std::any_of(command->options.begin(), command->options.end(),
                                       [](const OptionSpec& option) { return option.name == "dsn"; });
    const std::string dsn =
        takes_dsn && typed != run.environment.end() ? " --dsn " + shell_quoted(typed->second) : std::string();
    hints.push_back({name, std::string("lockstep ") + name + " " + id + dsn});
  }
  return hints;
}

}  // namespace lockstep::cli
