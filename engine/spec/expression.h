// expression.h: the expressions of portable files: `a - 10`, `x + y >= 100`, `me != 'T1' and (a = b)`.
//
//   expression = and { "or" and }                    comparison = sum [ ("=" | "!=" | "<" | "<=" | ">" | ">=") sum ]
//   and        = comparison { "and" comparison }     sum        = product { ("+" | "-") product }
//   product    = factor { "*" factor }               factor     = "-" factor | "(" expression ")" | number | 'text' |
//   name
//
// A name is a word, or any text in double quotes (a key such as "account/1"). Every value is text; a text that is a
// whole number counts as that number. `=` and `!=` compare numbers where both sides are numbers, else texts. What is
// true is 1, what is false 0.
//
// Thread-safe: values. Nothing waits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::spec {

class Expression {
 public:
  /// What a name stands for; empty where it stands for nothing.
  using Lookup = std::function<std::string(std::string_view)>;

  /// The value as text. Fault::invalid when a number leaves 64 bits.
  Result<std::string> value(const Lookup& lookup) const;
  /// The value as a number; what is none counts as 0, as everywhere in the portable verbs.
  Result<std::int64_t> number(const Lookup& lookup) const;
  /// The names that it asks for, in their order, each as often as it stands there. The expression outlives the views.
  std::vector<std::string_view> names() const;
  bool empty() const noexcept { return program_.empty(); }

 private:
  friend class ExpressionParser;
  enum class Op : std::uint8_t {
    number,
    text,
    name,
    negate,
    add,
    subtract,
    multiply,
    equal,
    unequal,
    less,
    at_most,
    both,
    either
  };
  struct Term {
    Op op;
    std::int64_t number = 0;
    std::string text = {};
  };
  /// In the order of a machine with a stack.
  std::vector<Term> program_;
};

/// How far an expression may go: a value to be compared by what stands after it, or a whole condition.
enum class Reach : std::uint8_t { sum, condition };

/// Reads an expression from the front of `text`, and takes it off. It ends before a word that cannot go on, such as
/// `if`. Fault::invalid: what is wrong, in one sentence.
Result<Expression> take_expression(std::string_view& text, Reach reach);

/// The whole number that `text` is; nullopt when it is none.
std::optional<std::int64_t> whole_number(std::string_view text) noexcept;

}  // namespace lockstep::spec
