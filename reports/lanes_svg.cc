// lanes_svg.cc: where everything stands, and then the drawing.
#include "reports/lanes_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "reports/escape.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

constexpr double kSlotMost = 48, kSlotWithMarks = 9;  ///< pixels a row; below the second, only what ends is marked
constexpr double kWidthUsual = 1040;
constexpr double kMarksAt = 15;  ///< from the top of a lane
constexpr double kFirstBarAt = 30;
constexpr double kBar = 15, kBarPitch = 18;
constexpr std::size_t kBarsMost = 8;  ///< rows of bars in a lane
constexpr double kTop = 34;           ///< above the first lane: numbers of steps, signs of cycles
constexpr double kLaneLetter = 6.7;   ///< pixels of a letter of a label, on average

class Drawing {
 public:
  Drawing(const record::Run& run, const std::vector<LaneRow>& rows, const std::vector<Span>& spans, std::string id)
      : run_(run), rows_(rows), spans_(spans), id_(std::move(id)), bar_of_(spans.size()) {
    slot_ = std::min(kSlotMost, (kWidthUsual - 140) / static_cast<double>(std::max<std::size_t>(rows.size(), 1)));
    // Scrolling is reasonable up to some hundred rows.
    if (slot_ < kSlotWithMarks && rows.size() <= 400) slot_ = kSlotWithMarks;
    std::size_t longest = 2;
    for (const std::string& name : run.actors) longest = std::max(longest, columns(neutral(name)));
    left_ = 22 + kLaneLetter * 1.1 * static_cast<double>(std::min<std::size_t>(longest, 16));
    width_ = left_ + slot_ * static_cast<double>(rows.size()) + 14;
    place_bars();
    place_lanes();
  }

  std::string draw() {
    head();
    for (std::size_t lane = 0; lane < run_.actors.size(); ++lane) draw_lane(lane);
    draw_steps();
    for (std::size_t i = 0; i < spans_.size(); ++i) draw_span(i);
    for (std::size_t i = 0; i < rows_.size(); ++i) draw_row(i);
    add("</svg>");
    return std::move(text_);
  }

