// portable.cc: one form a verb, from one table.
#include "engine/spec/portable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "engine/base/suggest.h"
#include "engine/spec/characters.h"

namespace lockstep::spec {
namespace {

struct Form {
  PortableVerb verb;
  std::string_view name;
  std::string_view written;  ///< for complaints
  std::size_t names;         ///< at most, after `->`
};

constexpr std::array kForms = {
    Form{PortableVerb::begin, "begin", "begin [claims KEY, KEY]", 0},
    Form{PortableVerb::read, "read", "read KEY [-> name]", 1},
    Form{PortableVerb::read_for_update, "read_for_update", "read_for_update KEY [-> name]", 1},
    Form{PortableVerb::write, "write", "write KEY = VALUE", 0},
    Form{PortableVerb::insert, "insert", "insert KEY = VALUE", 0},
    Form{PortableVerb::write_if, "write_if", "write_if KEY = VALUE if VALUE [-> rows]", 1},
    Form{PortableVerb::add, "add", "add KEY NUMBER [-> sum]", 1},
    Form{PortableVerb::add_if, "add_if", "add_if KEY NUMBER >= NUMBER [-> rows]", 1},
    Form{PortableVerb::erase, "erase", "erase KEY [-> rows]", 1},
    Form{PortableVerb::scan, "scan", "scan KEY .. [KEY] [limit N] [-> rows, first key, sum]", 3},
    Form{PortableVerb::scan_for_update, "scan_for_update",
         "scan_for_update KEY .. [KEY] [limit N] [-> rows, first key, sum]", 3},
    Form{PortableVerb::savepoint, "savepoint", "savepoint NAME", 0},
    Form{PortableVerb::rollback_to, "rollback_to", "rollback_to NAME", 0},
    Form{PortableVerb::release, "release", "release NAME", 0},
    Form{PortableVerb::commit, "commit", "commit", 0},
    Form{PortableVerb::abort, "abort", "abort", 0},
    Form{PortableVerb::require, "require", "require CONDITION \"text\"", 0},
    Form{PortableVerb::sql, "sql", "sql STATEMENT", 0},
};

constexpr std::string_view kSpaces = " \t\r\n";

bool is_name(std::string_view text) {
  return !text.empty() && begins_name(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return begins_name(c) || is_digit(c); });
}

class StepReader {
 public:
  explicit StepReader(std::string_view text) : text_(text) {}

  Result<PortableStep> read() {
    const std::string_view verb = word();
    const auto* const form =
        std::find_if(kForms.begin(), kForms.end(), [verb](const Form& each) { return each.name == verb; });
    if (form == kForms.end()) return unknown(verb);
    form_ = form;
    step_.operation.verb = form->verb;
    read_form();
    if (complaint_.empty()) read_captures();
    if (!complaint_.empty()) return Error{Fault::invalid, {}, std::move(complaint_)};
    return std::move(step_);
  }

