// scenario_list.cc: beside each other where there is room, else the title below.
#include "cli/text/scenario_list.h"

#include <algorithm>

#include "cli/args/names.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// "all", "all but" one where that is short for many, or their names.
std::string stores_of(const Scenario& scenario) {
  const std::vector<std::string> stores = scenario.stores(), all = store_names();
  if (stores.size() > 1 && stores.size() == all.size()) return "all";
  constexpr std::size_t kMany = 4;
  if (stores.size() >= kMany && stores.size() + 1 == all.size()) {
    const auto other = std::find_if(all.begin(), all.end(), [&stores](const std::string& each) {
      return std::find(stores.begin(), stores.end(), each) == stores.end();
    });
    return "all but " + store_title(*other);
  }
  std::string text;
  for (const std::string& store : stores) text += (text.empty() ? "" : " ") + store_title(store);
  return text;
}

}  // namespace

std::string scenario_list(const std::vector<const Scenario*>& scenarios, const Terminal& terminal) {
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

}  // namespace lockstep::cli
