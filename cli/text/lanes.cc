// lanes.cc: lays the rows of a run out: wide lanes where the texts fit, else narrow ones with the text beside them.
#include "cli/text/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/text/text.h"
#include "engine/store/backend.h"
#include "reports/lane_rows.h"

namespace lockstep::cli {
namespace {

using reports::LaneRow;
using reports::LaneState;
using reports::Mark;

constexpr std::size_t kLanesAt = 15;       ///< column of the first lane: after step and ms
constexpr std::size_t kContentUsual = 26;  ///< the columns of a wide lane where there is room
constexpr std::size_t kTextUsual = 34;     ///< only texts up to this length can make lanes narrow
constexpr std::size_t kCutShare = 20;      ///< wide lanes may shorten one text in this many
constexpr std::size_t kRowsMost = 240;     ///< more are folded
constexpr std::size_t kRowsAtEnd = 60;
constexpr std::size_t kStairsMost = 12;  ///< long names below each other, a line each

struct Cell {
  std::string text, status, short_status;
};

struct Sign {
  const char* glyph;
  Style style;
};

Sign sign_of(Mark mark, const Glyphs& g) {
  switch (mark) {
    case Mark::operation:
      return {g.operation, Style::plain};
    case Mark::grant:
      return {g.grant, Style::holds};
    case Mark::wait:
      return {g.waits, Style::waits};
    case Mark::fault:
      return {g.fault, Style::fault};
    case Mark::good:
      return {g.good, Style::good};
    case Mark::retry:
      return {g.retry, Style::bold};
    case Mark::cycle:
      return {g.cycle, Style::cycle};
    case Mark::time:
      return {g.time, Style::dim};
    case Mark::note:
      return {g.separator, Style::dim};
  }
  return {" ", Style::plain};
}

Sign sign_of(LaneState state, const Glyphs& g) {
  switch (state) {
    case LaneState::gone:
      break;
    case LaneState::alive:
      return {g.alive, Style::dim};
    case LaneState::holds:
      return {g.holds, Style::holds};
    case LaneState::waits:
      return {g.waits, Style::waits};
  }
  return {" ", Style::plain};
}

Style text_style(Mark mark) {
  switch (mark) {
    case Mark::wait:
    case Mark::fault:
    case Mark::good:
    case Mark::cycle:
    case Mark::time:
    case Mark::note:
      return sign_of(mark, Terminal{}.glyphs()).style;
    default:
      return Style::plain;
  }
}

class Layout {
 public:
  Layout(const record::Run& run, const Terminal& terminal, const LaneOptions& options)
      : terminal_(terminal),
        options_(options),
        virtual_time_(run.virtual_time),
        rows_(reports::lane_rows(run, holds_until_end)) {
    for (const std::string& name : run.actors) names_.push_back(terminal.clean(name));
    for (const LaneRow& row : rows_) {
      cells_.push_back({terminal.clean(row.text), terminal.clean(row.status), terminal.clean(row.short_status)});
    }
    for (const std::string& name : names_) longest_name_ = std::max(longest_name_, columns(name));
  }

  std::vector<Line> lines() {
    if (rows_.empty() || names_.empty()) return {};
    const bool wide = begin();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!options_.full && rows_.size() > kRowsMost && i == kRowsMost - kRowsAtEnd) {
        const std::size_t skipped = rows_.size() - kRowsMost;
        lines_.push_back(Line().to(kLanesAt).add(
            Style::dim, fmt::format("{} {} more rows (--full shows them)", terminal_.glyphs().dots, skipped)));
        i += skipped;
      }
      add_row(i, wide);
    }
    return std::move(lines_);
  }

