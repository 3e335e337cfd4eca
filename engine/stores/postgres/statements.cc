// statements.cc: what each portable verb says in SQL (PostgreSQL manual, part VI).
#include "engine/stores/postgres/statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/errors.h"

namespace lockstep::postgres {
namespace {

std::vector<std::string> words_of(std::string_view sql) { return first_words(sql, {"--"}); }

bool contains_any(std::string_view sql, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [sql](std::string_view word) { return contains_text(sql, word); });
}

/// In the order of the enum below.
constexpr std::array kPrepared = {
    Prepared{"ls_read", "text", "select v from kv where k = $1", 1},
    Prepared{"ls_read_for_update", "text", "select v from kv where k = $1 for update", 1},
    Prepared{"ls_write", "text, text",
             "insert into kv (k, v) values ($1, $2) on conflict (k) do update set v = excluded.v", 2},
    Prepared{"ls_insert", "text, text", "insert into kv (k, v) values ($1, $2)", 2},
    Prepared{"ls_write_if", "text, text, text", "update kv set v = $3 where k = $1 and v = $2", 3},
    Prepared{"ls_add", "text, bigint", "update kv set v = (v::bigint + $2)::text where k = $1 returning v", 2},
    Prepared{"ls_add_if", "text, bigint, bigint",
             "update kv set v = (v::bigint + $2)::text where k = $1 and v::bigint + $2 >= $3 returning v", 3},
    Prepared{"ls_erase", "text", "delete from kv where k = $1", 1},
    Prepared{"ls_scan", "text, text, bigint", "select k, v from kv where k >= $1 and k < $2 order by k limit $3", 3},
    Prepared{"ls_scan_on", "text, bigint", "select k, v from kv where k >= $1 order by k limit $2", 2},
    Prepared{"ls_scan_for_update", "text, text, bigint",
             "select k, v from kv where k >= $1 and k < $2 order by k limit $3 for update", 3},
    Prepared{"ls_scan_on_for_update", "text, bigint",
             "select k, v from kv where k >= $1 order by k limit $2 for update", 2},
};

enum Index : std::size_t {
  kRead,
  kReadForUpdate,
  kWrite,
  kInsert,
  kWriteIf,
  kAdd,
  kAddIf,
  kErase,
  kScan,
  kScanOn,
  kScanForUpdate,
  kScanOnForUpdate,
};

/// "set a.b = …", "set local a.b …": a setting of one's own does not go away by RESET.
bool may_set_own(std::string_view sql) {
  std::string text(sql);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto skip = [&text](std::size_t at, std::string_view set) {
    const std::size_t found = text.find_first_not_of(set, at);
    return found == std::string::npos ? text.size() : found;
  };
  constexpr std::string_view kBlanks = " \t\r\n", kName = "abcdefghijklmnopqrstuvwxyz0123456789_\"";
  for (std::size_t at = text.find("set"); at != std::string::npos; at = text.find("set", at + 1)) {
    std::size_t name = skip(at + 3, kBlanks);
    for (const std::string_view scope : {"session", "local"}) {
      if (text.compare(name, scope.size(), scope) == 0) name = skip(name + scope.size(), kBlanks);
    }
    const std::size_t end = skip(name, kName);
    if (end < text.size() && text[end] == '.') return true;
    // What stands behind a comment is not looked at.
    if (end == name && text.compare(name, 1, "=") != 0) return true;
  }
  return false;
}

using Parameters = std::array<std::optional<std::string>, 3>;

Call prepared_call(Index index, Parameters parameters) { return Call{&kPrepared[index], {}, std::move(parameters)}; }

Call text_call(std::string text) { return Call{nullptr, std::move(text), {}}; }

Call scan_call(const Request& request, Index bounded, Index open) {
  std::optional<std::string> limit;  // NULL = no limit
  if (request.limit != SIZE_MAX) limit = std::to_string(request.limit);
  if (request.upper.empty()) return prepared_call(open, {std::string(request.key), limit});
  return prepared_call(bounded, {std::string(request.key), std::string(request.upper), limit});
}

TransactionEffect effect_of_words(const std::vector<std::string>& words) {
  const auto has = [&words](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (words.empty()) return TransactionEffect::none;
  if (words[0] == "begin" || words[0] == "start") return TransactionEffect::begins;
  if (words[0] == "prepare") return has("transaction") ? TransactionEffect::ends : TransactionEffect::none;
  if (words[0] == "commit" || words[0] == "end" || words[0] == "rollback" || words[0] == "abort") {
    return has("to") || has("prepared") ? TransactionEffect::none : TransactionEffect::ends;
  }
  return TransactionEffect::none;
}

}  // namespace

bool may_autocommit(std::string_view sql) {
  static constexpr std::array<std::string_view, 10> kHarmless = {"select", "values",  "table", "show",     "set",
                                                                 "reset",  "explain", "begin", "rollback", "abort"};
  const std::vector<std::string> words = words_of(sql);
  const bool several = sql.find(';') < sql.find_last_not_of(" \t\n;");
  return several || words.empty() || std::find(kHarmless.begin(), kHarmless.end(), words[0]) == kHarmless.end();
}

bool ends_without_commit(std::string_view sql) {
  const std::vector<std::string> words = words_of(sql);
  return !words.empty() && (words[0] == "rollback" || words[0] == "abort");
}

bool may_lock_session(std::string_view sql) {
  return contains_text(sql, "pg_advisory_lock") || contains_text(sql, "pg_try_advisory_lock");
}

bool sees_layout(std::string_view sql) {
  static constexpr std::array<std::string_view, 12> kWords = {
      "ctid",     "xmin",        "xmax",          "cmin",     "cmax",    "pg_stat",
      "pg_class", "pg_relation", "pg_table_size", "filenode", "log_cnt", "pg_indexes_size"};
  return contains_any(sql, kWords);
}

bool leaves_traces(std::string_view sql) {
  static constexpr std::array<std::string_view, 15> kWords = {
      "prepare", "deallocate", "discard",   "set_config", "setseed",    "load ",          "dblink",      "plperl",
      "pltcl",   "plpython",   "extension", "alter role", "alter user", "alter database", "alter system"};
  return contains_any(sql, kWords) || may_set_own(sql);
}

bool touches_session(std::string_view sql) {
  static constexpr std::array<std::string_view, 9> kWords = {"set_config", "setseed", "advisory", "nextval", "currval",
                                                             "lastval",    "setval",  "temp",     "dblink"};
  return contains_any(sql, kWords);
}

bool is_plain(std::string_view sql) {
  static constexpr std::array<std::string_view, 14> kFirst = {"begin",  "start",  "commit", "end",    "rollback",
                                                              "abort",  "select", "insert", "update", "delete",
                                                              "values", "table",  "lock",   "with"};
  const std::vector<std::string> words = words_of(sql);
  if (words.empty() || std::find(kFirst.begin(), kFirst.end(), words[0]) == kFirst.end()) return false;
  const bool several = sql.find(';') < sql.find_last_not_of(" \t\n;");
  return !several && !touches_session(sql);
}

bool may_set_limit(std::string_view sql) { return contains_text(sql, "_timeout"); }

std::span<const Prepared> prepared_statements() { return kPrepared; }

Result<Call> call_for(const Request& request, std::string_view isolation) {
  for (const auto text : {request.key, request.upper, request.value, request.expected}) {
    if (text.find('\0') != std::string_view::npos) {
      return request_error(Fault::invalid, "", request, "PostgreSQL cannot store a text with a zero byte");
    }
  }
  const std::string key(request.key);
  switch (request.verb) {
    case Verb::begin:
      return text_call(fmt::format("begin isolation level {}", isolation));
    case Verb::read:
      return prepared_call(kRead, {key});
    case Verb::read_for_update:
      return prepared_call(kReadForUpdate, {key});
    case Verb::write:
      return prepared_call(kWrite, {key, std::string(request.value)});
    case Verb::insert:
      return prepared_call(kInsert, {key, std::string(request.value)});
    case Verb::write_if:
      return prepared_call(kWriteIf, {key, std::string(request.expected), std::string(request.value)});
    case Verb::add:
      return prepared_call(kAdd, {key, std::to_string(request.delta)});
    case Verb::add_if:
      return prepared_call(kAddIf, {key, std::to_string(request.delta), std::to_string(request.floor)});
    case Verb::erase:
      return prepared_call(kErase, {key});
    case Verb::scan:
      return scan_call(request, kScan, kScanOn);
    case Verb::scan_for_update:
      return scan_call(request, kScanForUpdate, kScanOnForUpdate);
    case Verb::execute:
      return text_call(key);
    case Verb::savepoint:
      return text_call("savepoint " + quoted_name(request.key));
    case Verb::rollback_to:
      return text_call("rollback to savepoint " + quoted_name(request.key));
    case Verb::release:
      return text_call("release savepoint " + quoted_name(request.key));
    case Verb::commit:
      return text_call("commit");
    case Verb::abort:
      return text_call("rollback");
    case Verb::reset:
      return text_call("select pg_catalog.pg_advisory_unlock_all()");
  }
  return request_error(Fault::unsupported, "", request, "no such verb");
}

std::string text_of(const Call& call) {
  if (call.prepared == nullptr) return call.text;
  std::string text;
  const std::string_view sql = call.prepared->sql;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const bool is_place = sql[i] == '$' && i + 1 < sql.size() && sql[i + 1] >= '1' && sql[i + 1] <= '3';
    if (!is_place) {
      text += sql[i];
      continue;
    }
    const auto& value = call.parameters[static_cast<std::size_t>(sql[++i] - '1')];
    const bool is_plain = value && value->find_first_of("'\\") == std::string::npos;
    text += !value ? "null" : is_plain ? "'" + *value + "'" : quoted_value(*value);
  }
  return text;
}

