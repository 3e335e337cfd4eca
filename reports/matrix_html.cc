// matrix_html.cc: arranges cells into tables.
#include "reports/matrix_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

/// What a cell shows beside its words: how it came out, in one of a few kinds.
struct Kind {
  const char* look;  ///< class
  const char* sign;
  const char* name;
  const char* meaning;
};
constexpr Kind kAnomaly = {"mx", "✗", "anomaly", "what must never happen has happened: a proof"};
constexpr Kind kWaits = {"mw", "▒", "waits", "an actor waited until the other one had ended"};
constexpr Kind kGivenUp = {"ma", "↻", "given up", "a transaction was given up by the store; it has to be run again"};
constexpr Kind kRefused = {"mc", "■", "constraint", "a constraint refused the write"};
constexpr Kind kFine = {"mg", "✓", "nothing went wrong",
                        "snapshot: all reads saw one moment; zero rows: a conditional write touched none"};
constexpr Kind kFailed = {"mf", "?", "not run", "it could not be run here"};
constexpr std::array kKindsOfCells = {kAnomaly, kWaits, kGivenUp, kRefused, kFine, kFailed};

const Kind& kind_of(const MatrixCell& cell) {
  if (!cell.verdict) return kFailed;
  if (cell.verdict == record::Verdict::anomaly) return kAnomaly;
  if (cell.how == "waits") return kWaits;
  if (cell.how == "constraint") return kRefused;
  if (cell.how == "snapshot" || cell.how == "zero rows") return kFine;
  const bool good = cell.verdict == record::Verdict::clean || cell.verdict == record::Verdict::avoided;
  return good ? kFine : kGivenUp;
}

std::string anchor_of(const std::string& id, const std::string& run) { return id + "-run-" + run; }

/// Where a cell's link leads: the page of its run, or the line of this page that has its command; empty: it has no run.
std::string target_of(const MatrixCell& cell, const std::string& id, const Pages& pages) {
  if (cell.run.empty()) return {};
  const auto page = pages.find(cell.run);
  return page == pages.end() ? "#" + anchor_of(id, cell.run) : page->second;
}

std::string linked(const std::string& inner, const std::string& target, const std::string& hover) {
  if (target.empty()) return fmt::format("<span title=\"{}\">{}</span>", html(hover), inner);
  return fmt::format("<a href=\"{}\" title=\"{}\">{}</a>", html(target), html(hover), inner);
}

Cell cell_of(const MatrixCell& cell, const std::string& id, const Pages& pages) {
  const Kind& kind = kind_of(cell);
  const std::string how = cell.how == kind.sign ? kind.name : cell.how;
  std::string hover = fmt::format("{} under {}: {}, {}.", cell.title, cell.protocol, kind.name, kind.meaning);
  if (!cell.summary.empty()) hover += " This run: " + cell.summary + ".";
  if (!cell.as_expected())
    hover += cell.expected ? fmt::format(" Not expected here: {} was.", name_of(*cell.expected)) : "";
  std::string text = fmt::format("<span class=\"sign1\">{}</span>{}", kind.sign, html(how));
  if (!cell.as_expected()) text = "<b>≠ " + text + "</b>";
  Cell shown{Html{linked(text, target_of(cell, id, pages), hover)}};
  shown.look = kind.look;
  shown.sorts_as = std::string(kind.look) + " " + how;
  return shown;
}

std::string grid_html(const Grid& grid, const std::string& section_id, const std::string& id, int level,
                      const Pages& pages) {
  Table all{.caption = fmt::format("{}: how each scenario came out under each protocol; each cell leads to its run",
                                   title_of(grid)),
            .columns = {{"scenario"}},
            .rows = {},
            .sortable = false,
            .look = "matrix stack"};
  for (const std::string& protocol : grid.protocols) all.columns.push_back({protocol});
  for (const Grid::Row& row : grid.rows) {
    std::vector<Cell>& cells = all.rows.emplace_back();
    cells.emplace_back(Html{html(row.scenario) + " <span class=\"dim\">" + html(row.pattern) + "</span>"});
    for (std::size_t i = 0; i < grid.protocols.size(); ++i) {
      const bool is_there = i < row.cells.size() && row.cells[i] != nullptr;
      cells.push_back(is_there ? cell_of(*row.cells[i], id, pages) : Cell("–"));
    }
  }
  return section(section_id, title_of(grid), table(all), level);
}

