// expression.cc: a parser by recursive descent, and a machine with a stack.
#include "engine/spec/expression.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/spec/characters.h"

namespace lockstep::spec {

namespace {

constexpr int kDepthMost = 64;

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text) noexcept {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || rest != end) return std::nullopt;
  return number;
}

class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : text_(text) {}

  Result<Expression> parse(Reach reach) {
    if (reach == Reach::sum) {
      sum();
    } else {
      disjunction();
    }
    if (!complaint_.empty()) return Error{Fault::invalid, {}, complaint_};
    return std::move(made_);
  }
  std::string_view rest() const noexcept { return text_; }

 private:
  using Op = Expression::Op;

  void skip() {
    while (!text_.empty() && (is_blank(text_.front()) || text_.front() == '\n')) text_.remove_prefix(1);
  }
  /// The word at the front, not taken.
  std::string_view word() {
    skip();
    if (text_.empty() || !begins_name(text_.front())) return {};
    std::size_t size = 1;
    while (size < text_.size() && goes_on_name(text_[size])) ++size;
    return text_.substr(0, size);
  }
  bool take_word(std::string_view wanted) {
    if (word() != wanted) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  bool take_sign(std::string_view sign) {
    skip();
    if (!text_.starts_with(sign)) return false;
    text_.remove_prefix(sign.size());
    return true;
  }
  void complain(std::string sentence) {
    if (complaint_.empty()) complaint_ = std::move(sentence);
  }
  void add(Op op, std::int64_t number = 0, std::string text = {}) {
    if (made_.program_.empty()) made_.program_.reserve(4);
    made_.program_.push_back({op, number, std::move(text)});
  }

  void disjunction() {
    conjunction();
    while (complaint_.empty() && take_word("or")) {
      conjunction();
      add(Op::either);
    }
  }
  void conjunction() {
    comparison();
    while (complaint_.empty() && take_word("and")) {
      comparison();
      add(Op::both);
    }
  }
  void comparison() {
    sum();
    if (!complaint_.empty()) return;
    struct Sign {
      std::string_view text;
      Op op;
      bool negated;
    };
    // a > b is not (a <= b), a >= b is not (a < b).
    static constexpr Sign kSigns[] = {{"!=", Op::unequal, false}, {"<=", Op::at_most, false}, {">=", Op::less, true},
                                      {"=", Op::equal, false},    {"<", Op::less, false},     {">", Op::at_most, true}};
    for (const Sign& sign : kSigns) {
      if (!take_sign(sign.text)) continue;
      sum();
      add(sign.op);
      if (!sign.negated) return;
      add(Op::number, 0);
      add(Op::equal);
      return;
    }
  }
  void sum() {
    product();
    while (complaint_.empty()) {
      skip();
      if (text_.starts_with("->")) return;  // what comes after it is a name for the answer
      const bool plus = take_sign("+");
      if (!plus && !take_sign("-")) return;
      product();
      add(plus ? Op::add : Op::subtract);
    }
  }
  void product() {
    factor();
    while (complaint_.empty() && take_sign("*")) {
      factor();
      add(Op::multiply);
    }
  }
  void factor() {
    if (++depth_ > kDepthMost) {
      complain(fmt::format("more than {} parentheses and signs within each other", kDepthMost));
    } else {
      read_factor();
    }
    --depth_;
  }
  void read_factor() {
    skip();
    if (text_.empty()) return complain("the expression ends where a value must come");
    const char first = text_.front();
    if (take_sign("-")) {
      factor();
      add(Op::negate);
    } else if (take_sign("(")) {
      disjunction();
      if (complaint_.empty() && !take_sign(")")) complain("a parenthesis is not closed");
    } else if (is_digit(first)) {
      read_number();
    } else if (first == '\'' || first == '"') {
      read_quoted(first);
    } else if (const std::string_view name = word(); !name.empty() && !is_reserved(name)) {
      add(Op::name, 0, std::string(name));
      text_.remove_prefix(name.size());
    } else {
      complain(fmt::format("\"{}\" stands where a value must come: a number, a name, 'text', or a parenthesis",
                           text_.substr(0, 20)));
    }
  }
  static bool is_reserved(std::string_view word) { return word == "and" || word == "or" || word == "if"; }

  void read_number() {
    std::size_t size = 1;
    while (size < text_.size() && goes_on_name(text_[size])) ++size;
    const auto number = whole_number(text_.substr(0, size));
    if (!number) return complain(fmt::format("\"{}\" is no whole number of 64 bits", text_.substr(0, size)));
    add(Op::number, *number);
    text_.remove_prefix(size);
  }
  void read_quoted(char quote) {
    std::string content;
    std::size_t at = 1;
    for (;; ++at) {
      if (at >= text_.size() || text_[at] == '\n') return complain(fmt::format("a text in {} is not closed", quote));
      if (text_[at] != quote) {
        content += text_[at];
      } else if (at + 1 < text_.size() && text_[at + 1] == quote) {
        content += text_[at++];
      } else {
        break;
      }
    }
    text_.remove_prefix(at + 1);
    add(quote == '"' ? Op::name : Op::text, 0, std::move(content));
  }

  std::string_view text_;
  Expression made_;
  std::string complaint_;
  int depth_ = 0;
};

