// remedies.cc: rewrites the steps of a pattern, session by session.
#include "engine/script/remedies.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <regex>
#include <set>

namespace lockstep::script {
namespace {

using Pattern = spec::SpecPattern;
using spec::PortableVerb;
using Session = spec::SpecSession;
using spec::SpecFile;
using spec::Step;

/// What a step does to a row, as far as its form tells.
struct Use {
  std::string row = {};  ///< "accounts where id = 1", or the key; empty: it is not known
  bool locks = false;    ///< it is changed, or locked for that
  bool reads = false;    ///< without a lock
  bool fixed = false;    ///< nothing may pass it: begin, commit, savepoints, what is not understood
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// The first words of a statement, in lower case.
bool begins(const std::string& sql, std::string_view words) { return lower(sql.substr(0, words.size())) == words; }

Use use_of_sql(const std::string& sql) {
  static const std::regex update(R"(^update\s+(\S+)\s+set\s[\s\S]*?\swhere\s+([\s\S]*?)(\s+returning\s[\s\S]*)?$)",
                                 std::regex::icase);
  static const std::regex erase(R"(^delete\s+from\s+(\S+)\s+where\s+([\s\S]*?)(\s+returning\s[\s\S]*)?$)",
                                std::regex::icase);
  static const std::regex locked(
      R"(^select\s[\s\S]*?\sfrom\s+(\S+)\s+where\s+([\s\S]*?)\s+for\s+(no\s+key\s+)?update[\s\S]*$)",
      std::regex::icase);
  static const std::regex plain(R"(^select\s[\s\S]*?\sfrom\s+(\S+)\s+where\s+([\s\S]*)$)", std::regex::icase);
  std::smatch found;
  const auto row = [&found] { return lower(found[1]) + " where " + std::string(found[2]); };
  if (std::regex_match(sql, found, update) || std::regex_match(sql, found, erase)) return {.row = row(), .locks = true};
  if (std::regex_match(sql, found, locked)) return {.row = row(), .locks = true};
  if (std::regex_match(sql, found, plain) && !std::regex_search(sql, std::regex(R"(\sfor\s+share)", std::regex::icase)))
    return {.row = row(), .reads = true};
  return {.fixed = true};
}

Use use_of(const Step& step) {
  if (!step.operation) return use_of_sql(step.text);
  switch (step.operation->verb) {
    case PortableVerb::read:
      return {.row = step.operation->key, .reads = true};
    case PortableVerb::read_for_update:
    case PortableVerb::write:
    case PortableVerb::insert:
    case PortableVerb::write_if:
    case PortableVerb::add:
    case PortableVerb::add_if:
    case PortableVerb::erase:
      return {.row = step.operation->key, .locks = true};
    default:
      return {.fixed = true};
  }
}

/// The names that the step takes from what was read before.
std::vector<std::string> names_used(const Step& step) {
  std::vector<std::string> names;
  if (step.operation) {
    for (const std::string_view name : step.operation->value.names()) names.emplace_back(name);
    for (const std::string_view name : step.operation->compared.names()) names.emplace_back(name);
  }
  static const std::regex named(R"(:'?([A-Za-z_]\w*))");
  for (std::sregex_iterator at(step.text.begin(), step.text.end(), named), end; at != end; ++at)
    names.push_back((*at)[1]);
  return names;
}

bool depends(const Step& later, const Step& earlier) {
  const std::vector<std::string> used = names_used(later);
  for (const std::string& name : earlier.captures) {
    if (std::find(used.begin(), used.end(), name) != used.end()) return true;
  }
  // What is captured again would be another thing.
  for (const std::string& name : later.captures) {
    if (std::find(earlier.captures.begin(), earlier.captures.end(), name) != earlier.captures.end()) return true;
    const std::vector<std::string> before = names_used(earlier);
    if (std::find(before.begin(), before.end(), name) != before.end()) return true;
  }
  const Use a = use_of(later), b = use_of(earlier);
  return a.fixed || b.fixed || a.row.empty() || a.row == b.row;
}

bool is_begin(const Step& step) {
  if (step.operation) return step.operation->verb == PortableVerb::begin;
  return begins(step.text, "begin") || begins(step.text, "start transaction");
}

/// One line of the format: a statement of several lines goes on in indented ones.
std::string line_of(const std::string& session, const Step& step) {
  std::string text;
  for (const char c : step.text) text += c == '\n' ? std::string("\n    ") : std::string(1, c);
  if (!step.captures.empty() && text.find("->") == std::string::npos)
    text += fmt::format(" -> {}", fmt::join(step.captures, ", "));
  return fmt::format("{}: {}\n", session, text);
}

Step made(std::string text) {
  Step step;
  step.text = std::move(text);
  return step;
}

/// Sessions with their steps as `change` leaves them. The order of sessions stays; a step that is new stands behind the
/// one before it, one that is gone is left out.
class Rewriting {
 public:
  Rewriting(const SpecFile& file, const Pattern& pattern) : file_(file), pattern_(pattern) {
    for (const Session& session : pattern.sessions) sessions_.push_back(session.steps);
  }

  std::vector<std::vector<Step>>& sessions() noexcept { return sessions_; }
  bool is_portable() const noexcept { return file_.portable; }

  std::string lines() const {
    std::string out;
    std::vector<std::size_t> next(sessions_.size(), 0);
    // As many steps a turn as the session has more than its turns, at its first one.
    std::vector<std::size_t> turns(sessions_.size(), 0);
    for (const int session : pattern_.order) ++turns[static_cast<std::size_t>(session)];
    const auto write = [&](std::size_t i) {
      if (next[i] < sessions_[i].size()) out += line_of(pattern_.sessions[i].name, sessions_[i][next[i]++]);
    };
    std::vector<std::size_t> left = turns;
    for (const int each : pattern_.order) {
      const auto i = static_cast<std::size_t>(each);
      while (sessions_[i].size() - next[i] > left[i] && next[i] > 0) write(i);
      write(i);
      --left[i];
    }
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      while (next[i] < sessions_[i].size()) write(i);
    }
    return out;
  }

