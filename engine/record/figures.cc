// figures.cc: from events to a table.
#include "engine/record/figures.h"

#include <algorithm>

namespace lockstep::record {
namespace {

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

}  // namespace

std::string Figures::at(const std::string& row, const std::string& column) const {
  const auto cell = cells.find({row, column});
  return cell == cells.end() ? std::string() : cell->second;
}

Figures figures_of(const Run& run) {
  Figures figures;
  for (const Event& event : run.events) {
    if (event.kind != EventKind::figure) continue;
    add_once(figures.rows, event.object);
    add_once(figures.columns, event.verb);
    figures.cells[{event.object, event.verb}] = event.detail;
  }
  return figures;
}

}  // namespace lockstep::record