/// What each protocol lets through, by name.
std::string losses_html(const std::vector<Grid>& grids, const std::string& id, const Pages& pages) {
  Table all{.caption = "What is lost at each level: the scenarios that end in an anomaly there",
            .columns = {{"store"}, {"protocol"}, {"anomalies", true}, {"of", true}, {"which"}},
            .rows = {},
            .look = "losses stack"};
  for (const Grid& grid : grids) {
    for (std::size_t i = 0; i < grid.protocols.size(); ++i) {
      std::uint64_t anomalies = 0, cells = 0;
      std::string which;
      for (const Grid::Row& row : grid.rows) {
        if (i >= row.cells.size() || row.cells[i] == nullptr) continue;
        const MatrixCell& cell = *row.cells[i];
        ++cells;
        if (cell.verdict != record::Verdict::anomaly) continue;
        ++anomalies;
        const std::string name = row.scenario + (row.pattern == "plain" ? "" : " " + row.pattern);
        which += (which.empty() ? "" : ", ") + linked(html(name), target_of(cell, id, pages), cell.title);
      }
      all.rows.push_back({title_of(grid), grid.protocols[i], Cell::number(anomalies), Cell::number(cells),
                          anomalies == 0 ? Cell("nothing was lost in these orders of steps") : Cell(Html{which})});
      all.rows.back()[4].look = anomalies == 0 ? "good" : "bad";
    }
  }
  return table(all);
}

std::string legend() {
  std::string text = "<ul class=\"legend\">";
  for (const Kind& kind : kKindsOfCells) {
    text += fmt::format("<li><span class=\"chip {}\"><span class=\"sign1\">{}</span>{}</span> {}</li>", kind.look,
                        kind.sign, kind.name, kind.meaning);
  }
  return text +
         "<li><span class=\"chip\"><b>≠</b></span> not what the scenario expects there</li></ul>\n<p>Only ✗ is a "
         "proof: the "
         "others are what one order of steps has shown (<code>lockstep explore</code> looks at all). Codes are those "
         "of the "
         "store: 40001 serialization failure, 40P01 deadlock, BUSY the database is locked by another writer.</p>\n";
}

/// Every run with its command, for cells that have no page of their own.
std::string runs_html(const std::vector<MatrixCell>& cells, const std::string& id, int level, const Pages& pages) {
  Table all{.caption = "Every cell can be seen again, step for step",
            .columns = {{"scenario"}, {"where"}, {"how"}, {"command"}},
            .rows = {}};
  for (const MatrixCell& cell : cells) {
    if (cell.run.empty() || pages.contains(cell.run)) continue;
    const Kind& kind = kind_of(cell);
    all.rows.push_back({cell.scenario, fmt::format("{} {} {}", cell.store, cell.protocol, cell.pattern),
                        Html{fmt::format("<span class=\"sign1\">{}</span>{}", kind.sign,
                                         html(cell.how == kind.sign ? kind.name : cell.how))},
                        Html{fmt::format("<code id=\"{}\">lockstep replay {}</code>", html(anchor_of(id, cell.run)),
                                         html(cell.run.substr(0, kIdShown)))}});
  }
  if (all.rows.empty()) return {};
  return section(
      id + "-mr", "The runs",
      "<p>A page for each: <code>lockstep report ID --cells</code> with the id of this matrix.</p>\n" + table(all),
      level);
}

}  // namespace

std::string matrix_outcome(const record::Run& run) {
  const auto document = run.documents.find(record::kMatrixDocument);
  if (document == run.documents.end()) return {};
  const auto cells = record::matrix_of(document->second);
  if (!cells) return {};
  const auto anomalies = std::count_if(cells->begin(), cells->end(),
                                       [](const MatrixCell& cell) { return cell.verdict == record::Verdict::anomaly; });
  return fmt::format("{} in {}", counted(static_cast<unsigned long long>(anomalies), "anomaly", "anomalies"),
                     counted(cells->size(), "cell", "cells"));
}

std::string matrix_html(const record::Run& run, const std::string& id, int level, const Pages& pages) {
  const auto document = run.documents.find(record::kMatrixDocument);
  if (document == run.documents.end()) return {};
  const auto cells = record::matrix_of(document->second);
  if (!cells) return "<p class=\"warn\">" + html(cells.error().message) + "</p>\n";
  const std::vector<Grid> grids = grids_of(*cells);
  std::string text = section(id + "-ml", "How to read it", legend(), level);
  text += section(id + "-m", "What do I lose at this level?", losses_html(grids, id, pages), level);
  for (std::size_t i = 0; i < grids.size(); ++i)
    text += grid_html(grids[i], fmt::format("{}-m{}", id, i + 1), id, level, pages);
  return text + runs_html(*cells, id, level, pages);
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
