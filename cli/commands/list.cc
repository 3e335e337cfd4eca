// list.cc: `lockstep list`: one line a scenario; or the stores, or their protocols.
#include <fmt/format.h>

#include <algorithm>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/json.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// "all", or their names.
std::string stores_of(const Scenario& scenario) {
  const std::vector<std::string> stores = scenario.stores();
  if (stores.size() > 1 && stores.size() == store_names().size()) return "all";
  std::string text;
  for (const std::string& store : stores) text += (text.empty() ? "" : " ") + store_title(store);
  return text;
}

std::string scenarios_text(const std::vector<const Scenario*>& scenarios, const Terminal& terminal) {
  std::size_t name_width = 8, stores_width = 6;
  for (const Scenario* scenario : scenarios) {
    name_width = std::max(name_width, columns(scenario->name));
    stores_width = std::max(stores_width, columns(stores_of(*scenario)));
  }
  const std::size_t title_at = name_width + stores_width + 4;
  constexpr std::size_t kTitleLeast = 24;
  const bool below = title_at + kTitleLeast > terminal.width;
  std::vector<Line> lines;
  for (const Scenario* scenario : scenarios) {
    Line line;
    line.add(Style::bold, scenario->name).to(name_width + 2).add(Style::dim, stores_of(*scenario));
    const std::string title = terminal.clean(scenario->title());
    if (terminal.piped) {
      lines.push_back(std::move(line.to(title_at).add(title)));
      continue;
    }
    if (below) {
      lines.push_back(std::move(line));
      line = Line();
    }
    const std::size_t at = below ? 4 : title_at;
    for (const std::string& part : wrapped(title, terminal.width - at)) {
      lines.push_back(std::move(line.to(at).add(part)));
      line = Line();
    }
  }
  return str(lines, terminal);
}

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
  program.out.write(program.json ? list_json(scenarios) : scenarios_text(scenarios, terminal));
  return kAsExpected;
}

}  // namespace

CommandSpec list_command() {
  return {
      .name = "list",
      .summary = "the scenarios: name, stores, what each shows",
      .description = "Prints one line a scenario. In-process scenarios use locks of the program itself and no store.",
      .arguments = {{"THEME", "only this theme (or this one scenario)", false, Names::theme}},
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
