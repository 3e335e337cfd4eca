// wait_picture.cc: draws the waits that stood together.
#include "cli/text/wait_picture.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

std::string repeated(const char* text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::string wanted(const Want& want) {
  if (want.says_all) return want.object;
  if (want.object.empty()) return "waits";
  return (want.event ? "waits for " : "wants ") + want.object;
}

/// "──── wants B ───▶", `length` columns.
std::string arrow(const std::string& label, std::size_t length, const Glyphs& g) {
  const std::size_t shafts = length - columns(label) - 3;
  const std::size_t left = (shafts + 1) / 2;
  return repeated(g.horizontal, left) + " " + label + " " + repeated(g.horizontal, shafts - left) + g.right;
}

class Picture {
 public:
  Picture(const Waits& waits, const Terminal& terminal, std::size_t width)
      : waits_(waits), terminal_(terminal), width_(width) {
    for (Want want : waits.cycle) {
      want = {terminal.clean(want.from),
              terminal.cut(terminal.clean(want.object), kObjectMost),
              terminal.clean(want.to),
              want.event,
              {},
              {},
              want.says_all};
      cycle_.push_back(std::move(want));
    }
  }

  std::vector<Line> lines() {
    if (!cycle_.empty() && !ring() && !two_rows()) {
      for (const Want& want : waits_.cycle) list(want);
    }
    for (const Want& want : waits_.others) list(want);
    if (waits_.more_cycles > 0) {
      lines_.push_back(
          Line().add(Style::dim, "and " + counted(waits_.more_cycles, "more cycle", "more cycles") + " later"));
    }
    return std::move(lines_);
  }

 private:
  static constexpr std::size_t kObjectMost = 24;
  static constexpr std::size_t kShaftsLeast = 3;

  static std::size_t arrow_length(const Want& want) { return columns(wanted(want)) + 3 + kShaftsLeast; }

  /// Where a line that leads up to or down from a name begins: below its second letter, if it has one.
  static std::size_t stem_of(const std::string& name) { return columns(name) > 1 ? 1 : 0; }

  /// Adds " ──── wants B ───▶ ", with `extra` columns of shaft.
  void add_arrow(Line& line, const Want& want, std::size_t extra) const {
    line.add(" ").add(Style::waits, arrow(wanted(want), arrow_length(want) + extra, terminal_.glyphs())).add(" ");
  }

  /// All in one row, the last wait leads back below.
  bool ring() {
    const Glyphs& g = terminal_.glyphs();
    const std::size_t n = cycle_.size();
    if (n < 2) return false;
    std::size_t last_at = columns(cycle_.front().from);  ///< column of the last name
    for (std::size_t i = 0; i + 1 < n; ++i)
      last_at += 2 + arrow_length(cycle_[i]) + (i + 2 < n ? columns(cycle_[i].to) : 0);
    // The way back needs room for its own label; a picture of two that has the room gets longer shafts.
    const std::string back = wanted(cycle_.back());
    const std::size_t left = stem_of(cycle_.front().from), stem = stem_of(cycle_.back().from);
    const std::size_t needed = left + columns(back) + 7;
    std::size_t extra = n == 2 ? 4 : 0;
    if (last_at + stem + extra < needed) extra = needed - last_at - stem;
    if (last_at + extra + columns(cycle_.back().from) > width_) return false;

    Line top;
    top.add(Style::heading, cycle_.front().from);
    for (std::size_t i = 0; i + 1 < n; ++i) {
      add_arrow(top, cycle_[i], i == 0 ? extra : 0);
      top.add(Style::heading, cycle_[i].to);
    }
    const std::size_t right = last_at + extra + stem;
    lines_.push_back(std::move(top));
    lines_.push_back(Line().to(left).add(Style::waits, g.up).to(right).add(Style::waits, g.vertical));
    const std::size_t shafts = right - left - 3 - columns(back);
    const std::size_t before = (shafts + 1) / 2 - (shafts > 2 ? 1 : 0);
    lines_.push_back(Line().to(left).add(Style::waits, g.lower_left + repeated(g.horizontal, before) + " " + back +
                                                           " " + repeated(g.horizontal, shafts - before) +
                                                           g.lower_right));
    return true;
  }

  /// A row that leads to the right and one below it that leads back.
  bool two_rows() {
    const std::size_t n = cycle_.size();
    if (n < 4) return false;
    // Above stand cycle_[0] … cycle_[corner] from left to right, below the others from right to left.
    const std::size_t corner = (n - 1) / 2;
    const Want &upper = cycle_[corner], &lower = cycle_[corner + 1], &last = cycle_[n - 1];
    std::size_t above = columns(cycle_[0].from), below = columns(last.from);
    for (std::size_t i = 0; i < corner; ++i)
      above += 2 + arrow_length(cycle_[i]) + (i > 0 ? columns(cycle_[i].from) : 0);
    for (std::size_t i = corner + 1; i + 1 < n; ++i) {
      below += 2 + arrow_length(cycle_[i]) + (i > corner + 1 ? columns(cycle_[i].from) : 0);
    }
    const std::string down = wanted(upper), up = wanted(last);
    const std::size_t corner_at = std::max({above, below, columns(up) + columns(down) + 8});
    if (corner_at + std::max(columns(upper.from), columns(lower.from)) > width_) return false;

    const Glyphs& g = terminal_.glyphs();
    const std::size_t left = std::min(stem_of(cycle_[0].from), stem_of(last.from));
    const std::size_t right = corner_at + std::min(stem_of(upper.from), stem_of(lower.from));
    Line top;
    top.add(Style::heading, cycle_[0].from);
    for (std::size_t i = 0; i < corner; ++i) {
      add_arrow(top, cycle_[i], share(corner_at - above, corner, i));
      top.add(Style::heading, cycle_[i].to);
    }
    lines_.push_back(std::move(top));
    lines_.push_back(Line().to(left).add(Style::waits, g.up).to(right).add(Style::waits, g.vertical));
    Line labels;
    labels.to(left).add(Style::waits, g.vertical).add(" ").add(Style::waits, up);
    labels.to(right - columns(down) - 1).add(Style::waits, down).to(right).add(Style::waits, g.vertical);
    lines_.push_back(std::move(labels));
    lines_.push_back(Line().to(left).add(Style::waits, g.vertical).to(right).add(Style::waits, g.down));

    const std::size_t arrows = n - 2 - corner;
    Line bottom;
    bottom.add(Style::heading, last.from);
    for (std::size_t i = n - 1; i-- > corner + 1;) {
      const std::string label = wanted(cycle_[i]);
      const std::size_t shafts = kShaftsLeast + share(corner_at - below, arrows, n - 2 - i);
      bottom.add(" ").add(Style::waits, g.left + repeated(g.horizontal, (shafts + 1) / 2) + " " + label + " " +
                                            repeated(g.horizontal, shafts / 2));
      bottom.add(" ").add(Style::heading, cycle_[i].from);
    }
    lines_.push_back(std::move(bottom));
    return true;
  }

  /// The `which`-th part of `extra` columns spread over `parts`.
  static std::size_t share(std::size_t extra, std::size_t parts, std::size_t which) {
    return parts == 0 ? 0 : extra / parts + (which < extra % parts ? 1 : 0);
  }

  void list(const Want& want) {
    const Glyphs& g = terminal_.glyphs();
    const std::string from = terminal_.clean(want.from), to = terminal_.clean(want.to);
    const std::size_t fixed = columns(from) + columns(to) + 11;
    const std::size_t room = width_ - std::min(width_, fixed);
    const std::string label =
        terminal_.cut(wanted({from, terminal_.clean(want.object), to, want.event, {}, {}, want.says_all}),
                      std::max<std::size_t>(room, 8));
    Line line;
    line.add(Style::heading, from).add(" ");
    const std::string shaft = repeated(g.horizontal, 2);
    line.add(Style::waits, to.empty() ? shaft + " " + label : shaft + " " + label + " " + shaft + g.right);
    if (!to.empty()) line.add(" ").add(Style::heading, to);
    lines_.push_back(std::move(line));
  }

  const Waits& waits_;
  const Terminal& terminal_;
  const std::size_t width_;
  std::vector<Want> cycle_;  ///< clean
  std::vector<Line> lines_;
};

}  // namespace

std::vector<Line> wait_picture(const Waits& waits, const Terminal& terminal, std::size_t width) {
  return Picture(waits, terminal, width).lines();
}

}  // namespace lockstep::cli
