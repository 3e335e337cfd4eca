// terminal.h: what a terminal can show: its width, its characters, its colours. A value: rendering is a function of it
// and of what is shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

/// The signs of the lanes and pictures. None carries its meaning by colour alone.
struct Glyphs {
  const char* operation;  ///< ● something was done
  const char* grant;      ///< ■ a lock was granted
  const char* holds;      ///< ┃ the actor holds something
  const char* waits;      ///< ▒ the actor waits
  const char* cycle;      ///< ◆ a cycle of waits was closed
  const char* fault;      ///< ✗
  const char* good;       ///< ✓
  const char* retry;      ///< ↻
  const char* alive;      ///< │ the actor is between operations and holds nothing
  const char* time;       ///< » virtual time jumped
  const char* horizontal;
  const char* right;
  const char* left;
  const char* up;
  const char* down;
  const char* vertical;
  const char* lower_left;
  const char* lower_right;
  const char* arrow;      ///< → between names
  const char* dots;       ///< … something was left out
  const char* separator;  ///< · between facts
};

/// Longer lines of prose are hard to read on any terminal.
inline constexpr std::size_t kProseMost = 100;

struct Terminal {
  std::size_t width = 80;
  bool utf8 = true;
  bool colour = false;
  bool piped = false;  ///< no terminal, and nobody named a width: lines of a list need not be wrapped

  const Glyphs& glyphs() const noexcept;
  /// Any text as it can be shown: harmless, on one line, in ASCII where need be.
  std::string clean(std::string_view text) const;
  std::string cut(std::string_view text, std::size_t columns) const;
};

/// Colour-blind-safe: blues and yellows apart, and every style goes with a sign or a word of its own.
enum class Style { plain, dim, bold, holds, waits, fault, good, cycle, heading };

/// A line of styled text. What is added must be clean.
class Line {
 public:
  Line() = default;
  explicit Line(std::string text) { add(std::move(text)); }

  Line& add(Style style, std::string text);
  Line& add(std::string text) { return add(Style::plain, std::move(text)); }
  Line& add(const Line& other);
  /// Spaces up to `column`; nothing when the line is longer already.
  Line& to(std::size_t column);
  std::size_t columns() const noexcept { return columns_; }
  /// Without spaces at its end, with a line feed.
  std::string str(const Terminal& terminal) const;

 private:
  struct Piece {
    Style style;
    std::string text;
  };
  std::vector<Piece> pieces_;
  std::size_t columns_ = 0;
};

std::string str(const std::vector<Line>& lines, const Terminal& terminal);

enum class ColourWish { automatic, always, never };

/// What the stream `fd` shows. Its width: COLUMNS, else the terminal's, else 80. UTF-8: by the locale (LC_ALL,
/// LC_CTYPE, LANG). Colour: on a terminal, unless NO_COLOR is set or TERM is "dumb". A `wish` overrides what is found.
Terminal terminal_of(int fd, ColourWish wish);

}  // namespace lockstep::cli
