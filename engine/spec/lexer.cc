// lexer.cc: see lexer.h.
#include "engine/spec/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/spec/characters.h"

namespace lockstep::spec {
namespace {

constexpr std::array<std::string_view, 6> kKeywords = {"notices", "permutation", "session",
                                                       "setup",   "step",        "teardown"};

}  // namespace

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\f\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view without_comment(std::string_view text) noexcept {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#' && (i == 0 || is_blank(text[i - 1]))) {
      return text.substr(0, i);
    }
  }
  return text;
}

std::size_t name_at(std::string_view text) noexcept {
  if (text.empty()) return 0;
  if (text.front() != '"') {
    if (!begins_name(text.front())) return 0;
    std::size_t size = 1;
    while (size < text.size() && goes_on_name(text[size])) ++size;
    return size;
  }
  for (std::size_t at = 1; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] != '"') continue;
    if (at + 1 >= text.size() || text[at + 1] != '"') return at + 1;
    ++at;
  }
  return 0;
}

bool Token::is_name() const noexcept {
  if (kind != Kind::name) return false;
  return quoted || std::find(kKeywords.begin(), kKeywords.end(), text) == kKeywords.end();
}

std::string Token::in_words() const {
  if (kind == Kind::end) return "the end of the file";
  if (kind == Kind::block) return "a block in braces";
  return fmt::format("\"{}\"", text);
}

void Lexer::complain(int line, std::string what, std::string original) {
  if (failed_) return;
  failed_ = true;
  complaint_ = {line, std::move(what), std::move(original)};
  at_ = text_.size();
  token_ = {.kind = Token::Kind::end, .line = line, .begin = at_};
  has_token_ = true;
  token_end_ = at_;
  token_end_line_ = line_;
}

void Lexer::complain_at(const Token& token, std::string what) {
  complain(token.line, std::move(what), fmt::format("syntax error at line {}", token.line));
}

void Lexer::skip() {
  if (failed_) return;
  has_token_ = false;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
    } else if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      continue;
    } else if (!is_blank(c)) {
      break;
    }
    ++at_;
  }
}

const Token& Lexer::peek() {
  if (!has_token_) {
    skip();
    if (!failed_) lex();
  }
  return token_;
}

Token Lexer::take() {
  (void)peek();
  at_ = token_end_;
  line_ = token_end_line_;
  if (failed_) return token_;
  has_token_ = false;
  return std::move(token_);
}

/// The token at the cursor, which stands on no blank.
void Lexer::lex() {
  token_ = {.line = line_, .begin = at_};
  has_token_ = true;
  token_end_ = at_;
  token_end_line_ = line_;
  if (at_ >= text_.size()) return;
  const char c = text_[at_];
  if (c == '"') return lex_quoted();
  if (c == '{') return lex_block();
  if (begins_name(c)) {
    token_.kind = Token::Kind::name;
    token_end_ += name_at(text_.substr(at_));
  } else if (is_digit(c)) {
    token_.kind = Token::Kind::number;
    while (token_end_ < text_.size() && is_digit(text_[token_end_])) ++token_end_;
  } else if (c == '*' || c == ',' || c == '(' || c == ')') {
    token_.kind = Token::Kind::sign;
    ++token_end_;
  } else {
    const bool is_comment_of_sql = text_.substr(at_).starts_with("--");
    return complain(line_,
                    is_comment_of_sql ? std::string("a comment outside of SQL begins with `#`")
                                      : fmt::format("\"{}\" stands where a statement or a name must come", c),
                    fmt::format("syntax error at line {}: unexpected character \"{}\"", line_, c));
  }
  token_.text = text_.substr(at_, token_end_ - at_);
}

void Lexer::lex_quoted() {
  token_.kind = Token::Kind::name;
  token_.quoted = true;
  for (std::size_t at = at_ + 1;; ++at) {
    if (at >= text_.size()) {
      return complain(line_, "a text in double quotes is not closed",
                      fmt::format("unterminated quoted identifier at line {}", line_));
    }
    if (text_[at] == '\n') {
      return complain(line_, "a text in double quotes is not closed on its line",
                      fmt::format("unexpected newline in quoted identifier at line {}", line_));
    }
    if (text_[at] == '"') {
      if (at + 1 >= text_.size() || text_[at + 1] != '"') {
        token_end_ = at + 1;
        return;
      }
      ++at;
    }
    token_.text += text_[at];
  }
}

void Lexer::lex_block() {
  token_.kind = Token::Kind::block;
  const std::size_t end = text_.find('}', at_);
  const std::string_view content =
      text_.substr(at_ + 1, end == std::string_view::npos ? std::string_view::npos : end - at_ - 1);
  const auto newlines = static_cast<int>(std::count(content.begin(), content.end(), '\n'));
  if (end == std::string_view::npos) {
    return complain(line_, "the block that begins here has no closing brace",
                    fmt::format("unterminated sql block at line {}", line_ + newlines));
  }
  std::string_view inside = content;
  while (!inside.empty() && is_blank(inside.front())) inside.remove_prefix(1);
  while (!inside.empty() && is_blank(inside.back())) inside.remove_suffix(1);
  token_.text = inside;
  token_end_ = end + 1;
  token_end_line_ = line_ + newlines;
}

bool Lexer::is_session_ahead(std::size_t from) const {
  const std::string_view ahead = text_.substr(from);
  std::size_t at = name_at(ahead);
  if (at == 0) return false;
  while (at < ahead.size() && (ahead[at] == ' ' || ahead[at] == '\t')) ++at;
  return at < ahead.size() && ahead[at] == ':' && (at + 1 >= ahead.size() || ahead[at + 1] != ':');
}

bool Lexer::take_session(std::string& name) {
  if (failed_ || !at_line_start() || !is_session_ahead(at_)) return false;
  name = take().text;
  if (failed_) return false;
  at_ = text_.find(':', at_) + 1;
  has_token_ = false;
  return true;
}

void Lexer::next_line() noexcept {
  if (failed_) return;
  const std::size_t end = text_.find('\n', at_);
  if (end == std::string_view::npos) {
    at_ = text_.size();
    return;
  }
  at_ = end + 1;
  ++line_;
}

std::string_view Lexer::take_line() {
  has_token_ = failed_;
  const std::string_view rest = text_.substr(at_, std::min(text_.find('\n', at_), text_.size()) - at_);
  next_line();
  return trimmed(rest);
}

std::string_view Lexer::indented_line() const noexcept {
  if (at_ >= text_.size() || !at_line_start() || !is_blank(text_[at_])) return {};
  const std::string_view whole = text_.substr(at_, std::min(text_.find('\n', at_), text_.size()) - at_);
  return trimmed(whole).empty() ? std::string_view() : whole;
}

std::string Lexer::take_statement() {
  std::string statement(trimmed(without_comment(take_line())));
  for (std::string_view raw = indented_line(); !failed_ && !raw.empty(); raw = indented_line()) {
    const std::string_view content = trimmed(without_comment(raw));
    if (content.starts_with("=>")) break;
    if (!content.empty()) statement += fmt::format("{}{}", statement.empty() ? "" : " ", content);
    next_line();
  }
  return statement;
}

}  // namespace lockstep::spec
