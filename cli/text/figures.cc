// figures.cc: rows and columns of what was measured.
#include "cli/text/figures.h"

#include <algorithm>
#include <string>

#include "cli/text/text.h"
#include "engine/record/figures.h"

namespace lockstep::cli {
namespace {

constexpr std::size_t kIndent = 3;
constexpr std::size_t kGap = 2;

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, columns(text)), ' ') + text;
}

}  // namespace

std::vector<Line> figures(const record::Run& run, const Terminal& terminal) {
  const record::Figures table = record::figures_of(run);
  std::vector<Line> lines;
  std::size_t row_width = 0;
  for (const std::string& row : table.rows) row_width = std::max(row_width, columns(terminal.clean(row)));

  for (std::size_t from = 0; from < table.columns.size();) {
    // As many columns as fit.
    std::vector<std::size_t> widths;
    std::size_t used = kIndent + row_width;
    std::size_t to = from;
    for (; to < table.columns.size(); ++to) {
      std::size_t width = columns(terminal.clean(table.columns[to]));
      for (const std::string& row : table.rows)
        width = std::max(width, columns(terminal.clean(table.at(row, table.columns[to]))));
      if (to > from && used + kGap + width > terminal.width) break;
      used += kGap + width;
      widths.push_back(width);
    }
    lines.emplace_back();
    Line head = Line().to(kIndent + row_width);
    for (std::size_t i = from; i < to; ++i) {
      head.add(std::string(kGap, ' ')).add(Style::heading, right(terminal.clean(table.columns[i]), widths[i - from]));
    }
    lines.push_back(std::move(head));
    for (const std::string& row : table.rows) {
      Line line = Line().to(kIndent).add(padded(terminal.clean(row), row_width));
      for (std::size_t i = from; i < to; ++i) {
        const std::string text = terminal.clean(table.at(row, table.columns[i]));
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
