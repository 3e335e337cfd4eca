// check_text.cc: tables that fit the terminal.
#include "cli/text/check_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "cli/args/names.h"
#include "cli/text/text.h"
#include "reports/junit.h"

namespace lockstep::cli {
namespace {

/// A protocol as a head of several lines: "2pl", "-no-wait".
std::vector<std::string> head_words(const std::string& protocol) {
  std::vector<std::string> words;
  std::string rest = protocol;
  constexpr std::size_t kWordMost = 9;
  while (rest.size() > kWordMost) {
    std::size_t dash = rest.rfind('-', kWordMost);
    if (dash == std::string::npos || dash == 0) dash = rest.find('-', 1);
    if (dash == std::string::npos) break;
    words.push_back(rest.substr(0, dash));
    rest.erase(0, dash);
  }
  words.push_back(rest);
  return words;
}

/// How closely a table is set, from the airy to the tight.
struct Setting {
  std::size_t gap;
  bool tight_sign;   ///< "✗clean" for "✗ clean"
  bool short_words;  ///< "dead" for "deadlock"
};
constexpr std::array kSettings = {Setting{2, false, false}, Setting{1, true, false}, Setting{1, true, true}};

std::string cell_text(const Cell& cell, const Terminal& terminal, const Setting& setting) {
  if (cell.state == Cell::State::waiting) return "?";
  std::string word = cell.state == Cell::State::failed ? "failed"
                     : cell.how.empty()                ? std::string(name_of(cell.verdict))
                                                       : terminal.clean(cell.how);
  if (setting.short_words && word.size() > 5) word.resize(4);
  if (cell.as_expected()) return word;
  return terminal.glyphs().fault + std::string(setting.tight_sign ? "" : " ") + word;
}

Style cell_style(const Cell& cell) {
  if (cell.state == Cell::State::waiting) return Style::dim;
  if (!cell.as_expected()) return Style::fault;
  return cell.verdict == record::Verdict::clean || cell.verdict == record::Verdict::avoided ? Style::good
                                                                                            : Style::plain;
}

struct Column {
  std::string protocol;
  std::vector<std::string> head;
  std::size_t width = 0;  ///< in the setting that was chosen
};

struct Row {
  const Scenario* scenario;
  std::string pattern;
  std::map<std::string, const Cell*> cells;  ///< by protocol
};

class Table {
 public:
  Table(std::span<const Cell> cells, const Terminal& terminal) : terminal_(terminal), first_(cells.front()) {
    for (const Cell& cell : cells) add(cell);
    for (const Row& row : rows_) names_width_ = std::max(names_width_, columns(row.pattern) + kIndent);
    names_width_ = std::min(names_width_, terminal.width / 3);
  }

  std::vector<Line> lines() {
    std::size_t parts = 1;
    for (const Setting& setting : kSettings) {
      if (choose(setting) <= terminal_.width) return whole(parts);
    }
    // Not even tightly set: several tables of about as many protocols each.
    choose(kSettings[1]);
    while (!fits(++parts) && parts < columns_.size()) {
    }
    return whole(parts);
  }

 private:
  static constexpr std::size_t kIndent = 3;

  void add(const Cell& cell) {
    const auto column = std::find_if(columns_.begin(), columns_.end(),
                                     [&cell](const Column& c) { return c.protocol == cell.protocol; });
    if (column == columns_.end()) {
      columns_.push_back({cell.protocol, head_words(cell.protocol == record::kNoProtocol ? "verdict" : cell.protocol)});
    }
    if (rows_.empty() || rows_.back().scenario != cell.scenario || rows_.back().pattern != cell.pattern) {
      rows_.push_back({cell.scenario, cell.pattern, {}});
    }
    rows_.back().cells[cell.protocol] = &cell;
  }

  /// Sets the widths; gives that of the whole table.
  std::size_t choose(const Setting& setting) {
    setting_ = setting;
    std::size_t total = names_width_;
    for (Column& column : columns_) {
      column.width = 0;
      for (const std::string& word : column.head) column.width = std::max(column.width, word.size());
      for (const Row& row : rows_) {
        const auto cell = row.cells.find(column.protocol);
        if (cell == row.cells.end()) continue;
        column.width = std::max(column.width, columns(cell_text(*cell->second, terminal_, setting_)));
      }
      total += setting_.gap + column.width;
    }
    return total;
  }

  std::size_t begin_of(std::size_t part, std::size_t parts) const { return part * columns_.size() / parts; }

  bool fits(std::size_t parts) const {
    for (std::size_t p = 0; p < parts; ++p) {
      std::size_t width = names_width_;
      for (std::size_t c = begin_of(p, parts); c < begin_of(p + 1, parts); ++c)
        width += setting_.gap + columns_[c].width;
      if (width > terminal_.width) return false;
    }
    return true;
  }

  std::vector<Line> whole(std::size_t parts) {
    for (std::size_t p = 0; p < parts; ++p) {
      if (p > 0) lines_.emplace_back();
      part(begin_of(p, parts), begin_of(p + 1, parts));
    }
    return std::move(lines_);
  }

