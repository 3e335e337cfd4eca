// server_log.cc: three forms of one log.
#include "engine/stores/postgres/log/server_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

namespace lockstep::postgres {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 15> kSeverities = {"DEBUG",   "INFO",      "NOTICE", "WARNING",  "ERROR",
                                                          "LOG",     "FATAL",     "PANIC",  "DETAIL",   "HINT",
                                                          "CONTEXT", "STATEMENT", "QUERY",  "LOCATION", "BACKTRACE"};
constexpr std::string_view kSettings =
    "set log_destination = 'jsonlog', or log_line_prefix = '%m [%p] %a ', and reload the server";

bool is_digit(char c) noexcept { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// The lines of a text, counted from 1, without their ends.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return true;
  }
  std::size_t number() const noexcept { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

// -- jsonlog --

std::string text_of(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? std::to_string(found->get<std::int64_t>()) : std::string();
}

std::vector<LogEntry> read_json(std::string_view text) {
  std::vector<LogEntry> entries;
  Lines lines(text);
  for (std::string_view line; lines.next(line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    entries.push_back({.line = lines.number(),
                       .time = text_of(json, "timestamp"),
                       .process = text_of(json, "pid"),
                       .session = text_of(json, "session_id"),
                       .application = text_of(json, "application_name"),
                       .transaction = text_of(json, "vxid"),
                       .severity = text_of(json, "error_severity"),
                       .code = text_of(json, "state_code"),
                       .message = text_of(json, "message"),
                       .detail = text_of(json, "detail"),
                       .context = text_of(json, "context"),
                       .statement = text_of(json, "statement")});
  }
  return entries;
}

// -- csvlog --

/// The places of the columns, since PostgreSQL 9.0; later releases have added behind them.
enum Column : std::size_t {
  kTime = 0,
  kProcess = 3,
  kSession = 5,
  kTransaction = 9,
  kSeverity = 11,
  kCode = 12,
  kMessage = 13,
  kDetail = 14,
  kContext = 18,
  kStatement = 19,
  kApplication = 22,
  kColumnsLeast = 23
};

std::vector<LogEntry> read_csv(std::string_view text) {
  std::vector<LogEntry> entries;
  std::size_t at = 0, line = 1;
  while (at < text.size()) {
    std::vector<std::string> row(1);
    const std::size_t begins_at = line;
    bool quoted = false;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      line += c == '\n' ? 1 : 0;
      if (c == '"') {
        const bool is_doubled = quoted && at + 1 < text.size() && text[at + 1] == '"';
        if (is_doubled) row.back() += text[++at];
        if (!is_doubled) quoted = !quoted;
      } else if (quoted) {
        row.back() += c;
      } else if (c == ',') {
        row.emplace_back();
      } else if (c == '\n') {
        ++at;
        break;
      } else if (c != '\r') {
        row.back() += c;
      }
    }
    // A line of the plain form may have as many commas.
    const auto is_number = [](const std::string& each) {
      return !each.empty() && std::all_of(each.begin(), each.end(), is_digit);
    };
    if (row.size() < kColumnsLeast || !is_number(row[kProcess])) continue;
    entries.push_back({.line = begins_at,
                       .time = row[kTime],
                       .process = row[kProcess],
                       .session = row[kSession],
                       .application = row[kApplication],
                       .transaction = row[kTransaction],
                       .severity = row[kSeverity],
                       .code = row[kCode],
                       .message = row[kMessage],
                       .detail = row[kDetail],
                       .context = row[kContext],
                       .statement = row[kStatement]});
  }
  return entries;
}

// -- the plain form --

/// Where "SEVERITY:  " stands first in the line; `severity`: which.
std::size_t severity_in(std::string_view line, std::string_view& severity) {
  std::size_t first = std::string_view::npos;
  for (std::size_t at = line.find(":  "); at != std::string_view::npos; at = line.find(":  ", at + 1)) {
    for (const std::string_view each : kSeverities) {
      std::string_view word = line.substr(0, at);
      if (each == "DEBUG" && !word.empty() && is_digit(word.back())) word.remove_suffix(1);
      if (!word.ends_with(each)) continue;
      const std::size_t begin = word.size() - each.size();
      if (begin > 0 && std::isalnum(static_cast<unsigned char>(line[begin - 1])) != 0) continue;
      severity = each;
      first = begin;
      break;
    }
    if (first != std::string_view::npos) break;
  }
  return first;
}

/// The text up to a character that ends a value in a prefix.
std::string value_behind(std::string_view prefix, std::string_view key) {
  const std::size_t at = prefix.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = prefix.substr(at + key.size());
  return std::string(rest.substr(0, rest.find_first_of(",; )]")));
}

/// "2026-11-30 09:41:06.123 UTC" at the front.
std::string time_at_front(std::string_view prefix) {
  const auto fits = [&prefix](std::string_view shape) {
    if (prefix.size() < shape.size()) return false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == '0' ? !is_digit(prefix[i]) : prefix[i] != shape[i]) return false;
    }
    return true;
  };
  constexpr std::string_view kShape = "0000-00-00 00:00:00";
  if (!fits(kShape)) return {};
  std::size_t end = kShape.size();
  while (end < prefix.size() && (is_digit(prefix[end]) || prefix[end] == '.')) ++end;
  std::size_t zone = end;
  if (zone < prefix.size() && prefix[zone] == ' ') {
    ++zone;
    while (zone < prefix.size() &&
           (std::isalnum(static_cast<unsigned char>(prefix[zone])) != 0 || prefix[zone] == '+' || prefix[zone] == '-'))
      ++zone;
  }
  return std::string(prefix.substr(0, zone > end + 1 ? zone : end));
}

