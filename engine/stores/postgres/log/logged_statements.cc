// logged_statements.cc: see logged_statements.h.
#include "engine/stores/postgres/log/logged_statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

namespace lockstep::postgres {
namespace {

bool is_word_char(char c) noexcept {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[i])) != word[i]) return false;
  }
  return text.size() == word.size() || !is_word_char(text[word.size()]);
}

/// The literal that begins at `at`, behind its end.
std::size_t behind_quoted(std::string_view sql, std::size_t at, char quote) {
  for (++at; at < sql.size(); ++at) {
    if (sql[at] != quote) continue;
    if (at + 1 < sql.size() && sql[at + 1] == quote) {
      ++at;
      continue;
    }
    return at + 1;
  }
  return sql.size();
}

/// Behind whatever hides a dollar at `at`: a literal, a quoted name, a comment, a dollar quote; `at` itself: nothing.
std::size_t behind_hidden(std::string_view sql, std::size_t at) {
  const std::string_view rest = sql.substr(at);
  if (rest.front() == '\'' || rest.front() == '"') return behind_quoted(sql, at, rest.front());
  if (rest.starts_with("--")) return std::min(sql.find('\n', at), sql.size());
  if (rest.starts_with("/*")) {
    const std::size_t end = sql.find("*/", at + 2);
    return end == std::string_view::npos ? sql.size() : end + 2;
  }
  if (rest.front() == '$' && (at == 0 || !is_word_char(sql[at - 1]))) {
    std::size_t tag = at + 1;
    while (tag < sql.size() && is_word_char(sql[tag]) && (tag > at + 1 || std::isdigit(sql[tag]) == 0)) ++tag;
    if (tag < sql.size() && sql[tag] == '$') {
      const std::string_view quote = sql.substr(at, tag - at + 1);
      const std::size_t end = sql.find(quote, tag + 1);
      return end == std::string_view::npos ? sql.size() : end + quote.size();
    }
  }
  return at;
}

/// "$1 = '7', $2 = NULL": by number.
std::map<int, std::string> values_in(std::string_view parameters) {
  std::map<int, std::string> values;
  std::size_t at = 0;
  while ((at = parameters.find('$', at)) != std::string_view::npos) {
    int number = 0;
    for (++at; at < parameters.size() && std::isdigit(static_cast<unsigned char>(parameters[at])) != 0; ++at)
      number = number * 10 + (parameters[at] - '0');
    constexpr std::string_view kIs = " = ";
    if (!parameters.substr(at).starts_with(kIs)) continue;
    at += kIs.size();
    const std::size_t begin = at;
    at = at < parameters.size() && parameters[at] == '\'' ? behind_quoted(parameters, at, '\'')
                                                          : std::min(parameters.find(',', at), parameters.size());
    values[number] = std::string(parameters.substr(begin, at - begin));
  }
  return values;
}

/// Takes `front` off the text.
bool take(std::string_view& text, std::string_view front) {
  if (!text.starts_with(front)) return false;
  text.remove_prefix(front.size());
  return true;
}

}  // namespace

std::string_view without_semicolon(std::string_view sql) {
  const auto is_end = [](char c) { return c == ';' || std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!sql.empty() && is_end(sql.back())) sql.remove_suffix(1);
  while (!sql.empty() && std::isspace(static_cast<unsigned char>(sql.front())) != 0) sql.remove_prefix(1);
  return sql;
}

std::string with_parameters(std::string_view sql, std::string_view parameters, std::string& unknown) {
  const std::map<int, std::string> values = values_in(parameters);
  std::map<int, bool> missing;
  std::string out;
  std::size_t at = 0;
  while (at < sql.size()) {
    const std::size_t behind = behind_hidden(sql, at);
    if (behind > at) {
      out += sql.substr(at, behind - at);
      at = behind;
      continue;
    }
    const bool is_parameter = sql[at] == '$' && at + 1 < sql.size() &&
                              std::isdigit(static_cast<unsigned char>(sql[at + 1])) != 0 &&
                              (at == 0 || !is_word_char(sql[at - 1]));
    if (!is_parameter) {
      out += sql[at++];
      continue;
    }
    int number = 0;
    for (++at; at < sql.size() && std::isdigit(static_cast<unsigned char>(sql[at])) != 0; ++at)
      number = number * 10 + (sql[at] - '0');
    const auto value = values.find(number);
    if (value == values.end()) missing[number] = true;
    out += value == values.end() ? fmt::format(":p{}", number) : value->second;
  }
  for (const auto& [number, _] : missing) unknown += fmt::format("{}${}", unknown.empty() ? "" : ", ", number);
  return out;
}

std::optional<LoggedStatement> logged_statement(const LogEntry& entry) {
  if (entry.severity != "LOG") return std::nullopt;
  std::string_view said = entry.message;
  LoggedStatement statement;
  if (take(said, "duration: ")) {
    const std::size_t end = said.find(" ms");
    if (end == std::string_view::npos) return std::nullopt;
    said.remove_prefix(end + 3);
    while (said.starts_with(' ')) said.remove_prefix(1);
    statement.is_at_end = true;
  }
  std::string_view sql;
  if (take(said, "statement: ")) {
    sql = said;
  } else if (said.starts_with("execute ") || said.starts_with("bind ")) {
    statement.is_bind = said.starts_with("bind ");
    const std::size_t name_end = said.find(": ");
    if (name_end == std::string_view::npos) return std::nullopt;
    sql = said.substr(name_end + 2);
  } else {
    return std::nullopt;
  }
  statement.without_values = std::string(without_semicolon(sql));
  std::string_view parameters = entry.detail;
  if (!take(parameters, "parameters: ") && !take(parameters, "Parameters: ")) parameters = {};
  statement.sql = with_parameters(statement.without_values, parameters, statement.unknown);
  return statement;
}

TransactionEdge edge_of(std::string_view sql) {
  sql = without_semicolon(sql);
  if (starts_with_word(sql, "begin") || starts_with_word(sql, "start")) return TransactionEdge::begin;
  if (starts_with_word(sql, "commit") || starts_with_word(sql, "end")) return TransactionEdge::commit;
  if (starts_with_word(sql, "abort")) return TransactionEdge::rollback;
  if (!starts_with_word(sql, "rollback")) return TransactionEdge::none;
  std::string lower(sql);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower.find(" to ") == std::string::npos ? TransactionEdge::rollback : TransactionEdge::none;
}

}  // namespace lockstep::postgres