 private:
  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }

  double x(std::size_t row) const { return left_ + slot_ * (static_cast<double>(row) + 0.5); }

  /// Every span gets a row in its lane: that of the same object if it is free, else the first that is.
  void place_bars() {
    depth_.assign(run_.actors.size(), 0);
    std::vector<std::vector<std::size_t>> free_from(run_.actors.size(), std::vector<std::size_t>(kBarsMost, 0));
    std::map<std::pair<int, std::string>, std::size_t> before;
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      const Span& span = spans_[i];
      std::vector<std::size_t>& free = free_from[static_cast<std::size_t>(span.actor)];
      const auto same = before.find({span.actor, span.object});
      std::size_t bar = same != before.end() && free[same->second] <= span.from ? same->second : 0;
      if (free[bar] > span.from) {
        bar = 0;
        while (bar + 1 < kBarsMost && free[bar] > span.from) ++bar;
      }
      bar_of_[i] = bar;
      free[bar] = span.to;
      before[{span.actor, span.object}] = bar;
      std::size_t& depth = depth_[static_cast<std::size_t>(span.actor)];
      depth = std::max(depth, bar + 1);
    }
  }

  void place_lanes() {
    double y = kTop;
    for (const std::size_t depth : depth_) {
      lane_at_.push_back(y);
      y += kFirstBarAt + kBarPitch * static_cast<double>(depth) + (depth > 0 ? 4 : 0);
    }
    lanes_end_ = y;
    height_ = y + 22;
  }

  void head() {
    const std::string who = counted(run_.actors.size(), "actor", "actors");
    add("<svg class=\"lanes\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\" viewBox=\"0 0 {1:.0f} {2:.0f}\" "
        "width=\"{1:.0f}\" height=\"{2:.0f}\"><title id=\"{0}-t\">Lanes of {3}</title><desc id=\"{0}-d\">{4}, {5} from "
        "left "
        "to right. {6} The table of steps says the same in words.</desc>",
        id_, width_, height_, html(run_.scenario), who, counted(rows_.size(), "row", "rows"), html(description()));
  }

  /// The story in a few sentences: the waits between actors, and how it ended.
  std::string description() const {
    std::string text;
    std::size_t told = 0, waits = 0;
    for (const Span& span : spans_) {
      if (span.kind != Span::Kind::wait) continue;
      ++waits;
      if (told == 4) continue;
      ++told;
      text +=
          run_.actors[static_cast<std::size_t>(span.actor)] + " waits" +
          (span.object.empty() ? "" : " for " + span.object) +
          (span.to < rows_.size() ? fmt::format(" for {}", duration_text(span.to_ns - span.from_ns)) : " to the end") +
          ". ";
    }
    if (waits > told) text += counted(waits - told, "more wait", "more waits") + ". ";
    return waits == 0 ? "Nobody waits." : text;
  }

  void draw_lane(std::size_t lane) {
    const double y = lane_at_[lane];
    const double end = lane + 1 < lane_at_.size() ? lane_at_[lane + 1] : lanes_end_;
    if (lane % 2 == 0)
      add("<rect class=\"band\" x=\"0\" y=\"{:g}\" width=\"{:.0f}\" height=\"{:g}\"/>", y, width_, end - y);
    add("<text class=\"name\" x=\"10\" y=\"{:g}\">{}</text>", y + kMarksAt + 4,
        html(shortened(neutral(run_.actors[lane]), 16)));
    // The line of the actor's life: from its first row until it is gone.
    std::size_t first = rows_.size(), last = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].actor == static_cast<int>(lane)) first = std::min(first, i);
      if (rows_[i].lanes[lane] != LaneState::gone || rows_[i].actor == static_cast<int>(lane)) last = i;
    }
    if (first >= rows_.size()) return;
    add("<path class=\"life\" d=\"M{:.1f} {:g}H{:.1f}\"/>", x(first), y + kMarksAt, x(last));
  }

  /// Numbers of steps above, milliseconds below, as many as have room.
  void draw_steps() {
    double next = 46, next_time = 30;  // after "step" and "ms"
    std::uint32_t shown = 0;
    std::string time_shown;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const LaneRow& row = rows_[i];
      if (row.step != 0 && row.step != shown && x(i) - 4 >= next && row.mark != Mark::cycle) {
        const std::string number = std::to_string(row.step);
        add("<text class=\"tick\" x=\"{:.1f}\" y=\"12\">{}</text>", x(i), number);
        next = x(i) + kLaneLetter * static_cast<double>(number.size()) + 8;
        shown = row.step;
      }
      const std::string time = fmt::format("{:.2f}", static_cast<double>(row.at_ns) / 1e6);
      const double half = kLaneLetter * static_cast<double>(time.size()) / 2;
      if (x(i) - half >= next_time && time != time_shown && x(i) + half < width_ - 4) {
        add("<text class=\"tick\" x=\"{:.1f}\" y=\"{:g}\">{}</text>", x(i), height_ - 6, time);
        next_time = x(i) + half + 18;
        time_shown = time;
      }
    }
    add("<text class=\"tick first\" x=\"10\" y=\"12\">step</text><text class=\"tick first\" x=\"10\" "
        "y=\"{:g}\">ms</text>",
        height_ - 6);
  }

  void draw_span(std::size_t i) {
    const Span& span = spans_[i];
    const double y =
        lane_at_[static_cast<std::size_t>(span.actor)] + kFirstBarAt - 6 + kBarPitch * static_cast<double>(bar_of_[i]);
    const double from = x(span.from);
    const double to = span.to < rows_.size() ? x(span.to) : width_ - 10;
    const double wide = std::max(to - from, slot_ < 2 ? 0.6 : 2.0);
    const bool waits = span.kind == Span::Kind::wait;
    const char* const look = waits ? "w" : span.shared ? "h s" : "h";
    const bool told = spans_.size() <= 300;
    if (told) add("<g data-o=\"{}\"><title>{}</title>", html(span.object), html(in_words(span)));
    add("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:g}\" width=\"{:.1f}\" height=\"{:g}\"/>", look, from, y, wide, kBar);
    if (waits && wide > 3)
      add("<rect class=\"wb\" x=\"{:.1f}\" y=\"{:g}\" width=\"{:.1f}\" height=\"{:g}\"/>", from, y, wide, kBar);
    const std::string name = neutral(!span.how.empty() ? span.how : span.object.empty() ? "rows" : span.object);
    const std::string label = fitting(waits && !span.object.empty() ? "wants " + name : name, name, wide - 8);
    if (!label.empty() && waits) {
      add("<rect class=\"lb\" x=\"{:.1f}\" y=\"{:g}\" width=\"{:.1f}\" height=\"{:g}\"/>", from + 2, y + 1.5,
          6.2 * static_cast<double>(columns(label)) + 5, kBar - 3);
    }
    if (!label.empty()) {
      add("<text class=\"{}\" x=\"{:.1f}\" y=\"{:g}\">{}</text>", waits ? "wl" : "hl", from + 5, y + kBar - 3.5,
          html(label));
    }
    if (told) add("</g>");
  }

  /// The longer of the two texts that fits, or a shortened one, or nothing.
  static std::string fitting(const std::string& best, const std::string& second, double room) {
    const auto letters = static_cast<std::size_t>(std::max(0.0, room / kLaneLetter));
    if (columns(best) <= letters) return best;
    if (columns(second) <= letters) return second;
    return letters >= 4 ? shortened(second, letters) : std::string();
  }

  std::string in_words(const Span& span) const {
    std::string text = run_.actors[static_cast<std::size_t>(span.actor)];
    text += span.kind == Span::Kind::wait ? " waits for " : span.shared ? " shares " : " holds ";
    text += span.object.empty() ? "rows of a statement" : span.object;
    if (!span.how.empty()) text += " (" + span.how + ")";
    std::string whom;
    for (const int other : span.others) {
      whom += (whom.empty() ? "" : ", ") +
              (other == record::kNobody ? std::string("somebody else") : run_.actors[static_cast<std::size_t>(other)]);
    }
    if (!whom.empty()) text += ", which " + whom + (span.others.size() == 1 ? " has" : " have");
    return text +
           (span.to < rows_.size() ? fmt::format(": {}", duration_text(span.to_ns - span.from_ns)) : ": to the end");
  }

  void draw_row(std::size_t i) {
    const LaneRow& row = rows_[i];
    if (row.mark == Mark::cycle || (row.actor == record::kNobody && row.mark == Mark::fault)) {
      const bool cycle = row.mark == Mark::cycle;
      add("<g class=\"{}\" data-r=\"{}\"><title>{}</title><path class=\"across\" d=\"M{:.1f} {:g}V{:g}\"/>",
          cycle ? "mc" : "mf", i, html(row.text), x(i), kTop - 6, lanes_end_);
      if (cycle) {
        add("<path class=\"sign\" d=\"M{:.1f} {:g}l6 6l-6 6l-6 -6z\"/></g>", x(i), kTop - 18);
      } else {
        cross(x(i), kTop - 12);
        add("</g>");
      }
      return;
    }
    if (row.mark == Mark::time) {
      add("<g class=\"mt\" data-r=\"{}\"><title>{}</title><path class=\"across\" d=\"M{:.1f} {:g}V{:g}\"/></g>", i,
          html(row.text), x(i), kTop, lanes_end_);
      return;
    }
    if (row.actor == record::kNobody) return;
    const bool small = slot_ < kSlotWithMarks;
    if (small && row.mark != Mark::fault && row.mark != Mark::good) return;
    const double y = lane_at_[static_cast<std::size_t>(row.actor)] + kMarksAt;
    if (small) {
      // Thousands of them: as short as can be.
      if (row.mark == Mark::fault) add("<path class=\"xf\" d=\"M{:.1f} {:g}l4 4m0-4l-4 4\"/>", x(i) - 2, y - 2);
      return;
    }
    sign(row, i, y);
  }

  void sign(const LaneRow& row, std::size_t i, double y) {
    static const std::map<Mark, const char*> kClasses = {{Mark::operation, "mo"}, {Mark::grant, "mg"},
                                                         {Mark::wait, "mw"},      {Mark::fault, "mf"},
                                                         {Mark::good, "mk"},      {Mark::retry, "mr"}};
    const auto found = kClasses.find(row.mark);
    add("<g class=\"{}\" data-r=\"{}\"><title>{}</title>", found == kClasses.end() ? "mo" : found->second, i,
        html(row.text + (row.status.empty() ? "" : ": " + row.status)));
    const double at = x(i);
    switch (row.mark) {
      case Mark::grant:
        add("<rect class=\"sign\" x=\"{:.1f}\" y=\"{:g}\" width=\"10\" height=\"10\"/>", at - 5, y - 5);
        break;
      case Mark::wait:
        add("<rect class=\"back\" x=\"{0:.1f}\" y=\"{1:g}\" width=\"10\" height=\"10\"/><rect class=\"sign\" "
            "x=\"{0:.1f}\" "
            "y=\"{1:g}\" width=\"10\" height=\"10\"/>",
            at - 5, y - 5);
        break;
      case Mark::fault:
        cross(at, y);
        break;
      case Mark::good:
        add("<circle class=\"back\" cx=\"{0:.1f}\" cy=\"{1:g}\" r=\"8\"/><path class=\"sign\" d=\"M{2:.1f} {1:g}l3.5 "
            "4l6.5 "
            "-8\"/>",
            at, y, at - 5);
        break;
      case Mark::retry:
        add("<circle class=\"back\" cx=\"{0:.1f}\" cy=\"{1:g}\" r=\"8\"/><path class=\"sign\" d=\"M{2:.1f} {3:g}a5 5 0 "
            "1 1 "
            "-5 -5h3m-3 -3l3 3l-3 3\"/>",
            at, y, at + 5, y);
        break;
      default:
        add("<circle class=\"sign\" cx=\"{:.1f}\" cy=\"{:g}\" r=\"4.5\"/>", at, y);
    }
    add("</g>");
  }

  void cross(double at, double y) {
    add("<circle class=\"back\" cx=\"{0:.1f}\" cy=\"{1:g}\" r=\"8\"/><path class=\"sign\" d=\"M{2:.1f} {3:g}l9 9m0 "
        "-9l-9 9\"/>",
        at, y, at - 4.5, y - 4.5);
  }

  const record::Run& run_;
  const std::vector<LaneRow>& rows_;
  const std::vector<Span>& spans_;
  const std::string id_;
  double slot_ = 0, left_ = 0, width_ = 0, height_ = 0, lanes_end_ = 0;
  std::vector<std::size_t> bar_of_;  ///< of each span: its row of bars
  std::vector<std::size_t> depth_;   ///< of each lane: how many rows of bars
  std::vector<double> lane_at_;
  std::string text_;
};

}  // namespace

std::string lanes_svg(const record::Run& run, const std::vector<LaneRow>& rows, const std::vector<Span>& spans,
                      const std::string& id) {
  if (rows.empty() || run.actors.empty()) return {};
  return Drawing(run, rows, spans, id).draw();
}

}  // namespace lockstep::reports