  LanesByRow by_row() {
    LanesByRow all;
    if (rows_.empty() || names_.empty()) return all;
    const bool wide = begin();
    all.head = std::exchange(lines_, {});
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      add_row(i, wide);
      all.rows.push_back(std::exchange(lines_, {}));
    }
    return all;
  }

 private:
  /// Chooses how the lanes look, and writes their head. True: wide ones.
  bool begin() {
    const bool wide = choose_wide();
    if (!wide) choose_narrow();
    head(wide);
    return wide;
  }

  void add_row(std::size_t i, bool wide) {
    if (rows_[i].actor == record::kNobody) {
      spanning_row(i, wide);
    } else if (wide) {
      wide_row(i);
    } else {
      narrow_row(i);
    }
  }

  std::size_t natural(std::size_t row, bool shortly) const {
    const std::string& status = shortly ? cells_[row].short_status : cells_[row].status;
    return 2 + columns(cells_[row].text) + (status.empty() ? 0 : 2 + columns(status));
  }

  /// Wide lanes, if nearly every row can be read in them.
  bool choose_wide() {
    const std::size_t lanes = names_.size();
    gap_ = lanes > 2 ? 2 : 3;
    const std::size_t room = terminal_.width > kLanesAt ? terminal_.width - kLanesAt : 0;
    if ((room + gap_) / lanes <= gap_ + 8) return false;
    const std::size_t most = (room + gap_) / lanes - gap_;
    std::size_t full = 0, shortly = 0, told = 0, cut = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].actor == record::kNobody) continue;
      // What stands in the last lane may run on to the edge.
      const bool last = rows_[i].actor + 1 == static_cast<int>(lanes);
      const std::size_t at = (lanes - 1) * (most + gap_);
      ++told;
      if (natural(i, true) > (last ? room - at : most) && rows_[i].mark != Mark::fault) ++cut;
      if ((last && rows_[i].status.empty()) || rows_[i].mark == Mark::fault) continue;
      full = std::max(full, std::min(natural(i, false), kTextUsual));
      shortly = std::max(shortly, std::min(natural(i, true), kTextUsual));
    }
    for (const std::string& name : names_) full = std::max(full, columns(name));
    if (cut * kCutShare > told) return false;
    short_statuses_ = full > most;
    content_ = short_statuses_ ? most : std::min(std::max(full, kContentUsual), most);
    return !short_statuses_ || shortly <= most || cut * kCutShare <= told;
  }

  /// One sign a lane, under its actor's name; two columns a lane without the names; or no lanes.
  void choose_narrow() {
    std::size_t text = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].actor != record::kNobody) text = std::max(text, std::min(natural(i, false), kTextUsual));
    }
    const std::size_t room = terminal_.width - std::min(terminal_.width, kLanesAt + longest_name_ + 1 + text);
    pitch_ = std::max<std::size_t>(longest_name_ + 1, 3);
    if (names_.size() * pitch_ > room) pitch_ = std::min<std::size_t>(pitch_, 6);
    if (names_.size() * pitch_ > room) pitch_ = 3;
    if (names_.size() * pitch_ > room) pitch_ = 2;
    if (names_.size() * pitch_ > room) pitch_ = 0;
    text_at_ = kLanesAt + names_.size() * pitch_ + (pitch_ == 2 ? 1 : 0);
    const std::size_t text_room = terminal_.width - std::min(terminal_.width, text_at_ + longest_name_ + 1);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].actor == record::kNobody || cells_[i].status.empty()) continue;
      status_at_ = std::max(status_at_, std::min(columns(cells_[i].text) + 2, text_room / 2));
    }
    status_at_ += text_at_ + longest_name_ + (pitch_ == 0 ? 3 : 1);
  }

  std::size_t lane_at(std::size_t lane, bool wide) const { return kLanesAt + lane * (wide ? content_ + gap_ : pitch_); }

  /// Names that do not fit over their lanes stand below each other, each at its own lane.
  bool has_long_names(bool wide) const {
    if (names_.size() > kStairsMost || (!wide && pitch_ == 0)) return false;
    return longest_name_ > (wide ? content_ : pitch_ - 1);
  }

  void stairs(bool wide) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      Line line;
      if (i + 1 == names_.size())
        line.add(Style::dim, fmt::format("{:>5}{:>8}", "step", virtual_time_ ? "virt ms" : "ms"));
      for (std::size_t before = 0; before < i; ++before)
        line.to(lane_at(before, wide)).add(Style::dim, terminal_.glyphs().alive);
      const std::size_t at = lane_at(i, wide);
      line.to(at).add(Style::heading, terminal_.cut(names_[i], terminal_.width - std::min(terminal_.width - 8, at)));
      lines_.push_back(std::move(line));
    }
  }

  void head(bool wide) {
    if (has_long_names(wide)) return stairs(wide);
    Line line;
    line.add(Style::dim, fmt::format("{:>5}{:>8}", "step", virtual_time_ ? "virt ms" : "ms")).to(kLanesAt);
    if (wide) {
      for (std::size_t i = 0; i < names_.size(); ++i) {
        line.to(kLanesAt + i * (content_ + gap_)).add(Style::heading, terminal_.cut(names_[i], content_));
      }
    } else if (pitch_ > 2) {
      for (std::size_t i = 0; i < names_.size(); ++i) {
        line.to(kLanesAt + i * pitch_).add(Style::heading, shortened(names_[i], pitch_ - 1, ""));
      }
    }
    lines_.push_back(std::move(line));
  }

  Line start(std::size_t i) const {
    const LaneRow& row = rows_[i];
    Line line;
    line.add(Style::dim, fmt::format("{:>5}", row.step == 0 ? "" : std::to_string(row.step)));
    line.add(Style::dim, fmt::format("{:>8.2f}", static_cast<double>(row.at_ns) / 1e6));
    return std::move(line.to(kLanesAt));
  }

  void wide_row(std::size_t i) {
    const LaneRow& row = rows_[i];
    Line line = start(i);
    std::vector<std::string> rest;
    for (std::size_t lane = 0; lane < names_.size(); ++lane) {
      line.to(kLanesAt + lane * (content_ + gap_));
      if (static_cast<int>(lane) == row.actor) {
        cell(line, i, lane + 1 == names_.size(), rest);
      } else {
        const Sign sign = sign_of(row.lanes[lane], terminal_.glyphs());
        line.add(sign.style, sign.glyph);
      }
    }
    lines_.push_back(std::move(line));
    const std::size_t at = kLanesAt + static_cast<std::size_t>(row.actor) * (content_ + gap_) + 2;
    for (const std::string& text : rest) lines_.push_back(Line().to(at).add(text_style(row.mark), text));
    more_lines(row, at);
  }

  /// What the store says of the row besides. It may run on over the lanes to the right.
  void more_lines(const LaneRow& row, std::size_t at) {
    std::vector<std::string> more;
    if (options_.sql && !row.sql.empty()) more.push_back(row.sql);
    more.insert(more.end(), row.more.begin(), row.more.end());
    for (const std::string& said : more) {
      const auto texts = wrapped(terminal_.clean(said), terminal_.width - std::min(terminal_.width - 16, at));
      for (const std::string& text : texts) lines_.push_back(Line().to(at).add(Style::dim, text));
    }
  }

  void cell(Line& line, std::size_t i, bool last, std::vector<std::string>& rest) const {
    const LaneRow& row = rows_[i];
    const Sign sign = sign_of(row.mark, terminal_.glyphs());
    const std::size_t begin = line.columns();
    const std::size_t most = last ? std::max(content_, terminal_.width - std::min(terminal_.width, begin)) : content_;
    std::string status = short_statuses_ ? cells_[i].short_status : cells_[i].status;
    // The word "granted" may be left out: the sign says it too.
    if (natural(i, false) <= content_) status = cells_[i].status;
    if (natural(i, short_statuses_) > content_) status = cells_[i].short_status;
    const std::size_t end = status.empty() ? most : content_;
    const std::size_t room = end - 2 - (status.empty() ? 0 : std::min(columns(status) + 1, end - 2));
    line.add(sign.style, sign.glyph).add(" ");
    text_in(line, i, room, rest);
    if (status.empty()) return;
    line.to(begin + end - std::min(end, columns(status)))
        .add(row.mark == Mark::wait ? Style::waits : Style::dim, status);
  }

  /// The row's text in `room` columns: shortened, or with `rest` on lines below when everything shall be shown.
  void text_in(Line& line, std::size_t i, std::size_t room, std::vector<std::string>& rest) const {
    const Style style = text_style(rows_[i].mark);
    const std::string& text = cells_[i].text;
    // Why something failed is always told whole.
    const bool whole = options_.full || rows_[i].mark == Mark::fault;
    if (!whole || columns(text) <= room) {
      line.add(style, terminal_.cut(text, room));
      return;
    }
    rest = wrapped(text, std::max<std::size_t>(room, 8));
    line.add(style, rest.front());
    rest.erase(rest.begin());
  }

  void narrow_lanes(Line& line, const LaneRow& row) const {
    for (std::size_t lane = 0; lane < names_.size() && pitch_ > 0; ++lane) {
      line.to(kLanesAt + lane * pitch_);
      const Sign sign = static_cast<int>(lane) == row.actor ? sign_of(row.mark, terminal_.glyphs())
                                                            : sign_of(row.lanes[lane], terminal_.glyphs());
      line.add(sign.style, sign.glyph);
    }
    line.to(text_at_);
  }

  void narrow_row(std::size_t i) {
    const LaneRow& row = rows_[i];
    Line line = start(i);
    narrow_lanes(line, row);
    line.add(Style::bold, padded(names_[static_cast<std::size_t>(row.actor)], longest_name_)).add(" ");
    if (pitch_ == 0) {
      const Sign sign = sign_of(row.mark, terminal_.glyphs());
      line.add(sign.style, sign.glyph).add(" ");
    }
    const std::size_t begin = line.columns();
    const bool tight = begin + natural(i, false) > terminal_.width;
    const std::string& status = tight ? cells_[i].short_status : cells_[i].status;
    const std::size_t room =
        terminal_.width - std::min(terminal_.width, begin + (status.empty() ? 0 : 2 + columns(status)));
    std::vector<std::string> rest;
    text_in(line, i, std::max<std::size_t>(room, 8), rest);
    if (!status.empty()) {
      const std::size_t at = std::max(line.columns() + 2, std::min(status_at_, terminal_.width - columns(status)));
      line.to(at).add(row.mark == Mark::wait ? Style::waits : Style::dim, status);
    }
    lines_.push_back(std::move(line));
    for (const std::string& text : rest) lines_.push_back(Line().to(begin).add(text_style(row.mark), text));
    more_lines(row, begin);
  }

  /// What concerns the run as a whole is written across the lanes.
  void spanning_row(std::size_t i, bool wide) {
    const LaneRow& row = rows_[i];
    const Sign sign = sign_of(row.mark, terminal_.glyphs());
    Line line = start(i);
    if (wide) {
      const Sign first = sign_of(row.lanes.front(), terminal_.glyphs());
      line.add(first.style, first.glyph).add("  ");
    } else {
      narrow_lanes(line, row);
    }
    line.add(sign.style, sign.glyph).add(" ");
    const std::size_t begin = line.columns();
    const auto texts = wrapped(cells_[i].text, terminal_.width - std::min(terminal_.width - 8, begin));
    line.add(sign.style, texts.front());
    for (std::size_t lane = 1; wide && lane < names_.size(); ++lane) {
      const std::size_t at = kLanesAt + lane * (content_ + gap_);
      if (at < line.columns() + 2) continue;
      const Sign state = sign_of(row.lanes[lane], terminal_.glyphs());
      line.to(at).add(state.style, state.glyph);
    }
    lines_.push_back(std::move(line));
    for (std::size_t more = 1; more < texts.size(); ++more) {
      lines_.push_back(Line().to(begin).add(sign.style, texts[more]));
    }
  }

  const Terminal& terminal_;
  const LaneOptions& options_;
  const bool virtual_time_;
  const std::vector<LaneRow> rows_;
  std::vector<Cell> cells_;
  std::vector<std::string> names_;
  std::size_t longest_name_ = 0;

  // Wide lanes.
  std::size_t gap_ = 3;
  std::size_t content_ = kContentUsual;
  bool short_statuses_ = false;
  // Narrow lanes.
  std::size_t pitch_ = 0;
  std::size_t text_at_ = kLanesAt;
  std::size_t status_at_ = 0;

  std::vector<Line> lines_;
};

}  // namespace

std::vector<Line> lanes(const record::Run& run, const Terminal& terminal, const LaneOptions& options) {
  return Layout(run, terminal, options).lines();
}

LanesByRow lanes_by_row(const record::Run& run, const Terminal& terminal, const LaneOptions& options) {
  return Layout(run, terminal, options).by_row();
}

}  // namespace lockstep::cli
