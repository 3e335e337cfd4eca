// text.cc: the characters that matter to a terminal, in three small tables.
#include "reports/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace lockstep::reports {
namespace {

struct Span {
  char32_t first, last;
};

// Take two columns: the blocks that Unicode's EastAsianWidth calls wide or fullwidth, and emoji.
constexpr std::array kWide = {
    Span{0x1100, 0x115F},   Span{0x231A, 0x231B},   Span{0x23E9, 0x23EC},   Span{0x23F0, 0x23F0},
    Span{0x25FD, 0x25FE},   Span{0x2614, 0x2615},   Span{0x2648, 0x2653},   Span{0x26A1, 0x26A1},
    Span{0x26AA, 0x26AB},   Span{0x26BD, 0x26BE},   Span{0x26C4, 0x26C5},   Span{0x26CE, 0x26CE},
    Span{0x26D4, 0x26D4},   Span{0x26EA, 0x26EA},   Span{0x26F2, 0x26F3},   Span{0x26F5, 0x26F5},
    Span{0x26FA, 0x26FA},   Span{0x26FD, 0x26FD},   Span{0x2705, 0x2705},   Span{0x270A, 0x270B},
    Span{0x2728, 0x2728},   Span{0x274C, 0x274C},   Span{0x274E, 0x274E},   Span{0x2753, 0x2755},
    Span{0x2757, 0x2757},   Span{0x2795, 0x2797},   Span{0x27B0, 0x27B0},   Span{0x2B1B, 0x2B1C},
    Span{0x2B50, 0x2B50},   Span{0x2B55, 0x2B55},   Span{0x2E80, 0x303E},   Span{0x3041, 0x33FF},
    Span{0x3400, 0x4DBF},   Span{0x4E00, 0x9FFF},   Span{0xA000, 0xA4CF},   Span{0xA960, 0xA97F},
    Span{0xAC00, 0xD7A3},   Span{0xF900, 0xFAFF},   Span{0xFE30, 0xFE6F},   Span{0xFF00, 0xFF60},
    Span{0xFFE0, 0xFFE6},   Span{0x16FE0, 0x18DFF}, Span{0x1B000, 0x1B2FF}, Span{0x1F004, 0x1F004},
    Span{0x1F0CF, 0x1F0CF}, Span{0x1F18E, 0x1F18E}, Span{0x1F191, 0x1F19A}, Span{0x1F200, 0x1F320},
    Span{0x1F32D, 0x1F335}, Span{0x1F337, 0x1F37C}, Span{0x1F37E, 0x1F393}, Span{0x1F3A0, 0x1F3CA},
    Span{0x1F3CF, 0x1F3D3}, Span{0x1F3E0, 0x1F3F0}, Span{0x1F3F4, 0x1F3F4}, Span{0x1F3F8, 0x1F43E},
    Span{0x1F440, 0x1F440}, Span{0x1F442, 0x1F4FC}, Span{0x1F4FF, 0x1F53D}, Span{0x1F54B, 0x1F567},
    Span{0x1F57A, 0x1F57A}, Span{0x1F595, 0x1F596}, Span{0x1F5A4, 0x1F5A4}, Span{0x1F5FB, 0x1F64F},
    Span{0x1F680, 0x1F6C5}, Span{0x1F6CC, 0x1F6CC}, Span{0x1F6D0, 0x1F6D2}, Span{0x1F6D5, 0x1F6D7},
    Span{0x1F6DC, 0x1F6DF}, Span{0x1F6EB, 0x1F6EC}, Span{0x1F6F4, 0x1F6FC}, Span{0x1F7E0, 0x1F7EB},
    Span{0x1F90C, 0x1F9FF}, Span{0x1FA70, 0x1FAFF}, Span{0x20000, 0x3FFFD},
};

// Take none: combining marks of the common scripts and variation selectors.
constexpr std::array kCombining = {
    Span{0x0300, 0x036F}, Span{0x0483, 0x0489}, Span{0x0591, 0x05BD}, Span{0x0610, 0x061A},   Span{0x064B, 0x065F},
    Span{0x06D6, 0x06DC}, Span{0x0900, 0x0902}, Span{0x093C, 0x093C}, Span{0x0941, 0x0948},   Span{0x0E31, 0x0E31},
    Span{0x0E34, 0x0E3A}, Span{0x0E47, 0x0E4E}, Span{0x1AB0, 0x1AFF}, Span{0x1DC0, 0x1DFF},   Span{0x20D0, 0x20FF},
    Span{0x3099, 0x309A}, Span{0xFE00, 0xFE0F}, Span{0xFE20, 0xFE2F}, Span{0xE0100, 0xE01EF},
};

// Reorder, hide or break what is around them: C1 controls, zero-width characters, bidirectional controls, line and
// paragraph separators, the byte-order mark, tags, and what is no character.
constexpr std::array kTreacherous = {
    Span{0x0080, 0x009F}, Span{0x00AD, 0x00AD}, Span{0x061C, 0x061C},   Span{0x180E, 0x180E},
    Span{0x200B, 0x200F}, Span{0x2028, 0x202E}, Span{0x2060, 0x206F},   Span{0xD800, 0xDFFF},
    Span{0xFEFF, 0xFEFF}, Span{0xFFF0, 0xFFFB}, Span{0xE0000, 0xE007F}, Span{0xE000, 0xF8FF},
};

template <std::size_t N>
bool within(const std::array<Span, N>& spans, char32_t c) {
  return std::any_of(spans.begin(), spans.end(), [c](Span span) { return span.first <= c && c <= span.last; });
}

struct Decoded {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

/// The character at the start of `text`, which is not empty.
Decoded decode(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xF0 && first < 0xF5 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first >= 0xF5 || text.size() < length) return {};
  char32_t code = first & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  const char32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length, true};
}

