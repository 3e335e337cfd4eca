// statement_text.cc: words of statements, and errors of requests.
#include "engine/store/statement_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace lockstep {
namespace {

char lower(char letter) { return static_cast<char>(std::tolower(static_cast<unsigned char>(letter))); }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

}  // namespace

std::vector<std::string> first_words(std::string_view sql, std::initializer_list<std::string_view> line_comments) {
  std::vector<std::string> words;
  const auto begins_line_comment = [&] {
    return std::any_of(line_comments.begin(), line_comments.end(),
                       [sql](std::string_view each) { return sql.starts_with(each); });
  };
  while (!sql.empty() && words.size() < 3) {
    if (is_blank(sql.front()) || (words.empty() && sql.front() == ';')) {
      sql.remove_prefix(1);
    } else if (begins_line_comment()) {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
    } else if (sql.starts_with("/*")) {
      const auto end = sql.find("*/");
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
    } else {
      std::string word;
      for (; !sql.empty() && is_letter(sql.front()); sql.remove_prefix(1)) word += lower(sql.front());
      if (word.empty()) break;
      words.push_back(std::move(word));
    }
  }
  return words;
}

bool tells_rows(std::string_view sql) {
  constexpr std::string_view kWords[] = {"select", "insert", "update", "delete", "merge", "replace",
                                         "with",   "values", "table",  "fetch",  "show"};
  const std::vector<std::string> words = first_words(sql, {"--"});
  return !words.empty() && std::find(std::begin(kWords), std::end(kWords), words.front()) != std::end(kWords);
}

bool contains_text(std::string_view sql, std::string_view lower_case) {
  return std::search(sql.begin(), sql.end(), lower_case.begin(), lower_case.end(),
                     [](char a, char b) { return lower(a) == b; }) != sql.end();
}

std::string text_of(const Request& request) {
  constexpr std::size_t kLengthMax = 60;
  std::string text(request.verb == Verb::execute ? std::string_view() : name_of(request.verb));
  if (!request.key.empty()) {
    if (!text.empty()) text += ' ';
    text += request.key.substr(0, kLengthMax);
    if (request.key.size() > kLengthMax) text += "...";
  }
  return text;
}

std::string one_line(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (!line.empty()) result += (result.empty() ? "" : "; ") + std::string(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return result;
}

Error request_error(Fault fault, std::string_view code, const Request& request, std::string_view said) {
  std::string message = fmt::format("{}: {}", text_of(request), one_line(said));
  if (is_retry_safe(fault)) message += "; a retry is safe";
  if (fault == Fault::outcome_unknown) message += "; whether it took effect is unknown";
  return Error{fault, std::string(code), std::move(message)};
}

}  // namespace lockstep
