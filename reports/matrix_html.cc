// matrix_html.cc: arranges cells into tables.
#include "reports/matrix_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/record/matrix.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

using record::MatrixCell;

constexpr std::size_t kIdShown = 8;

/// The cells of one store and executor, as rows and columns.
struct Grid {
  std::string store, executor;
  std::vector<std::string> protocols;
  struct Row {
    std::string scenario, pattern;
    std::vector<const MatrixCell*> cells;  ///< by protocol; nullptr: none
  };
  std::vector<Row> rows;
};

template <class Items, class Match>
std::size_t place(Items& items, const Match& match, typename Items::value_type fresh) {
  const auto found = std::find_if(items.begin(), items.end(), match);
  if (found != items.end()) return static_cast<std::size_t>(found - items.begin());
  items.push_back(std::move(fresh));
  return items.size() - 1;
}

std::vector<Grid> grids_of(const std::vector<MatrixCell>& cells) {
  std::vector<Grid> grids;
  for (const MatrixCell& cell : cells) {
    Grid& grid = grids[place(
        grids, [&](const Grid& g) { return g.store == cell.store && g.executor == cell.executor; },
        Grid{cell.store, cell.executor, {}, {}})];
    const std::size_t column =
        place(grid.protocols, [&](const std::string& name) { return name == cell.protocol; }, cell.protocol);
    Grid::Row& row = grid.rows[place(
        grid.rows, [&](const Grid::Row& r) { return r.scenario == cell.scenario && r.pattern == cell.pattern; },
        Grid::Row{cell.scenario, cell.pattern, {}})];
    if (row.cells.size() <= column) row.cells.resize(column + 1, nullptr);
    row.cells[column] = &cell;
  }
  return grids;
}

std::string title_of(const Grid& grid) {
  return (grid.store == record::kNoStore ? "in-process" : grid.store) +
         (grid.executor == "threads" ? "" : ", " + grid.executor);
}

Cell cell_of(const MatrixCell& cell) {
  std::string text = fmt::format("<span title=\"{}\">{}</span>", html(cell.summary), html(cell.how));
  if (!cell.as_expected()) text = "<b>≠ " + text + "</b>";
  if (!cell.run.empty()) text += fmt::format("<br><code class=\"dim\">{}</code>", html(cell.run.substr(0, kIdShown)));
  Cell shown{Html{std::move(text)}};
  if (cell.verdict == record::Verdict::anomaly || !cell.as_expected()) shown.look = "no";
  return shown;
}

std::string grid_html(const Grid& grid, const std::string& id, int level) {
  Table all{.caption = fmt::format("{}: how each scenario came out under each protocol, and its run", title_of(grid)),
            .columns = {{"scenario"}, {"pattern"}},
            .rows = {},
            .look = "cells"};
  for (const std::string& protocol : grid.protocols) all.columns.push_back({protocol});
  for (const Grid::Row& row : grid.rows) {
    std::vector<Cell>& cells = all.rows.emplace_back(std::vector<Cell>{row.scenario, row.pattern});
    for (std::size_t i = 0; i < grid.protocols.size(); ++i) {
      cells.push_back(i < row.cells.size() && row.cells[i] != nullptr ? cell_of(*row.cells[i]) : Cell("–"));
    }
  }
  return section(id, title_of(grid), table(all), level);
}

/// How many anomalies each protocol lets through.
std::string summary_html(const std::vector<Grid>& grids) {
  Table all{
      .caption = "How many of the scenarios end in an anomaly",
      .columns = {{"store"}, {"protocol"}, {"anomalies", true}, {"aborted, refused or waited", true}, {"of", true}},
      .rows = {}};
  for (const Grid& grid : grids) {
    for (std::size_t i = 0; i < grid.protocols.size(); ++i) {
      std::uint64_t anomalies = 0, cells = 0;
      for (const Grid::Row& row : grid.rows) {
        if (i >= row.cells.size() || row.cells[i] == nullptr) continue;
        ++cells;
        anomalies += row.cells[i]->verdict == record::Verdict::anomaly ? 1 : 0;
      }
      all.rows.push_back({title_of(grid), grid.protocols[i], Cell::number(anomalies), Cell::number(cells - anomalies),
                          Cell::number(cells)});
    }
  }
  return table(all);
}

}  // namespace

std::string matrix_html(const record::Run& run, const std::string& id, int level) {
  const auto document = run.documents.find(record::kMatrixDocument);
  if (document == run.documents.end()) return {};
  const auto cells = record::matrix_of(document->second);
  if (!cells) return "<p class=\"warn\">" + html(cells.error().message) + "</p>\n";
  const std::vector<Grid> grids = grids_of(*cells);
  std::string text =
      "<p>✗: the anomaly happened, which is a proof. Otherwise: what kept it out in this order of steps: <b>waits</b>, "
      "<b>snapshot</b>, <b>zero rows</b> (a conditional write touched none), <b>constraint</b>, a code of the store "
      "(<b>40001</b> serialization failure, <b>40P01</b> deadlock, <b>BUSY</b>) or a fault of the in-house store. ≠: "
      "not what the "
      "scenario expects. Each cell can be seen again, step for step:</p>\n" +
      command("lockstep replay ID");
  text += section(id + "-m", "Anomalies by protocol", summary_html(grids), level);
  for (std::size_t i = 0; i < grids.size(); ++i) text += grid_html(grids[i], fmt::format("{}-m{}", id, i + 1), level);
  return text;
}

std::string matrix_markdown(const record::Run& run) {
  const auto document = run.documents.find(record::kMatrixDocument);
  if (document == run.documents.end()) return {};
  const auto cells = record::matrix_of(document->second);
  if (!cells) return markdown(cells.error().message) + "\n\n";
  std::string text;
  for (const Grid& grid : grids_of(*cells)) {
    text += fmt::format("**{}**\n\n| scenario | pattern |", markdown(title_of(grid)));
    for (const std::string& protocol : grid.protocols) text += " " + markdown(protocol) + " |";
    text += "\n| --- | --- |";
    for (std::size_t i = 0; i < grid.protocols.size(); ++i) text += " --- |";
    text += "\n";
    for (const Grid::Row& row : grid.rows) {
      text += "| " + markdown(row.scenario) + " | " + markdown(row.pattern) + " |";
      for (std::size_t i = 0; i < grid.protocols.size(); ++i) {
        const MatrixCell* const cell = i < row.cells.size() ? row.cells[i] : nullptr;
        text += cell == nullptr ? " – |" : fmt::format(" {}{} |", cell->as_expected() ? "" : "≠ ", markdown(cell->how));
      }
      text += "\n";
    }
    text += "\n";
  }
  return text;
}

}  // namespace lockstep::reports
