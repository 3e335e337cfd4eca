// figures_html.cc: rows and columns under the names that the measurement gave them.
#include "reports/figures_html.h"

#include "engine/record/figures.h"
#include "reports/escape.h"
#include "reports/page.h"

namespace lockstep::reports {

std::string figures_html(const record::Run& run, const std::string& id, int level) {
  const record::Figures figures = record::figures_of(run);
  if (figures.rows.empty()) return {};
  Table all{.caption = "Measured in this run; nothing of it was judged",
            .columns = {{"measured"}},
            .rows = {},
            .look = "cells"};
  for (const std::string& column : figures.columns) all.columns.push_back({column, true});
  for (const std::string& row : figures.rows) {
    std::vector<Cell>& cells = all.rows.emplace_back(std::vector<Cell>{row});
    for (const std::string& column : figures.columns) cells.emplace_back(figures.at(row, column));
  }
  return section(id + "-fig", "Figures", table(all), level);
}

std::string figures_markdown(const record::Run& run) {
  const record::Figures figures = record::figures_of(run);
  if (figures.rows.empty()) return {};
  std::string head = "| measured |", rule = "| --- |", body;
  for (const std::string& column : figures.columns) {
    head += " " + markdown(column) + " |";
    rule += " ---: |";
  }
  for (const std::string& row : figures.rows) {
    body += "| " + markdown(row) + " |";
    for (const std::string& column : figures.columns) body += " " + markdown(figures.at(row, column)) + " |";
    body += "\n";
  }
  return head + "\n" + rule + "\n" + body + "\n";
}

}  // namespace lockstep::reports
