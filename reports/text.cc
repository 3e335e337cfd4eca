// text.cc: how Unicode classifies a character (utf8proc), and how a terminal shows it.
#include "reports/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <utility>

namespace lockstep::reports {
namespace {

struct Decoded {
  utf8proc_int32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

/// The character at the start of `text`, which is not empty.
Decoded decode(std::string_view text) {
  Decoded one;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t used = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &one.code);
  if (used <= 0) return {};
  one.bytes = static_cast<std::size_t>(used);
  one.valid = true;
  return one;
}

std::size_t columns_of(utf8proc_int32_t c) {
  if (c < 0x300) return 1;
  if (const int width = utf8proc_charwidth(c); width > 0) return static_cast<std::size_t>(width);
  // Spacing marks, and what this version of Unicode does not know, get a column from terminals.
  const utf8proc_category_t category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ? 0 : 1;
}

/// Not assigned, and not to be shown if it ever is (Unicode's Default_Ignorable_Code_Point, which the library knows of
/// assigned characters only).
bool is_reserved_and_hidden(utf8proc_int32_t c) {
  return c == 0x2065 || (c >= 0xFFF0 && c <= 0xFFF8) || (c >= 0xE0000 && c <= 0xE007F);
}

/// True for a character that reorders, hides or breaks the text around it, and for what is no character. These are
/// controls, zero-width characters, bidirectional controls, line and paragraph separators, the byte-order mark, tags,
/// private use.
bool is_treacherous(utf8proc_int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    case UTF8PROC_CATEGORY_CF:  // all but the signs that are written before a number, which can be seen
      return utf8proc_get_property(c)->boundclass != UTF8PROC_BOUNDCLASS_PREPEND;
    case UTF8PROC_CATEGORY_CN:
      return is_reserved_and_hidden(c);
    default:
      return false;
  }
}

const char* ascii_for(utf8proc_int32_t c) {
  static constexpr std::array<std::pair<char32_t, const char*>, 24> kTable = {{
      {U'→', "->"}, {U'←', "<-"}, {U'↔', "<->"}, {U'⇒', "=>"}, {U'…', "..."}, {U'—', "--"},
      {U'–', "-"},  {U'−', "-"},  {U'·', "|"},   {U'×', "x"},  {U'≤', "<="},  {U'≥', ">="},
      {U'≠', "!="}, {U'“', "\""}, {U'”', "\""},  {U'‘', "'"},  {U'’', "'"},   {U'„', "\""},
      {U'✓', "v"},  {U'✗', "x"},  {U'µ', "u"},   {U'↻', "@"},  {U'●', "o"},   {U'\u00A0', " "},
  }};
  const auto* found = std::find_if(kTable.begin(), kTable.end(),
                                   [c](const auto& row) { return row.first == static_cast<char32_t>(c); });
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
    } else if (is_treacherous(c.code)) {
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