 private:
  static Error unknown(std::string_view verb) {
    std::vector<std::string> names;
    for (const Form& each : kForms) names.emplace_back(each.name);
    std::string what = unknown_name("verb", verb, names);
    return {Fault::invalid, {}, what + " (a file with `given` is written in portable verbs; SQL needs `setup`)"};
  }
  void complain(std::string_view what) {
    if (complaint_.empty()) complaint_ = fmt::format("{}; write `{}`", what, form_->written);
  }
  void skip() { text_.remove_prefix(std::min(text_.find_first_not_of(kSpaces), text_.size())); }
  std::string_view word() {
    skip();
    const std::string_view found = text_.substr(0, std::min(text_.find_first_of(kSpaces), text_.size()));
    text_.remove_prefix(found.size());
    return found;
  }
  bool take(std::string_view sign) {
    skip();
    if (!text_.starts_with(sign)) return false;
    text_.remove_prefix(sign.size());
    return true;
  }
  bool take_word(std::string_view wanted) {
    skip();
    if (!text_.starts_with(wanted)) return false;
    if (text_.size() > wanted.size() && kSpaces.find(text_[wanted.size()]) == std::string_view::npos) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  /// A key: up to a blank, a comma, `=` or `->`; or any text in double quotes.
  std::string key() {
    skip();
    std::string name;
    if (text_.starts_with('"')) {
      const std::size_t end = text_.find('"', 1);
      if (end == std::string_view::npos) {
        complain("a key in quotes is not closed");
        return {};
      }
      name = text_.substr(1, end - 1);
      text_.remove_prefix(end + 1);
    } else {
      const std::size_t size = std::min({text_.find_first_of(" \t\r\n,="), text_.find("->"), text_.size()});
      name = text_.substr(0, size);
      text_.remove_prefix(size);
    }
    if (name.empty()) complain("a key is missing");
    return name;
  }
  Expression expression(Reach reach) {
    Result<Expression> read = take_expression(text_, reach);
    if (read) return std::move(*read);
    complain(read.error().message);
    return {};
  }
  void read_form() {
    Operation& operation = step_.operation;
    switch (operation.verb) {
      case PortableVerb::begin:
        if (!take_word("claims")) return;
        do {
          operation.claims.push_back(key());
        } while (take(","));
        return;
      case PortableVerb::commit:
      case PortableVerb::abort:
        return;
      case PortableVerb::write:
      case PortableVerb::insert:
      case PortableVerb::write_if:
        operation.key = key();
        if (!take("=")) return complain("`=` is missing");
        operation.value = expression(Reach::sum);
        if (operation.verb != PortableVerb::write_if) return;
        if (!take_word("if")) return complain("`if` is missing");
        operation.compared = expression(Reach::sum);
        return;
      case PortableVerb::add:
      case PortableVerb::add_if:
        operation.key = key();
        operation.value = expression(Reach::sum);
        if (operation.verb == PortableVerb::add) return;
        if (!take(">=")) return complain("`>=` is missing");
        operation.compared = expression(Reach::sum);
        return;
      case PortableVerb::scan:
      case PortableVerb::scan_for_update:
        return read_scan();
      case PortableVerb::require:
        operation.value = expression(Reach::condition);
        read_text();
        return;
      case PortableVerb::sql:
        skip();
        operation.text = text_;
        text_ = {};
        if (operation.text.empty()) complain("the statement is missing");
        return;
      default:
        operation.key = key();
        return;
    }
  }
  void read_scan() {
    Operation& operation = step_.operation;
    operation.key = key();
    if (!take("..")) return complain("`..` is missing");
    skip();
    const bool has_end = !text_.empty() && !text_.starts_with("->") && !text_.starts_with("limit ");
    if (has_end) operation.upper = key();
    if (!take_word("limit")) return;
    const auto number = whole_number(word());
    if (!number || *number < 1) return complain("`limit` takes a whole number from 1 on");
    operation.limit = static_cast<std::size_t>(*number);
  }
  /// The sentence of `require`; may be left out.
  void read_text() {
    skip();
    if (text_.empty()) return;
    if (text_.size() < 2 || text_.front() != '"' || text_.find('"', 1) != text_.size() - 1)
      return complain("after the condition comes a text in double quotes, and nothing more");
    step_.operation.text = text_.substr(1, text_.size() - 2);
    text_ = {};
  }
  void read_captures() {
    if (take("->")) {
      do {
        skip();
        const std::size_t size = std::min(text_.find_first_of(" \t\r\n,"), text_.size());
        const std::string_view name = text_.substr(0, size);
        if (!is_name(name)) return complain(fmt::format("\"{}\" is no name for an answer", name));
        step_.captures.emplace_back(name);
        text_.remove_prefix(size);
      } while (take(","));
      if (step_.captures.size() > form_->names) {
        return complain(form_->names == 0 ? fmt::format("`{}` has no answer to name", form_->name)
                                          : fmt::format("`{}` has fewer answers to name", form_->name));
      }
    }
    skip();
    if (!text_.empty()) complain(fmt::format("\"{}\" is left over", text_.substr(0, 40)));
  }

  std::string_view text_;
  PortableStep step_;
  const Form* form_ = nullptr;
  std::string complaint_;
};

}  // namespace

std::string_view name_of(PortableVerb verb) noexcept {
  return std::find_if(kForms.begin(), kForms.end(), [verb](const Form& each) { return each.verb == verb; })->name;
}

Result<PortableStep> portable_step(std::string_view text) { return StepReader(text).read(); }

std::vector<std::string_view> names_in_key(std::string_view key) {
  std::vector<std::string_view> names;
  for (std::size_t at = key.find(':'); at != std::string_view::npos; at = key.find(':', at + 1)) {
    std::size_t end = at + 1;
    while (end < key.size() && (begins_name(key[end]) || (end > at + 1 && is_digit(key[end])))) ++end;
    if (end > at + 1) names.push_back(key.substr(at + 1, end - at - 1));
  }
  return names;
}

Result<std::vector<std::pair<std::string, std::string>>> given_rows(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::set<std::string> keys;
  const auto wrong = [](std::string what) {
    return Error{Fault::invalid, {}, what + "; write `given A = 100, B = 'on'`"};
  };
  const auto skip = [&text] { text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size())); };
  for (skip(); !text.empty(); skip()) {
    if (!rows.empty()) {
      if (text.front() != ',') return wrong("a comma is missing between two rows");
      text.remove_prefix(1);
      skip();
    }
    const bool quoted = text.starts_with('"');
    const std::size_t end = quoted ? text.find('"', 1) : std::min(text.find_first_of(" \t\r\n=,"), text.size());
    if (end == std::string_view::npos) return wrong("a key in quotes is not closed");
    std::string key(text.substr(quoted ? 1 : 0, quoted ? end - 1 : end));
    text.remove_prefix(end + (quoted ? 1 : 0));
    if (key.empty()) return wrong("a key is missing");
    skip();
    if (!text.starts_with('=')) return wrong(fmt::format("`=` is missing after {}", key));
    text.remove_prefix(1);
    Result<Expression> value = take_expression(text, Reach::sum);
    if (!value) return wrong(value.error().message);
    if (!value->names().empty())
      return wrong(fmt::format("{} is no value: a number, or 'text'", value->names().front()));
    Result<std::string> written = value->value([](std::string_view) { return std::string(); });
    if (!written) return wrong(written.error().message);
    if (!keys.insert(key).second) return wrong(fmt::format("the row {} is given twice", key));
    rows.emplace_back(std::move(key), std::move(*written));
  }
  return rows;
}

}  // namespace lockstep::spec
