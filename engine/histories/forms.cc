// forms.cc: a parser of both syntaxes by recursive descent, with a limit on depth.
#include "engine/histories/forms.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace lockstep::histories {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array<bool, 256> kEndsAtom = [] {
  std::array<bool, 256> table{};
  for (const char c : {' ', '\t', '\n', '\r', '\f', ',', '(', ')', '[', ']', '{', '}', '"', ';'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool ends_atom(char c) { return kEndsAtom[static_cast<unsigned char>(c)]; }

void add_utf8(std::string& into, std::uint32_t point) {
  if (point < 0x80U) {
    into += static_cast<char>(point);
  } else if (point < 0x800U) {
    into += static_cast<char>(0xC0U | (point >> 6U));
    into += static_cast<char>(0x80U | (point & 0x3FU));
  } else if (point < 0x10000U) {
    into += static_cast<char>(0xE0U | (point >> 12U));
    into += static_cast<char>(0x80U | ((point >> 6U) & 0x3FU));
    into += static_cast<char>(0x80U | (point & 0x3FU));
  } else {
    into += static_cast<char>(0xF0U | (point >> 18U));
    into += static_cast<char>(0x80U | ((point >> 12U) & 0x3FU));
    into += static_cast<char>(0x80U | ((point >> 6U) & 0x3FU));
    into += static_cast<char>(0x80U | (point & 0x3FU));
  }
}

}  // namespace

bool Forms::fail(std::string what) {
  if (error_.empty()) {
    error_ = std::move(what);
    error_at_ = std::min(at_, text_.size());
  }
  return false;
}

std::uint32_t Forms::open(Kind kind) {
  nodes_.push_back({kind, 0, 0, 0, {}, at_, at_});
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void Forms::close(std::uint32_t node, std::uint32_t size) {
  nodes_[node].size = size;
  nodes_[node].end = static_cast<std::uint32_t>(nodes_.size());
  nodes_[node].to = at_;
}

/// False at the end, and at a mistake.
bool Forms::skip_blanks() {
  for (; !at_end(); ++at_) {
    const char c = text_[at_];
    if (c > ';' || is_digit(c)) return true;  // behind it stand neither blanks nor comments
    if (is_blank(c) || (c == ',' && (syntax_ == Syntax::edn || until_ != '\0'))) continue;
    if (c == ';' && syntax_ == Syntax::edn) {
      at_ = std::min(text_.find('\n', at_), text_.size() - 1);
      continue;
    }
    if (c == '#' && syntax_ == Syntax::edn && at_ + 1 < text_.size() && text_[at_ + 1] == '_') {
      const std::size_t kept = nodes_.size();
      at_ += 2;
      if (++discards_ > kDepthMost) return fail(fmt::format("more than {} #_ in a row", kDepthMost));
      if (!read(0)) return fail("#_ with nothing behind it");
      --discards_;
      nodes_.resize(kept);
      --at_;
      continue;
    }
    return true;
  }
  return false;
}

bool Forms::next() {
  nodes_.clear();
  unescaped_.clear();
  if (failed() || !skip_blanks()) {
    if (until_ != '\0') return fail(fmt::format("the text ends before the list does: '{}' is missing", until_));
    return false;
  }
  if (until_ != '\0' && text_[at_] == until_) {
    ++at_;
    until_ = '\0';
    return skip_blanks() ? fail("something stands behind the list of operations") : false;
  }
  return read(0);
}

bool Forms::enter() {
  const std::size_t from = at_;
  nodes_.clear();
  bool more = skip_blanks();
  // Metadata of the list and a tag before it are dropped.
  while (more && syntax_ == Syntax::edn && (text_[at_] == '^' || text_[at_] == '#')) {
    if (text_[at_] == '^') {
      ++at_;
      if (!read(1)) return false;
      nodes_.clear();
    } else {
      while (!at_end() && !ends_atom(text_[at_])) ++at_;
    }
    more = skip_blanks();
  }
  if (more && !failed() && (text_[at_] == '[' || (text_[at_] == '(' && syntax_ == Syntax::edn))) {
    until_ = text_[at_++] == '[' ? ']' : ')';
    return true;
  }
  if (!failed()) at_ = from;
  return false;
}

bool Forms::read(int depth) {
  if (depth > kDepthMost) return fail(fmt::format("deeper than {} levels", kDepthMost));
  const char until = until_;
  until_ = '\0';
  const bool more = skip_blanks();
  until_ = until;
  if (!more) return fail("the text ends in the middle of a form");
  return read_here(depth);
}

/// What begins right here.
bool Forms::read_here(int depth) {
  if (depth > kDepthMost) return fail(fmt::format("deeper than {} levels", kDepthMost));
  if (is_digit(text_[at_]) && read_short_integer()) return true;
  return syntax_ == Syntax::edn ? read_edn(depth) : read_json(depth);
}

/// Most of a history is numbers of a few digits. False, and nothing is read, when it is anything else.
bool Forms::read_short_integer() {
  constexpr std::size_t kDigitsMost = 18;
  std::size_t to = at_;
  std::int64_t number = 0;
  for (; to < text_.size() && to < at_ + kDigitsMost && is_digit(text_[to]); ++to)
    number = number * 10 + (text_[to] - '0');
  if (to == text_.size() || !ends_atom(text_[to])) return false;
  nodes_.push_back(
      {Kind::integer, 0, static_cast<std::uint32_t>(nodes_.size() + 1), number, text_.substr(at_, to - at_), at_, to});
  at_ = to;
  return true;
}

bool Forms::read_edn(int depth) {
  switch (text_[at_]) {
    case '[':
      return read_sequence(']', Kind::list, depth);
    case '(':
      return read_sequence(')', Kind::list, depth);
    case '{':
      return read_sequence('}', Kind::map, depth);
    case '"':
      return read_string();
    case '#':
      return read_dispatch(depth);
    case '^': {  // metadata: dropped
      const std::size_t kept = nodes_.size();
      ++at_;
      if (!read(depth + 1)) return false;
      nodes_.resize(kept);
      return read(depth + 1);
    }
    case ']':
    case ')':
    case '}':
      return fail(fmt::format("'{}' closes nothing", text_[at_]));
    default:
      read_atom();
      return true;
  }
}

/// What begins with #: a set, a special number, or a tag, which is dropped.
bool Forms::read_dispatch(int depth) {
  if (at_ + 1 < text_.size() && text_[at_ + 1] == '{') {
    ++at_;
    return read_sequence('}', Kind::list, depth);
  }
  if (at_ + 1 < text_.size() && text_[at_ + 1] == '#') {
    ++at_;
    read_atom();
    nodes_.back().kind = Kind::real;
    return true;
  }
  while (!at_end() && !ends_atom(text_[at_])) ++at_;
  return read(depth + 1);
}

bool Forms::read_sequence(char end, Kind kind, int depth) {
  const std::uint32_t node = open(kind);
  ++at_;
  std::uint32_t size = 0;
  const char until = until_;
  for (;; ++size) {
    until_ = end;  // commas are blanks here
    const bool more = skip_blanks();
    until_ = until;
    if (!more) return fail(fmt::format("the text ends before '{}'", end));
    if (text_[at_] == end) break;
    if (!read_here(depth + 1)) return false;
  }
  ++at_;
  if (kind == Kind::map && size % 2 != 0) return fail("a map with a key that has no value");
  close(node, size);
  return true;
}

bool Forms::read_json(int depth) {
  const char c = text_[at_];
  if (c == '[') return read_sequence(']', Kind::list, depth);
  if (c == '"') return read_string();
  if (c != '{') {
    if (c == ']' || c == '}' || c == ',' || c == ':') return fail(fmt::format("'{}' where a value should be", c));
    read_atom();
    return nodes_.back().kind != Kind::word || fail(fmt::format("\"{}\" is no value", nodes_.back().text));
  }
  const std::uint32_t node = open(Kind::map);
  ++at_;
  std::uint32_t size = 0;
  const char until = until_;
  for (;; size += 2) {
    until_ = '}';
    const bool more = skip_blanks();
    until_ = until;
    if (!more) return fail("the text ends before '}'");
    if (text_[at_] == '}') break;
    if (text_[at_] != '"') return fail("a name in quotes should stand here");
    if (!read_string()) return false;
    if (!skip_blanks() || text_[at_] != ':') return fail("':' should stand here");
    ++at_;
    if (!read(depth + 1)) return false;
  }
  ++at_;
  close(node, size);
  return true;
}

bool Forms::read_string() {
  const std::uint32_t node = open(Kind::word);
  const std::size_t from = ++at_;
  while (!at_end() && text_[at_] != '"' && text_[at_] != '\\') ++at_;
  if (!at_end() && text_[at_] == '"') {
    nodes_[node].text = text_.substr(from, at_ - from);
    ++at_;
    close(node, 0);
    return true;
  }
  std::string& text = unescaped_.emplace_back(text_.substr(from, at_ - from));
  while (!at_end() && text_[at_] != '"') {
    if (text_[at_] != '\\')
      text += text_[at_++];
    else if (!read_escape(text))
      return false;
  }
  if (at_end()) return fail("a string that does not end");
  ++at_;
  nodes_[node].text = text;
  close(node, 0);
  return true;
}

bool Forms::read_escape(std::string& into) {
  if (++at_ >= text_.size()) return fail("a string that does not end");
  const char c = text_[at_++];
  switch (c) {
    case 'n':
      into += '\n';
      return true;
    case 't':
      into += '\t';
      return true;
    case 'r':
      into += '\r';
      return true;
    case 'b':
      into += '\b';
      return true;
    case 'f':
      into += '\f';
      return true;
    case '"':
    case '\\':
    case '/':
      into += c;
      return true;
    case 'u':
      return read_code_point(into);
    default:
      return fail(fmt::format("\\{} is no escape", c));
  }
}

bool Forms::read_code_point(std::string& into) {
  const auto unit = [this](std::uint32_t& value) {
    if (at_ + 4 > text_.size()) return false;
    const auto [rest, wrong] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
    if (wrong != std::errc() || rest != text_.data() + at_ + 4) return false;
    at_ += 4;
    return true;
  };
  std::uint32_t point = 0, low = 0;
  if (!unit(point)) return fail("\\u without four digits");
  if (point >= 0xD800U && point < 0xDC00U && text_.substr(at_, 2) == "\\u") {
    at_ += 2;
    if (!unit(low) || low < 0xDC00U || low > 0xDFFFU) return fail("half of a character");
    point = 0x10000U + ((point - 0xD800U) << 10U) + (low - 0xDC00U);
  }
  add_utf8(into, point);
  return true;
}

/// A number, a word, or one of the three names.
void Forms::read_atom() {
  const std::uint32_t node = open(Kind::word);
  const std::size_t from = at_;
  if (text_[at_] == '\\') ++at_;  // a character, which may be a bracket
  if (!at_end()) ++at_;
  while (!at_end() && !ends_atom(text_[at_]) && (syntax_ == Syntax::edn || text_[at_] != ':')) ++at_;
  std::string_view word = text_.substr(from, at_ - from);
  Node& it = nodes_[node];
  it.text = word;
  const char first = word.front();
  const bool is_signed = (first == '-' || first == '+') && word.size() > 1;
  const char digit = is_signed ? word[1] : first;
  if (digit >= '0' && digit <= '9') {
    std::string_view digits = first == '+' ? word.substr(1) : word;
    if (syntax_ == Syntax::edn && digits.ends_with('N')) digits.remove_suffix(1);
    const auto [rest, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), it.number);
    it.kind = wrong == std::errc() && rest == digits.data() + digits.size() ? Kind::integer : Kind::real;
  } else if (word == "nil" || word == "null") {
    it.kind = Kind::nil;
  } else if (word == "true" || word == "false") {
    it.kind = Kind::boolean;
    it.number = word == "true" ? 1 : 0;
  } else if (first == ':' || first == '\\') {
    it.text.remove_prefix(1);
  }
  close(node, 0);
}

std::string Forms::str(std::uint32_t node) const {
  const Node& it = nodes_[node];
  switch (it.kind) {
    case Kind::nil:
      return "nil";
    case Kind::list:
    case Kind::map: {
      std::string text;
      for (std::uint32_t at = node + 1; at < it.end; at = nodes_[at].end) text += (text.empty() ? "" : " ") + str(at);
      return it.kind == Kind::map ? "{" + text + "}" : "[" + text + "]";
    }
    default:
      return std::string(it.text);
  }
}

Syntax syntax_of(std::string_view text) {
  std::size_t at = text.find('{');
  if (at == std::string_view::npos)
    return text.find_first_of("#;(") == std::string_view::npos ? Syntax::json : Syntax::edn;
  // A '#' before the first map is a tag or a comment of EDN.
  if (text.substr(0, at).find_first_of("#;(") != std::string_view::npos) return Syntax::edn;
  while (++at < text.size() && is_blank(text[at])) {
  }
  if (at >= text.size() || text[at] != '"') return at < text.size() && text[at] == '}' ? Syntax::json : Syntax::edn;
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  while (++at < text.size() && is_blank(text[at])) {
  }
  return at < text.size() && text[at] == ':' ? Syntax::json : Syntax::edn;
}

}  // namespace lockstep::histories
