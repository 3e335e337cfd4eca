// figures.cc: rows and columns of what was measured.
#include "cli/figures.h"

#include <algorithm>
#include <map>
#include <string>

#include "cli/text.h"

namespace lockstep::cli {
namespace {

constexpr std::size_t kIndent = 3;
constexpr std::size_t kGap = 2;

struct Table {
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::map<std::pair<std::string, std::string>, std::string> cells;  // by row and column
};

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

Table table_of(const record::Run& run, const Look& look) {
  Table table;
  for (const record::Event& event : run.events) {
    if (event.kind != record::EventKind::figure) continue;
    const std::string row = look.clean(event.object), column = look.clean(event.verb);
    add_once(table.rows, row);
    add_once(table.columns, column);
    table.cells[{row, column}] = look.clean(event.detail);
  }
  return table;
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, columns(text)), ' ') + text;
}

}  // namespace

std::vector<Line> figures(const record::Run& run, const Look& look) {
  const Table table = table_of(run, look);
  std::vector<Line> lines;
  std::size_t row_width = 0;
  for (const std::string& row : table.rows) row_width = std::max(row_width, columns(row));

  for (std::size_t from = 0; from < table.columns.size();) {
    // As many columns as fit.
    std::vector<std::size_t> widths;
    std::size_t used = kIndent + row_width;
    std::size_t to = from;
    for (; to < table.columns.size(); ++to) {
      std::size_t width = columns(table.columns[to]);
      for (const std::string& row : table.rows) {
        if (const auto cell = table.cells.find({row, table.columns[to]}); cell != table.cells.end())
          width = std::max(width, columns(cell->second));
      }
      if (to > from && used + kGap + width > look.width) break;
      used += kGap + width;
      widths.push_back(width);
    }
    lines.emplace_back();
    Line head = Line().to(kIndent + row_width);
    for (std::size_t i = from; i < to; ++i) {
      head.add(std::string(kGap, ' ')).add(Style::heading, right(table.columns[i], widths[i - from]));
    }
    lines.push_back(std::move(head));
    for (const std::string& row : table.rows) {
      Line line = Line().to(kIndent).add(padded(row, row_width));
      for (std::size_t i = from; i < to; ++i) {
        const auto cell = table.cells.find({row, table.columns[i]});
        const std::string text = cell == table.cells.end() ? std::string() : cell->second;
        line.add(std::string(kGap, ' ') + right(text, widths[i - from]));
      }
      lines.push_back(std::move(line));
    }
    from = to;
  }
  if (!lines.empty()) lines.emplace_back();
  return lines;
}

}  // namespace lockstep::cli
