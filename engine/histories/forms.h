// forms.h: EDN and JSON, read form by form from a text that stays where it is.
//
// A subset of EDN is enough for histories: tags and metadata are dropped, what they stand before is kept. Keywords,
// symbols and JSON's strings all are words here: which of them a program wrote makes no difference to a history.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::histories {

enum class Syntax : std::uint8_t { edn, json };

/// One form after another. What it gave is valid until it reads the next one. Not thread-safe.
class Forms {
 public:
  enum class Kind : std::uint8_t { nil, boolean, integer, real, word, list, map };

  /// A form and what is in it, one after another: the nodes of `form` are [form, end of form). A map holds keys and
  /// values in turn.
  struct Node {
    Kind kind = Kind::nil;
    std::uint32_t size = 0;      ///< forms in it
    std::uint32_t end = 0;       ///< the node after all that is in it
    std::int64_t number = 0;     ///< of an integer; 1 for true
    std::string_view text;       ///< of a word, without the colon; of a number, as it was written
    std::size_t at = 0, to = 0;  ///< where it stands in the text
  };

  Forms(std::string_view text, Syntax syntax) : text_(text), syntax_(syntax) {}

  /// Reads one form into nodes(), the first of them. False at the end of the text, and at a mistake.
  bool next();
  /// Steps into a list that begins here, so that next() gives what is in it. False when there is none.
  bool enter();
  bool failed() const noexcept { return !error_.empty(); }
  const std::string& error() const noexcept { return error_; }
  std::size_t error_at() const noexcept { return error_at_; }

  const std::vector<Node>& nodes() const noexcept { return nodes_; }
  const Node& node(std::uint32_t number) const { return nodes_[number]; }
  /// Where it goes on, and a way to go elsewhere.
  std::size_t place() const noexcept { return at_; }
  void go_to(std::size_t place) noexcept { at_ = place; }

  /// As it would be written in EDN, on one line.
  std::string str(std::uint32_t node) const;

 private:
  bool fail(std::string what);
  bool read(int depth);
  bool read_here(int depth);
  bool read_short_integer();
  bool read_edn(int depth);
  bool read_json(int depth);
  bool read_sequence(char end, Kind kind, int depth);
  bool read_string();
  bool read_escape(std::string& into);
  bool read_code_point(std::string& into);
  void read_atom();
  bool read_dispatch(int depth);
  bool skip_blanks();
  std::uint32_t open(Kind kind);
  void close(std::uint32_t node, std::uint32_t size);
  bool at_end() const noexcept { return at_ >= text_.size(); }

  static constexpr int kDepthMost = 64;

  const std::string_view text_;
  const Syntax syntax_;
  std::size_t at_ = 0;
  int discards_ = 0;   // inside each other
  char until_ = '\0';  // the bracket that closes the list that was entered
  std::vector<Node> nodes_;
  std::deque<std::string> unescaped_;
  std::string error_;
  std::size_t error_at_ = 0;
};

/// JSON when the first map has a text and a colon for a key, else EDN.
Syntax syntax_of(std::string_view text);

}  // namespace lockstep::histories
