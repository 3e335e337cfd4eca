// terminal.cc: asks the environment, the locale and the terminal what can be shown.
#include "cli/text/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

constexpr Glyphs kUtf8 = {"●", "■", "┃", "▒", "◆", "✗", "✓", "↻", "│", "»", "─",
                          "▶", "◀", "▲", "▼", "│", "└", "┘", "→", "…", "·"};
constexpr Glyphs kAscii = {"o", "#", "|", "~", "*", "x", "v", "@",  ".",   ">", "-",
                           ">", "<", "^", "v", "|", "+", "+", "->", "...", "|"};

constexpr std::size_t kWidthDefault = 80;
constexpr std::size_t kWidthLeast = 40;  ///< below this nothing can be laid out; lines may then wrap
constexpr std::size_t kWidthMost = 200;

const char* sgr(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::dim:
      return "\x1b[2m";
    case Style::bold:
    case Style::heading:
      return "\x1b[1m";
    case Style::holds:
      return "\x1b[36m";
    case Style::waits:
      return "\x1b[33m";
    case Style::fault:
      return "\x1b[1;31m";
    case Style::good:
      return "\x1b[1;36m";
    case Style::cycle:
      return "\x1b[1;35m";
  }
  return "";
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = variable(name);
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(), [](unsigned char c) { return std::tolower(c); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

std::size_t width_of(int fd) {
  std::size_t width = 0;
  const char* wished = variable("COLUMNS");
  std::from_chars(wished, wished + std::strlen(wished), width);
  if (winsize size{}; width == 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  if (width == 0) width = kWidthDefault;
  return std::clamp(width, kWidthLeast, kWidthMost);
}

}  // namespace

const Glyphs& Terminal::glyphs() const noexcept { return utf8 ? kUtf8 : kAscii; }

std::string Terminal::clean(std::string_view text) const {
  std::string safe = neutral(text);
  return utf8 ? safe : to_ascii(safe);
}

std::string Terminal::cut(std::string_view text, std::size_t width) const {
  return shortened(text, width, glyphs().dots);
}

Line& Line::add(Style style, std::string text) {
  columns_ += cli::columns(text);
  if (!text.empty()) pieces_.push_back({style, std::move(text)});
  return *this;
}

Line& Line::add(const Line& other) {
  pieces_.insert(pieces_.end(), other.pieces_.begin(), other.pieces_.end());
  columns_ += other.columns_;
  return *this;
}

Line& Line::to(std::size_t column) { return add(std::string(columns_ < column ? column - columns_ : 0, ' ')); }

std::string Line::str(const Terminal& terminal) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    const bool styled = terminal.colour && piece.style != Style::plain;
    text += styled ? sgr(piece.style) + piece.text + "\x1b[0m" : piece.text;
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text + "\n";
}

std::string str(const std::vector<Line>& lines, const Terminal& terminal) {
  std::string text;
  for (const Line& line : lines) text += line.str(terminal);
  return text;
}

Terminal terminal_of(int fd, ColourWish wish) {
  const bool is_terminal = ::isatty(fd) == 1;
  const bool dumb = std::string_view(variable("TERM")) == "dumb";
  const bool wanted = is_terminal && !dumb && *variable("NO_COLOR") == '\0';
  return {.width = width_of(fd),
          .utf8 = locale_is_utf8(),
          .colour = wish == ColourWish::always || (wish == ColourWish::automatic && wanted),
          .piped = !is_terminal && *variable("COLUMNS") == '\0'};
}

}  // namespace lockstep::cli