Result<Expression> take_expression(std::string_view& text, Reach reach) {
  ExpressionParser parser(text);
  Result<Expression> parsed = parser.parse(reach);
  if (parsed) text = parser.rest();
  return parsed;
}

std::vector<std::string_view> Expression::names() const {
  std::vector<std::string_view> names;
  for (const Term& term : program_) {
    if (term.op == Op::name) names.push_back(term.text);
  }
  return names;
}

Result<std::string> Expression::value(const Lookup& lookup) const {
  std::vector<std::string> stack;
  bool overflow = false;
  const auto pop = [&stack] {
    std::string top = std::move(stack.back());
    stack.pop_back();
    return top;
  };
  const auto number_of = [](const std::string& text) { return whole_number(text).value_or(0); };
  for (const Term& term : program_) {
    switch (term.op) {
      case Op::number:
        stack.push_back(std::to_string(term.number));
        continue;
      case Op::text:
        stack.push_back(term.text);
        continue;
      case Op::name:
        stack.push_back(lookup(term.text));
        continue;
      default:
        break;
    }
    std::int64_t answer = 0;
    const std::string right = pop();
    const std::int64_t r = number_of(right);
    if (term.op == Op::negate) {
      overflow = overflow || __builtin_sub_overflow(std::int64_t{0}, r, &answer);
      stack.push_back(std::to_string(answer));
      continue;
    }
    const std::string left = pop();
    const std::int64_t l = number_of(left);
    const bool numbers = whole_number(left) && whole_number(right);
    switch (term.op) {
      case Op::add:
        overflow = overflow || __builtin_add_overflow(l, r, &answer);
        break;
      case Op::subtract:
        overflow = overflow || __builtin_sub_overflow(l, r, &answer);
        break;
      case Op::multiply:
        overflow = overflow || __builtin_mul_overflow(l, r, &answer);
        break;
      case Op::equal:
        answer = numbers ? l == r : left == right;
        break;
      case Op::unequal:
        answer = numbers ? l != r : left != right;
        break;
      case Op::less:
        answer = l < r;
        break;
      case Op::at_most:
        answer = l <= r;
        break;
      case Op::both:
        answer = l != 0 && r != 0;
        break;
      default:
        answer = l != 0 || r != 0;
        break;
    }
    stack.push_back(std::to_string(answer));
  }
  if (overflow) return Error{Fault::invalid, {}, "a number leaves 64 bits"};
  return stack.empty() ? std::string() : std::move(stack.back());
}

Result<std::int64_t> Expression::number(const Lookup& lookup) const {
  const Result<std::string> text = value(lookup);
  if (!text) return text.error();
  return whole_number(*text).value_or(0);
}

}  // namespace lockstep::spec
