// placement.cc: see placement.h.
#include "engine/stores/postgres-2/placement.h"

#include <fmt/format.h>

#include <vector>

#include "engine/store/statement_text.h"

namespace lockstep::postgres_2 {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

/// The text of the first literal in single quotes; nullopt without one.
std::optional<std::string> first_literal(std::string_view sql) {
  const std::size_t open = sql.find('\'');
  if (open == std::string_view::npos) return std::nullopt;
  std::string text;
  for (std::size_t i = open + 1; i < sql.size(); ++i) {
    if (sql[i] != '\'') {
      text += sql[i];
    } else if (i + 1 < sql.size() && sql[i + 1] == '\'') {
      text += sql[i++];
    } else {
      return text;
    }
  }
  return std::nullopt;
}

}  // namespace

std::size_t server_of(std::string_view key) noexcept {
  if (key.empty()) return 0;
  return static_cast<unsigned char>(key.back()) % 2 == 1 ? 0 : 1;
}

std::optional<std::size_t> server_named_in(std::string_view sql) noexcept {
  const std::size_t at = sql.find_first_not_of(kBlanks);
  if (at == std::string_view::npos || sql[at] != '@' || at + 2 >= sql.size()) return std::nullopt;
  const char digit = sql[at + 1];
  if ((digit != '1' && digit != '2') || kBlanks.find(sql[at + 2]) == std::string_view::npos) return std::nullopt;
  return static_cast<std::size_t>(digit - '1');
}

std::string_view without_server(std::string_view sql) noexcept {
  if (!server_named_in(sql)) return sql;
  sql.remove_prefix(sql.find('@') + 2);
  sql.remove_prefix(std::min(sql.find_first_not_of(kBlanks), sql.size()));
  return sql;
}

OtherServer other_server(const postgres::Dsn& dsn, std::string schema) {
  OtherServer other{.server = {}, .user = {}, .schema = std::move(schema)};
  const auto add = [](std::string& list, std::string_view name, std::string_view value) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", name, postgres::quoted_value(value));
  };
  for (const auto& [name, value] : dsn.settings()) {
    if (name == "host" || name == "hostaddr" || name == "port" || name == "dbname") add(other.server, name, value);
    if (name == "user" || name == "password") add(other.user, name, value);
  }
  return other;
}

std::string filled_in(std::string_view sql, const OtherServer& other) {
  std::string text(sql);
  const std::pair<std::string_view, const std::string*> places[] = {
      {"$other_server", &other.server}, {"$other_user", &other.user}, {"$other_schema", &other.schema}};
  for (const auto& [place, value] : places) {
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + value->size())) {
      text.replace(at, place.size(), *value);
    }
  }
  return text;
}

bool links_servers(std::string_view sql) { return contains_text(sql, "foreign table"); }

std::string at_server(std::string_view text, std::size_t server) {
  return fmt::format("{}, on server {}", text, server + 1);
}

std::optional<PreparedName> prepared_named_in(std::string_view sql) {
  const std::vector<std::string> words = first_words(sql, {"--"});
  if (words.size() < 2) return std::nullopt;
  PreparedName::Action action{};
  if (words[0] == "prepare" && words[1] == "transaction") {
    action = PreparedName::Action::prepares;
  } else if (words[0] == "commit" && words[1] == "prepared") {
    action = PreparedName::Action::commits;
  } else if (words[0] == "rollback" && words[1] == "prepared") {
    action = PreparedName::Action::rolls_back;
  } else {
    return std::nullopt;
  }
  auto name = first_literal(sql);
  if (!name) return std::nullopt;
  return PreparedName{.action = action, .name = std::move(*name)};
}

std::string statement_on(PreparedName::Action action, std::string_view run, std::string_view name) {
  const std::string_view verb = action == PreparedName::Action::prepares  ? "prepare transaction"
                                : action == PreparedName::Action::commits ? "commit prepared"
                                                                          : "rollback prepared";
  const std::string global = run.empty() ? std::string(name) : fmt::format("{}/{}", run, name);
  return fmt::format("{} {}", verb, literal_of(global));
}

std::string literal_of(std::string_view name) {
  const bool is_plain = name.find_first_of("'\\") == std::string_view::npos;
  return is_plain ? fmt::format("'{}'", name) : postgres::quoted_value(name);
}

std::optional<std::string> name_within(std::string_view run, std::string_view global) {
  if (!global.starts_with(run) || global.size() <= run.size() || global[run.size()] != '/') return std::nullopt;
  return std::string(global.substr(run.size() + 1));
}

std::optional<std::pair<std::string, std::string>> two_dsns_in(const std::string& text) {
  for (std::size_t at = text.find(';'); at != std::string::npos; at = text.find(';', at + 1)) {
    std::string first = text.substr(0, at), second = text.substr(at + 1);
    const auto is_dsn = [](const std::string& part) {
      return part.find_first_not_of(kBlanks) != std::string::npos && postgres::Dsn::parse(part).ok();
    };
    if (is_dsn(first) && is_dsn(second)) return std::pair(std::move(first), std::move(second));
  }
  return std::nullopt;
}

}  // namespace lockstep::postgres_2
