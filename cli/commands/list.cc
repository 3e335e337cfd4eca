// list.cc: `lockstep list`: one line a scenario; or the stores, or their protocols.
#include <fmt/format.h>

#include <algorithm>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/json.h"
#include "cli/text/scenario_list.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

std::string stores_text(const Terminal& terminal, bool protocols) {
  std::vector<Line> lines;
  for (const BackendKind& kind : backends()) {
    if (protocols && !lines.empty()) lines.emplace_back();
    Line line;
    line.add(Style::bold, std::string(kind.name)).to(12);
    const auto summary = wrapped(terminal.clean(kind.summary), terminal.width - 12);
    for (std::size_t i = 0; i < summary.size(); ++i) {
      lines.push_back(std::move(line.to(12).add(summary[i])));
      line = Line();
    }
    if (!protocols) continue;
    std::size_t width = 0;
    for (const ProtocolTraits& each : kind.protocols) width = std::max(width, columns(each.name));
    for (const ProtocolTraits& each : kind.protocols) {
      Line row;
      row.add("  ").add(Style::bold, each.name);
      for (const std::string& part :
           wrapped(terminal.clean(each.summary), terminal.width - std::min(terminal.width - 20, width + 4))) {
        lines.push_back(std::move(row.to(width + 4).add(part)));
        row = Line();
      }
    }
  }
  return str(lines, terminal);
}

int list(Program& program) {
  const Terminal& terminal = program.terminal;
  if (program.arguments.has("protocols") || program.arguments.has("stores")) {
    program.out.write(program.json ? stores_json(backends())
                                   : stores_text(terminal, program.arguments.has("protocols")));
    return kAsExpected;
  }
  std::string error;
  const auto scenarios = scenarios_named(program.arguments.all("THEME"), error);
  if (!error.empty()) return usage_error(error);
  program.out.write(program.json ? list_json(scenarios) : scenario_list(scenarios, terminal));
  return kAsExpected;
}

}  // namespace

CommandSpec list_command() {
  return {
      .name = "list",
      .summary = "the scenarios: name, stores, what each shows",
      .description = "Prints one line a scenario. In-process scenarios use locks of the program itself and no store.",
      .arguments = {{"THEME", "only this theme (or this one scenario)", false, Names::scenario_or_theme}},
      .options = {{"stores", "", "the stores instead of the scenarios"},
                  {"protocols", "", "the stores with their protocols: how each isolates transactions"},
                  {"json", "", "as JSON"}},
      .examples = {{"list", "Everything there is to see."},
                   {"list deadlock", "One theme."},
                   {"list --protocols", "What --store and --protocol take."}},
      .run = list,
  };
}

}  // namespace lockstep::cli
