// statements.cc: what each portable verb says in MariaDB's SQL.
#include "engine/stores/mariadb/statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "engine/store/statement_text.h"

namespace lockstep::mariadb {
namespace {

std::vector<std::string> words_of(std::string_view sql) { return first_words(sql, {"--", "#"}); }

bool begins_with_one_of(std::string_view sql, std::initializer_list<std::string_view> all) {
  const std::vector<std::string> words = words_of(sql);
  return !words.empty() && std::find(all.begin(), all.end(), words[0]) != all.end();
}

/// Where a scan goes. The optimizer would read a small table whole, and lock all of it.
std::string rows_of(const Request& request) {
  std::string text = fmt::format("select k, v from kv force index (primary) where k >= {}", quoted_value(request.key));
  if (!request.upper.empty()) text += fmt::format(" and k < {}", quoted_value(request.upper));
  text += " order by k";
  if (request.limit != SIZE_MAX) text += fmt::format(" limit {}", request.limit);
  return text;
}

/// The sum comes back as the insert id: UPDATE has no RETURNING. A value that is no number is an error under strict
/// mode.
std::string addition(const Request& request, const std::string& key) {
  const std::string sum = fmt::format("cast(v as signed) + ({})", request.delta);
  const std::string floor =
      request.verb == Verb::add_if ? fmt::format(" and {} >= ({})", sum, request.floor) : std::string();
  return fmt::format("update kv set v = {0} where k = {1}{2} and last_insert_id({0}) is not null", sum, key, floor);
}

}  // namespace

std::string statement_for(const Request& request) {
  const auto key = [&request] { return quoted_value(request.key); };
  const auto value = [&request] { return quoted_value(request.value); };
  switch (request.verb) {
    case Verb::begin:
      return "start transaction";
    case Verb::read:
      return fmt::format("select v from kv where k = {}", key());
    case Verb::read_for_update:
      return fmt::format("select v from kv where k = {} for update", key());
    case Verb::write:
      return fmt::format("insert into kv (k, v) values ({}, {}) on duplicate key update v = values(v)", key(), value());
    case Verb::insert:
      return fmt::format("insert into kv (k, v) values ({}, {})", key(), value());
    case Verb::write_if:
      return fmt::format("update kv set v = {} where k = {} and v = {}", value(), key(),
                         quoted_value(request.expected));
    case Verb::add:
    case Verb::add_if:
      return addition(request, key());
    case Verb::erase:
      return fmt::format("delete from kv where k = {}", key());
    case Verb::scan:
      return rows_of(request);
    case Verb::scan_for_update:
      return rows_of(request) + " for update";
    case Verb::execute:
      return std::string(request.key);
    case Verb::commit:
      return "commit";
    case Verb::abort:
      return "rollback";
    case Verb::reset:
      return "unlock tables; do release_all_locks()";
    case Verb::savepoint:
    case Verb::rollback_to:
    case Verb::release:
      break;
  }
  return {};
}

MariaEffect effect_of(const Request& request) {
  if (request.verb == Verb::begin) return MariaEffect::begins;
  if (request.verb == Verb::commit || request.verb == Verb::abort) return MariaEffect::ends;
  if (request.verb != Verb::execute) return MariaEffect::none;
  const std::vector<std::string> words = words_of(request.key);
  if (words.empty()) return MariaEffect::none;
  if (words[0] == "begin" || (words[0] == "start" && words.size() > 1 && words[1] == "transaction"))
    return MariaEffect::begins;
  const bool is_to_savepoint = std::find(words.begin(), words.end(), "to") != words.end();
  const bool ends = words[0] == "commit" || words[0] == "rollback";
  return ends && !is_to_savepoint ? MariaEffect::ends : MariaEffect::none;
}

bool may_autocommit(std::string_view sql) {
  const bool several = sql.find(';') < sql.find_last_not_of(" \t\n;");
  return several || !begins_with_one_of(sql, {"select", "values", "table", "show", "set", "explain", "begin",
                                              "rollback", "do", "use", "describe"});
}

bool ends_without_commit(std::string_view sql) { return begins_with_one_of(sql, {"rollback"}); }

bool is_send_of_commit(std::string_view sql) { return sql == "send commit"; }

bool may_lock_session(std::string_view sql) {
  return contains_text(sql, "get_lock") || contains_text(sql, "lock tables");
}

bool may_set_limit(std::string_view sql) {
  return contains_text(sql, "_timeout") || contains_text(sql, "max_statement_time");
}

bool may_lock_beyond_rows(std::string_view sql) {
  return may_lock_session(sql) || contains_text(sql, "flush ") ||
         begins_with_one_of(sql, {"alter", "create", "drop", "truncate", "rename", "lock", "optimize", "analyze"});
}

bool may_insert(std::string_view sql) { return contains_text(sql, "insert") || contains_text(sql, "replace"); }

bool is_in_doubt_when_lost(const Request& request, bool in_transaction) {
  switch (request.verb) {
    case Verb::commit:
      return true;
    case Verb::execute:
      return !in_transaction || effect_of(request) == MariaEffect::ends;
    default:
      return false;  // in a transaction, which the server rolls back
  }
}

void fill_reply(Reply& reply, const Request& request, MariaAnswer answer) {
  reply.rows = answer.touched;
  switch (request.verb) {
    case Verb::read:
    case Verb::read_for_update:
      if (!answer.rows.empty()) reply.value = std::move(answer.rows[0][0]);
      break;
    case Verb::add:
    case Verb::add_if:
      if (answer.touched > 0) reply.value = std::to_string(answer.insert_id);
      break;
    case Verb::write:
      reply.rows = 1;  // 2 says that the row was there
      break;
    case Verb::scan:
    case Verb::scan_for_update:
    case Verb::execute:
      reply.table = std::move(answer.rows);
      break;
    default:
      break;
  }
}

}  // namespace lockstep::mariadb