TransactionEffect effect_of(const Request& request) {
  if (request.verb == Verb::begin) return TransactionEffect::begins;
  if (request.verb == Verb::commit || request.verb == Verb::abort) return TransactionEffect::ends;
  if (request.verb != Verb::execute) return TransactionEffect::none;
  return effect_of_words(words_of(request.key));
}

bool is_in_doubt_when_lost(const Request& request, bool in_transaction) {
  switch (request.verb) {
    case Verb::commit:
      return true;
    case Verb::begin:
    case Verb::read:
    case Verb::scan:
    case Verb::read_for_update:
    case Verb::scan_for_update:
    case Verb::savepoint:
    case Verb::rollback_to:
    case Verb::release:
    case Verb::abort:
    case Verb::reset:
      return false;
    case Verb::execute:
      return !in_transaction || effect_of(request) == TransactionEffect::ends;
    default:
      return !in_transaction;
  }
}

void fill_reply(Reply& reply, const Request& request, Table table, std::int64_t rows_touched) {
  reply.rows = rows_touched;
  switch (request.verb) {
    case Verb::read:
    case Verb::read_for_update:
    case Verb::add:
    case Verb::add_if:
      if (!table.empty()) reply.value = std::move(table[0][0]);
      break;
    case Verb::scan:
    case Verb::scan_for_update:
    case Verb::execute:
      reply.table = std::move(table);
      break;
    default:
      break;
  }
}

}  // namespace lockstep::postgres