std::size_t columns_of(char32_t c) {
  if (c < 0x300) return 1;
  if (within(kCombining, c)) return 0;
  return within(kWide, c) ? 2 : 1;
}

const char* ascii_for(char32_t c) {
  static constexpr std::array<std::pair<char32_t, const char*>, 24> kTable = {{
      {U'→', "->"}, {U'←', "<-"}, {U'↔', "<->"}, {U'⇒', "=>"}, {U'…', "..."}, {U'—', "--"},
      {U'–', "-"},  {U'−', "-"},  {U'·', "|"},   {U'×', "x"},  {U'≤', "<="},  {U'≥', ">="},
      {U'≠', "!="}, {U'“', "\""}, {U'”', "\""},  {U'‘', "'"},  {U'’', "'"},   {U'„', "\""},
      {U'✓', "v"},  {U'✗', "x"},  {U'µ', "u"},   {U'↻', "@"},  {U'●', "o"},   {U'\u00A0', " "},
  }};
  const auto* found = std::find_if(kTable.begin(), kTable.end(), [c](const auto& row) { return row.first == c; });
  return found == kTable.end() ? "?" : found->second;
}

}  // namespace

std::size_t columns(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Decoded c = decode(text);
    width += columns_of(c.code);
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string neutral(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const Decoded c = decode(text);
    if (!c.valid) {
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (c.code == '\n' || c.code == '\t' || c.code == '\r') {
      if (safe.empty() || safe.back() != ' ') safe += ' ';
    } else if (c.code < 0x20 || c.code == 0x7F) {
      safe += fmt::format("\\x{:02x}", static_cast<unsigned>(c.code));
    } else if (within(kTreacherous, c.code)) {
      safe += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c.code));
    } else {
      safe += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return safe;
}

std::string to_ascii(std::string_view text) {
  std::string ascii;
  ascii.reserve(text.size());
  while (!text.empty()) {
    const Decoded c = decode(text);
    if (c.valid && c.code < 0x80) {
      ascii += static_cast<char>(c.code);
    } else {
      ascii += ascii_for(c.code);
    }
    text.remove_prefix(c.bytes);
  }
  return ascii;
}

std::string shortened(std::string_view text, std::size_t width, std::string_view dots) {
  if (columns(text) <= width) return std::string(text);
  const std::size_t room = width - std::min(width, columns(dots));
  std::string kept;
  std::size_t used = 0;
  while (!text.empty()) {
    const Decoded c = decode(text);
    if (used + columns_of(c.code) > room) break;
    used += columns_of(c.code);
    kept += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  while (!kept.empty() && kept.back() == ' ') kept.pop_back();
  if (width >= columns(dots)) kept += dots;
  return kept;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 1);
  std::vector<std::string> lines;
  std::string line;
  const auto end_line = [&] { lines.push_back(std::exchange(line, {})); };
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    std::string word(text.substr(0, space));
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (word.empty()) continue;
    if (!line.empty() && columns(line) + 1 + columns(word) > width) end_line();
    while (columns(word) > width) {
      const std::string head = shortened(word, width, "");
      if (head.empty()) break;
      lines.push_back(head);
      word.erase(0, head.size());
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  if (!line.empty() || lines.empty()) end_line();
  return lines;
}

std::string padded(std::string_view text, std::size_t width) {
  const std::size_t used = columns(text);
  return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string counted(unsigned long long count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace lockstep::reports
