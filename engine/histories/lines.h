// lines.h: the operations of a history as text, a map on a line, in the forms that Jepsen and Elle read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/histories/forms.h"

namespace lockstep::histories {

/// One transaction's value after another. Not thread-safe.
class HistoryLines {
 public:
  explicit HistoryLines(Syntax syntax) : json_(syntax == Syntax::json) {}

  // ---- parts of a value

  /// A text in quotes.
  std::string quoted(std::string_view text) const;
  const char* nil() const { return json_ ? "null" : "nil"; }
  /// Onto the end of `value`: [f key what], where key and what are parts.
  void step(std::string& value, std::string_view f, std::string_view key, std::string_view what) const;
  /// Between two elements of a list.
  const char* between() const { return json_ ? "," : " "; }

  // ---- lines

  /// `value` is what step() made of it.
  void line(int process, std::string_view type, std::string_view value);
  /// The whole text: lines (EDN), or an array (JSON).
  std::string take() const { return json_ ? "[" + text_ + "]\n" : text_ + "\n"; }

 private:
  const bool json_;
  std::string text_;
  std::size_t index_ = 0;
};

}  // namespace lockstep::histories