/// The pid of a prefix that nobody described: digits in brackets, "[1234]" or "[1234-1]".
std::string process_in_brackets(std::string_view prefix) {
  for (std::size_t at = prefix.find('['); at != std::string_view::npos; at = prefix.find('[', at + 1)) {
    std::size_t end = at + 1;
    while (end < prefix.size() && is_digit(prefix[end])) ++end;
    if (end > at + 1 && end < prefix.size() && (prefix[end] == ']' || prefix[end] == '-'))
      return std::string(prefix.substr(at + 1, end - at - 1));
  }
  return value_behind(prefix, "pid=");
}

/// The application of the usual prefixes: "app=NAME" of pgbadger's, or the one word behind "[pid] ".
std::string application_in(std::string_view prefix) {
  std::string named = value_behind(prefix, "app=");
  if (!named.empty()) return named;
  const std::size_t bracket = prefix.rfind("] ");
  if (bracket == std::string_view::npos) return {};
  std::string_view rest = prefix.substr(bracket + 2);
  while (rest.ends_with(' ')) rest.remove_suffix(1);
  const bool is_word = !rest.empty() && rest.find_first_of("=@: ,") == std::string_view::npos;
  return is_word ? std::string(rest) : std::string();
}

/// log_line_prefix, taken apart: fits the front of a line and gives what its escapes stand for.
class Prefix {
 public:
  explicit Prefix(std::string_view format) {
    for (std::size_t i = 0; i < format.size(); ++i) {
      if (format[i] != '%' || i + 1 == format.size()) {
        add_literal(format[i]);
        continue;
      }
      ++i;
      while (i + 1 < format.size() && (format[i] == '-' || is_digit(format[i]))) ++i;  // a width
      if (format[i] == '%') {
        add_literal('%');
      } else {
        parts_.push_back({.escape = format[i], .literal = {}});
      }
    }
  }

  bool has(char escape) const {
    return std::any_of(parts_.begin(), parts_.end(), [escape](const Part& part) { return part.escape == escape; });
  }

  /// False when the prefix is another one.
  bool read(std::string_view text, LogEntry& entry) const {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = parts_[i];
      if (part.escape == '\0') {
        // Widths pad with blanks.
        while (!text.empty() && text.front() == ' ' && !part.literal.starts_with(' ')) text.remove_prefix(1);
        if (!text.starts_with(part.literal)) return has_q_before(i) && trimmed(text).empty();
        text.remove_prefix(part.literal.size());
        continue;
      }
      if (part.escape == 'q') continue;  // processes that are no session end their prefix here
      const std::size_t length = length_of(part.escape, text, i + 1 < parts_.size() ? parts_[i + 1].literal : "");
      keep(part.escape, std::string(trimmed(text.substr(0, length))), entry);
      text.remove_prefix(length);
    }
    return trimmed(text).empty();
  }

 private:
  struct Part {
    char escape = '\0';
    std::string literal;
  };

  static std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
  }
  void add_literal(char c) {
    if (parts_.empty() || parts_.back().escape != '\0') parts_.push_back({});
    parts_.back().literal += c;
  }
  bool has_q_before(std::size_t part) const {
    return std::any_of(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(part),
                       [](const Part& each) { return each.escape == 'q'; });
  }
  static std::size_t length_of(char escape, std::string_view text, std::string_view next) {
    if (escape == 't' || escape == 'm' || escape == 's') return time_at_front(text).size();
    if (escape == 'p' || escape == 'l' || escape == 'x' || escape == 'P') {
      std::size_t end = 0;
      while (end < text.size() && (is_digit(text[end]) || text[end] == ' ')) ++end;
      while (end > 0 && text[end - 1] == ' ' && next.starts_with(' ')) --end;
      return end;
    }
    return next.empty() ? text.size() : std::min(text.find(next), text.size());
  }
  static void keep(char escape, std::string value, LogEntry& entry) {
    switch (escape) {
      case 't':
      case 'm':
        entry.time = std::move(value);
        break;
      case 'p':
        entry.process = std::move(value);
        break;
      case 'c':
        entry.session = std::move(value);
        break;
      case 'a':
        entry.application = std::move(value);
        break;
      case 'v':
        entry.transaction = std::move(value);
        break;
      case 'e':
        entry.code = std::move(value);
        break;
      default:
        break;
    }
  }

  std::vector<Part> parts_;
};