  void part(std::size_t begin, std::size_t end) {
    std::size_t height = 0;
    for (std::size_t c = begin; c < end; ++c) height = std::max(height, columns_[c].head.size());
    for (std::size_t h = 0; h < height; ++h) {
      Line line;
      if (h + 1 == height) {
        line.add(" ").add(Style::heading, store_title(first_.store)).add(Style::dim, " " + first_.executor);
      }
      std::size_t at = names_width_;
      for (std::size_t c = begin; c < end; ++c) {
        const std::size_t skipped = height - columns_[c].head.size();
        if (h >= skipped) line.to(at + setting_.gap).add(Style::heading, columns_[c].head[h - skipped]);
        at += setting_.gap + columns_[c].width;
      }
      lines_.push_back(std::move(line));
    }
    const Scenario* scenario = nullptr;
    for (const Row& row : rows_) {
      const bool any = std::any_of(columns_.begin() + static_cast<std::ptrdiff_t>(begin),
                                   columns_.begin() + static_cast<std::ptrdiff_t>(end),
                                   [&row](const Column& c) { return row.cells.count(c.protocol) > 0; });
      if (!any) continue;
      if (scenario != row.scenario)
        lines_.push_back(Line().add(" ").add(Style::bold, terminal_.clean(row.scenario->name)));
      scenario = row.scenario;
      Line line;
      line.to(kIndent).add(terminal_.cut(terminal_.clean(row.pattern), names_width_ - kIndent));
      std::size_t at = names_width_;
      for (std::size_t c = begin; c < end; ++c) {
        if (const auto cell = row.cells.find(columns_[c].protocol); cell != row.cells.end()) {
          line.to(at + setting_.gap).add(cell_style(*cell->second), cell_text(*cell->second, terminal_, setting_));
        }
        at += setting_.gap + columns_[c].width;
      }
      lines_.push_back(std::move(line));
    }
  }

  const Terminal& terminal_;
  const Cell& first_;
  std::size_t names_width_ = 14;
  Setting setting_ = kSettings[0];
  std::vector<Column> columns_;
  std::vector<Row> rows_;
  std::vector<Line> lines_;
};

std::string difference(const Cell& cell) {
  if (cell.as_expected() && cell.misleads())
    return fmt::format("was {} as expected, and the fix that it names does not mend", name_of(cell.verdict));
  if (cell.is_program_error) return "a mistake in the scenario itself";
  if (!cell.expected) return "could not run";
  return cell.state == Cell::State::failed
             ? fmt::format("expected {}, could not run", name_of(*cell.expected))
             : fmt::format("expected {}, was {}", name_of(*cell.expected), name_of(cell.verdict));
}

reports::JunitCase junit_case(const Cell& cell) {
  using Status = reports::JunitCase::Status;
  reports::JunitCase one{.scenario = cell.scenario->name,
                         .name = cell.store + " " + cell.protocol + " " + cell.pattern,
                         .seconds = cell.wall_ms / 1000};
  if (cell.state == Cell::State::waiting) {
    one.status = Status::skipped;
    one.message = cell.summary;
  } else if (cell.differs()) {
    one.status = Status::failed;
    one.message = difference(cell);
    one.lines = cell.as_expected() ? std::vector<std::string>{cell.fix_summary, cell.fix_command}
                                   : std::vector<std::string>{cell.summary, cell.command};
  }
  return one;
}

}  // namespace

std::string check_table(std::span<const Cell> cells, const Terminal& terminal) {
  return cells.empty() ? std::string() : str(Table(cells, terminal).lines(), terminal);
}

std::string check_failures(std::span<const Cell> cells, const Terminal& terminal) {
  std::vector<Line> lines;
  for (const Cell& cell : cells) {
    if (!cell.differs()) continue;
    const std::string where = cell.store == record::kNoStore ? "in-process" : cell.store + " " + cell.protocol;
    Line line;
    line.add(" ").add(Style::fault, terminal.glyphs().fault).add(" ");
    line.add(Style::bold, terminal.clean(fmt::format("{} {}", cell.scenario->name, cell.pattern)));
    line.add("  " + terminal.clean(where + " " + cell.executor));
    lines.push_back(std::move(line));
    const bool misleads = cell.as_expected();
    const std::string& summary = misleads ? cell.fix_summary : cell.summary;
    const std::string why = difference(cell) + (summary.empty() ? "" : ": " + summary);
    for (const std::string& text : wrapped(terminal.clean(why), terminal.width - 6))
      lines.push_back(Line().to(5).add(text));
    lines.push_back(Line().to(5).add(Style::bold, terminal.clean(misleads ? cell.fix_command : cell.command)));
  }
  return str(lines, terminal);
}

std::string check_junit(std::span<const Cell> cells) {
  std::vector<reports::JunitSuite> suites;
  for (const Cell& cell : cells) {
    const std::string name = "lockstep." + store_title(cell.store) + "." + cell.executor;
    if (suites.empty() || suites.back().name != name) suites.push_back({.name = name});
    suites.back().cases.push_back(junit_case(cell));
  }
  return reports::junit_document("lockstep check", suites);
}

}  // namespace lockstep::cli
