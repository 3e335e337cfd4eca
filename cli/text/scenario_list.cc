// scenario_list.cc: beside each other where there is room, else the title below.
#include "cli/text/scenario_list.h"

#include <algorithm>

#include "cli/args/names.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// "all", "all but" those that are missing where that is shorter for many, or their names. In so many columns at most,
/// with "+2" for the names that have no room.
std::string stores_of(const Scenario& scenario, std::size_t width) {
  const std::vector<std::string> stores = scenario.stores(), all = store_names();
  if (stores.size() > 1 && stores.size() == all.size()) return "all";
  std::string text, others = "all but", first;
  for (const std::string& store : stores) text += (text.empty() ? "" : " ") + store_title(store);
  for (const std::string& store : all) {
    if (std::find(stores.begin(), stores.end(), store) == stores.end()) others += " " + store_title(store);
  }
  constexpr std::size_t kMany = 4, kMoreTakes = 3;
  if (stores.size() >= kMany && others.size() < text.size() && others.size() <= width) return others;
  if (text.size() <= width) return text;
  std::size_t shown = 0;
  for (; shown < stores.size(); ++shown) {
    const std::string title = store_title(stores[shown]);
    if (shown > 0 && first.size() + 1 + title.size() + kMoreTakes > width) break;
    first += (first.empty() ? "" : " ") + title;
  }
  return shown == stores.size() ? first : first + " +" + std::to_string(stores.size() - shown);
}

}  // namespace

std::string scenario_list(const std::vector<const Scenario*>& scenarios, const Terminal& terminal) {
  // A program that reads the list has all names.
  constexpr std::size_t kStoresMost = 22;
  const std::size_t most = terminal.piped ? std::string::npos : kStoresMost;
  std::size_t name_width = 8, stores_width = 6;
  for (const Scenario* scenario : scenarios) {
    name_width = std::max(name_width, columns(scenario->name));
    stores_width = std::max(stores_width, columns(stores_of(*scenario, most)));
  }
  const std::size_t title_at = name_width + stores_width + 4;
  constexpr std::size_t kTitleLeast = 24;
  const bool below = title_at + kTitleLeast > terminal.width;
  std::vector<Line> lines;
  for (const Scenario* scenario : scenarios) {
    Line line;
    line.add(Style::bold, scenario->name).to(name_width + 2).add(Style::dim, stores_of(*scenario, most));
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