/// The field of the entry that a line of this severity is.
std::string* field_of(LogEntry& entry, std::string_view severity) {
  if (severity == "DETAIL") return &entry.detail;
  if (severity == "CONTEXT") return &entry.context;
  if (severity == "STATEMENT") return &entry.statement;
  return nullptr;
}

bool is_further(std::string_view severity) {
  constexpr std::array<std::string_view, 7> kFurther = {"DETAIL", "HINT",     "CONTEXT",  "STATEMENT",
                                                        "QUERY",  "LOCATION", "BACKTRACE"};
  return std::find(kFurther.begin(), kFurther.end(), severity) != kFurther.end();
}

Result<std::vector<LogEntry>> read_plain(std::string_view text, const std::string& format) {
  const std::optional<Prefix> prefix = format.empty() ? std::nullopt : std::optional<Prefix>(format);
  if (prefix && !prefix->has('p') && !prefix->has('c')) {
    return Error{Fault::invalid, {}, fmt::format("the prefix \"{}\" has no pid (%p); {}", format, kSettings)};
  }
  std::vector<LogEntry> entries;
  std::size_t others = 0;
  std::string* open = nullptr;  // what a line that goes on belongs to
  std::string unwanted;
  Lines lines(text);
  for (std::string_view line; lines.next(line);) {
    if (line.starts_with('\t')) {
      if (open != nullptr) *open += "\n" + std::string(line.substr(1));
      continue;
    }
    std::string_view severity;
    const std::size_t at = severity_in(line, severity);
    if (at == std::string_view::npos) {
      // Of some log shippers: the tab is gone.
      if (open != nullptr && !line.empty()) *open += "\n" + std::string(line);
      continue;
    }
    LogEntry entry{.line = lines.number()};
    const std::string_view front = line.substr(0, at);
    if (!prefix) {
      entry.time = time_at_front(front);
      entry.process = process_in_brackets(front);
      entry.application = application_in(front);
    } else if (!prefix->read(front, entry)) {
      ++others;
      open = nullptr;
      continue;
    }
    if (entry.process.empty() && entry.session.empty()) {
      ++others;
      open = nullptr;
      continue;
    }
    const std::string_view said = line.substr(line.find(":  ", at) + 3);
    if (is_further(severity)) {
      const auto owner = std::find_if(entries.rbegin(), entries.rend(),
                                      [&entry](const LogEntry& each) { return each.who() == entry.who(); });
      open = owner == entries.rend() ? nullptr : field_of(*owner, severity);
      if (open == nullptr) open = &(unwanted = {});
      *open = std::string(said);
      continue;
    }
    entry.severity = std::string(severity);
    entry.message = std::string(said);
    entries.push_back(std::move(entry));
    open = &entries.back().message;
  }
  if (!entries.empty()) return entries;
  if (others == 0) {
    return Error{Fault::invalid, {}, fmt::format("there is no entry of a PostgreSQL log in it; {}", kSettings)};
  }
  return Error{Fault::invalid,
               {},
               prefix
                   ? fmt::format("none of its {} entries has the prefix \"{}\" (show log_line_prefix)", others, format)
                   : fmt::format("its {} entries tell no pid in brackets; give log_line_prefix by --prefix, or {}",
                                 others, kSettings)};
}

}  // namespace

Result<std::vector<LogEntry>> read_server_log(std::string_view text, const std::string& prefix) {
  const std::size_t begin = text.find_first_not_of(" \r\n\t\xef\xbb\xbf");
  if (begin == std::string_view::npos) return Error{Fault::invalid, {}, "the log is empty"};
  std::vector<LogEntry> entries;
  if (text[begin] == '{') {
    entries = read_json(text);
  } else if (prefix.empty()) {
    const std::string_view first = text.substr(begin, text.find('\n', begin) - begin);
    if (std::count(first.begin(), first.end(), ',') >= 12) entries = read_csv(text);
  }
  if (!entries.empty()) return entries;
  return read_plain(text, prefix);
}

}  // namespace lockstep::postgres
