// lexer.h: the tokens of PostgreSQL's isolation specs, and the lines of what is added to them.
//
// The rules are those of isolationtester's lexer, so that a spec of PostgreSQL has the same tokens here: names keep
// their case, a block ends at its first `}`, blanks but not newlines go at both ends of a block, `#` begins a comment.
#pragma once

#include <string>
#include <string_view>

#include "engine/spec/spec_file.h"

namespace lockstep::spec {

struct Token {
  enum class Kind : std::uint8_t { end, name, number, block, sign };
  Kind kind = Kind::end;
  std::string text = {};  ///< without quotes and braces
  bool quoted = false;
  int line = 0;  ///< where it begins
  std::size_t begin = 0;

  bool is_word(std::string_view word) const noexcept { return kind == Kind::name && !quoted && text == word; }
  bool is_sign(std::string_view sign) const noexcept { return kind == Kind::sign && text == sign; }
  /// A name that may stand for something: no keyword of PostgreSQL's, unless quoted.
  bool is_name() const noexcept;
  /// For complaints: `"x"`, `a block`, `the end of the file`.
  std::string in_words() const;
};

/// A cursor over a text. The first complaint counts; after it there is nothing more to read.
class Lexer {
 public:
  /// The text outlives the lexer.
  explicit Lexer(std::string_view text) : text_(text) {}

  void complain(int line, std::string what, std::string original = {});
  /// As above, with isolationtester's words for a token in the wrong place.
  void complain_at(const Token& token, std::string what);
  bool failed() const noexcept { return failed_; }
  const Complaint& complaint() const noexcept { return complaint_; }

  /// Goes over blanks, newlines and comments.
  void skip();
  bool at_end() const noexcept { return failed_ || at_ >= text_.size(); }
  int line() const noexcept { return line_; }

  /// The next token, not taken.
  const Token& peek();
  Token take();

  bool starts_with(std::string_view text) const noexcept { return !failed_ && text_.substr(at_).starts_with(text); }
  /// True at the first byte of a line.
  bool at_line_start() const noexcept { return at_ == 0 || text_[at_ - 1] == '\n'; }
  /// True when a name and a colon begin here: a script line. It is taken then, up to behind the colon.
  bool take_session(std::string& name);
  bool is_session_ahead(std::size_t from) const;
  void advance(std::size_t bytes) noexcept { at_ += bytes; }

  /// From here to the end of the line, without blanks at both ends. Goes to the next line.
  std::string_view take_line();
  /// As above without a comment, and with the lines below that are indented.
  std::string take_statement();
  /// The lines below that belong to a script line: indented, not blank, no `=>`. Without comments. `last_line`: where
  /// they end. `is_session`: told of a name with a colon at the front of such a line.
  template <class IsSession>
  std::string take_script(int& last_line, IsSession is_session);

 private:
  /// The next line when it is indented and has something, from its first byte on; empty: it is none.
  std::string_view indented_line() const noexcept;
  void next_line() noexcept;
  void lex();
  void lex_quoted();
  void lex_block();

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  Token token_;
  bool has_token_ = false;
  std::size_t token_end_ = 0;
  int token_end_line_ = 0;
  bool failed_ = false;
  Complaint complaint_;
};

std::string_view trimmed(std::string_view text) noexcept;
/// `text` up to a `#` that stands at its front or after a blank, outside of quotes.
std::string_view without_comment(std::string_view text) noexcept;
/// The bytes of the name at the front of `text`, quotes included; 0: there is none.
std::size_t name_at(std::string_view text) noexcept;

template <class IsSession>
std::string Lexer::take_script(int& last_line, IsSession is_session) {
  last_line = line_;
  std::string statement(take_line());
  for (std::string_view raw = indented_line(); !failed_ && !raw.empty(); raw = indented_line()) {
    const std::string_view content = trimmed(raw);
    if (content.starts_with("=>")) break;
    if (const std::size_t name = name_at(content);
        name > 0 && name < content.size() && content[name] == ':' && is_session(content.substr(0, name))) {
      complain(line_, "a script line begins at the start of its line, without blanks before the session");
      break;
    }
    if (!content.starts_with('#')) {
      if (!statement.empty()) statement += '\n';
      statement += statement.empty() ? content : raw.substr(0, raw.find_last_not_of(" \t\r") + 1);
      last_line = line_;
    }
    next_line();
  }
  return statement;
}

}  // namespace lockstep::spec