 private:
  const SpecFile& file_;
  const Pattern& pattern_;
  std::vector<std::vector<Step>> sessions_;
};

/// The steps in an order that takes rows by their names, as far as they do not depend on each other.
std::vector<Step> in_order(const std::vector<Step>& steps) {
  std::vector<Step> sorted;
  std::vector<bool> done(steps.size(), false);
  while (sorted.size() < steps.size()) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (done[i]) continue;
      bool free = true;
      for (std::size_t j = 0; j < i && free; ++j) free = done[j] || !depends(steps[i], steps[j]);
      if (!free) continue;
      const auto before = [&](std::size_t a, std::size_t b) { return use_of(steps[a]).row < use_of(steps[b]).row; };
      if (!best || before(i, *best)) best = i;
    }
    done[*best] = true;
    sorted.push_back(steps[*best]);
  }
  return sorted;
}

/// Each transaction locks what it will change behind its begin.
std::vector<Step> locks_first(const std::vector<Step>& steps, bool portable) {
  std::vector<Step> out;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    out.push_back(steps[i]);
    if (!is_begin(steps[i])) continue;
    std::set<std::string> rows;
    for (std::size_t j = i + 1; j < steps.size() && !is_begin(steps[j]); ++j) {
      const Use use = use_of(steps[j]);
      // A row that is known only by what was read cannot be locked before.
      if (use.locks && use.row.find(':') == std::string::npos) rows.insert(use.row);
    }
    for (const std::string& row : rows)
      out.push_back(made(portable ? "read_for_update " + row : fmt::format("select * from {} for update", row)));
  }
  return out;
}

/// A plain read of a row that the session changes later locks it.
std::vector<Step> lock_on_read(const std::vector<Step>& steps) {
  std::vector<Step> out = steps;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Use use = use_of(out[i]);
    if (!use.reads) continue;
    const bool changed =
        std::any_of(steps.begin() + static_cast<std::ptrdiff_t>(i), steps.end(),
                    [&use](const Step& later) { return use_of(later).locks && use_of(later).row == use.row; });
    if (!changed) continue;
    static const std::regex grouped(R"(\b(count|sum|min|max|avg)\s*\(|\bgroup\s+by\b|\bdistinct\b)", std::regex::icase);
    if (out[i].operation) {
      out[i].text = std::regex_replace(out[i].text, std::regex("^read\\b"), "read_for_update");
    } else if (!std::regex_search(out[i].text, grouped)) {
      out[i].text += " for update";
    }
  }
  return out;
}

std::vector<Step> no_key(const std::vector<Step>& steps) {
  static const std::regex for_update(R"(\bfor\s+update\b)", std::regex::icase);
  std::vector<Step> out = steps;
  for (Step& step : out) {
    if (!step.operation) step.text = std::regex_replace(step.text, for_update, "for no key update");
  }
  return out;
}

}  // namespace

std::string script_lines(const Pattern& pattern) { return Rewriting(SpecFile{}, pattern).lines(); }

std::vector<MendingPattern> remedies(const SpecFile& file, const Pattern& pattern) {
  std::vector<MendingPattern> found;
  if (!pattern.permutations.empty() || pattern.order.empty()) return found;
  const std::string as_it_is = script_lines(pattern);
  const auto add = [&](std::string name, std::string meaning, auto change, const std::string& options = {}) {
    Rewriting rewriting(file, pattern);
    for (std::vector<Step>& steps : rewriting.sessions()) steps = change(steps);
    const std::string lines = rewriting.lines();
    if (lines == as_it_is && options.empty()) return;
    const bool is_known = std::any_of(found.begin(), found.end(), [&](const MendingPattern& each) {
      return each.text.ends_with("\n" + lines) && options.empty();
    });
    if (is_known) return;
    std::string text = fmt::format("pattern {} \"{}\"\n", name, meaning);
    for (const spec::SqlBlock& setup : pattern.setups) text += fmt::format("setup {{ {} }}\n", setup.text);
    found.push_back({.name = std::move(name), .meaning = std::move(meaning), .text = text + options + lines});
  };
  add("in-order", "every session takes the rows in one order", in_order);
  add("locks-first", "every session locks what it will change first, in one order",
      [&file](const std::vector<Step>& steps) { return locks_first(steps, file.portable); });
  add("lock-on-read", "rows that will be changed are locked when they are read", lock_on_read);
  add("no-key", "for no key update in place of for update", no_key);
  const auto unchanged = [](const std::vector<Step>& steps) { return steps; };
  add("retry", "a transaction that gave up is run again", unchanged, "option retries 10\n");
  add("try-again", "a wait for a lock ends after 50 ms, and the transaction is run again", unchanged,
      "option lock-timeout 50ms\noption retries 10\n");
  return found;
}

std::vector<std::string> difference(const std::string& before, const std::string& after) {
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  };
  const std::vector<std::string> a = lines_of(before), b = lines_of(after);
  // The longest common part, by the table of lengths.
  std::vector<std::vector<std::size_t>> common(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;)
      common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  }
  std::vector<std::string> out;
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out.push_back("  " + a[i++]);
      ++j;
    } else if (j < b.size() && (i == a.size() || common[i][j + 1] >= common[i + 1][j])) {
      out.push_back("+ " + b[j++]);
    } else {
      out.push_back("- " + a[i++]);
    }
  }
  return out;
}

}  // namespace lockstep::script
