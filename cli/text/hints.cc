// hints.cc: one row a command; a row counts once its command is in the tree.
#include "cli/text/hints.h"

#include <array>

#include "cli/args/tree.h"

namespace lockstep::cli {
namespace {

constexpr std::array kCommands = {"replay", "debug", "report"};

}  // namespace

std::vector<Hint> hints_for(const std::string& id) {
  std::vector<Hint> hints;
  for (const char* name : kCommands) {
    if (command_named(name) != nullptr) hints.push_back({name, std::string("lockstep ") + name + " " + id});
  }
  return hints;
}

}  // namespace lockstep::cli
