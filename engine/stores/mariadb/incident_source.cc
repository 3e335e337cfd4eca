// incident_source.cc: two questions to a server. Who waits for whom is in information_schema.innodb_lock_waits; the
// tables and rows are those that the statements of a deadlock name.
#include "engine/stores/mariadb/incident_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/stores/mariadb/connection.h"
#include "engine/stores/mariadb/innodb_incidents.h"

namespace lockstep::mariadb {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kConnectMax = 5s;
constexpr int kRowsMost = 1000;

using Row = std::vector<std::optional<std::string>>;

Result<Connection> connected(const std::string& dsn) {
  const Result<MariaDsn> parsed = MariaDsn::parse(dsn);
  if (!parsed) return parsed.error();
  return connect(*parsed, MariaCalls::wait, kConnectMax);
}

std::string text_at(const Row& row, std::size_t column) { return column < row.size() ? row[column].value_or("") : ""; }

// The server gives no form of line to choose.
Result<std::vector<Incident>> in_log(std::string_view log, const std::string&, bool) {
  return innodb_incidents_in(log);
}

// -- now --

/// Each transaction that waits for a row or that such a one waits for. A lock that several hold comes once for each.
constexpr const char* kWhoWaits =
    "select t.trx_id, t.trx_mysql_thread_id, coalesce(t.trx_query, ''), w.blocking_trx_id, l.lock_table, l.lock_index,"
    " l.lock_mode, coalesce(l.lock_data, ''), h.lock_mode,"
    " concat(p.user, if(p.host = '', '', concat(' at ', substring_index(p.host, ':', 1)))), p.query_id"
    " from information_schema.innodb_trx t"
    " left join information_schema.innodb_lock_waits w on w.requesting_trx_id = t.trx_id"
    " left join information_schema.innodb_locks l on l.lock_id = w.requested_lock_id"
    " left join information_schema.innodb_locks h on h.lock_id = w.blocking_lock_id"
    " left join information_schema.processlist p on p.id = t.trx_mysql_thread_id"
    " where t.trx_id in (select requesting_trx_id from information_schema.innodb_lock_waits)"
    " or t.trx_id in (select blocking_trx_id from information_schema.innodb_lock_waits)"
    " order by t.trx_started, t.trx_id";

InnodbParty party_of(const Row& row) {
  InnodbParty party{.transaction = text_at(row, 0), .thread = text_at(row, 1), .account = text_at(row, 9)};
  party.in_hand = text_at(row, 2);
  party.held_by = text_at(row, 3);
  const std::string query = text_at(row, 10);
  (void)std::from_chars(query.data(), query.data() + query.size(), party.query);
  if (party.held_by.empty()) return party;
  party.relation = text_at(row, 4);
  std::erase(party.relation, '`');
  party.shared = text_at(row, 8).starts_with("S");
  const std::string index = text_at(row, 5), data = text_at(row, 7);
  party.waits_for = fmt::format("{} lock{} of {}{}", text_at(row, 6), index.empty() ? "" : ", index " + index,
                                party.relation, data.empty() ? "" : ", row " + data);
  return party;
}

/// Those that a wait joins to `first`, which are taken out of `parties`.
std::vector<InnodbParty> joined_to(InnodbParty first, std::vector<InnodbParty>& parties) {
  std::vector<InnodbParty> group{std::move(first)};
  for (std::size_t i = 0; i < group.size(); ++i) {
    const InnodbParty each = group[i];
    for (auto other = parties.begin(); other != parties.end();) {
      const bool joins = other->transaction == each.held_by || other->held_by == each.transaction;
      if (joins) group.push_back(std::move(*other));
      other = joins ? parties.erase(other) : other + 1;
    }
  }
  return group;
}

Result<std::vector<Incident>> waits_now(const std::string& dsn) {
  const Result<Connection> connection = connected(dsn);
  if (!connection) return connection.error();
  const Result<MariaAnswer> answer = ask(connection->get(), kWhoWaits);
  if (!answer) return answer.error();
  std::vector<InnodbParty> parties;
  for (const Row& row : answer->rows) {
    InnodbParty party = party_of(row);
    const auto known = std::find_if(parties.begin(), parties.end(), [&party](const InnodbParty& each) {
      return each.transaction == party.transaction;
    });
    if (known == parties.end()) parties.push_back(std::move(party));
  }
  std::vector<Incident> incidents;
  while (!parties.empty()) {
    InnodbParty first = std::move(parties.front());
    parties.erase(parties.begin());
    const std::vector<InnodbParty> group = joined_to(std::move(first), parties);
    if (group.size() > 1) incidents.push_back(innodb_incident(group, Incident::Kind::wait, group.size()));
  }
  return incidents;
}

// -- tables --

/// SHOW CREATE TABLE without its foreign keys, whose other tables need not be there. `keys`: how many they were.
std::string without_foreign_keys(const std::string& sql, std::size_t& keys) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t end = std::min(sql.find('\n', at), sql.size());
    std::string line = sql.substr(at, end - at);
    at = end + 1;
    if (line.find(" FOREIGN KEY (") != std::string::npos && line.starts_with("  CONSTRAINT ")) {
      ++keys;
      continue;
    }
    // The line before a key that is left out must not end in a comma.
    if (line.starts_with(")") && !lines.empty() && lines.back().ends_with(',')) lines.back().pop_back();
    lines.push_back(std::move(line));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

/// As a literal of SQL. Bytes that a block of a file cannot have, a closing brace among them, are written by numbers.
std::string literal_of(const std::optional<std::string>& value) {
  if (!value) return "null";
  const bool is_plain = std::all_of(value->begin(), value->end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '}' && c != '\\';
  });
  if (is_plain) return quoted_value(*value);
  std::string hex;
  for (const char c : *value) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return fmt::format("x'{}'", hex);
}

/// Columns that are stored, not computed.
Result<std::vector<std::string>> columns_of(MYSQL* connection, const std::string& schema, const std::string& table) {
  const Result<MariaAnswer> answer =
      ask(connection, fmt::format("select column_name from information_schema.columns where table_schema = {} and "
                                  "table_name = {} and is_generated = 'NEVER' order by ordinal_position",
                                  quoted_value(schema), quoted_value(table)));
  if (!answer) return answer.error();
  std::vector<std::string> names;
  for (const Row& row : answer->rows) names.push_back(quoted_name(text_at(row, 0)));
  return names;
}

Result<void> bring_rows(Incident& incident, MYSQL* connection, const std::string& schema, const std::string& table) {
  const Result<std::vector<std::string>> columns = columns_of(connection, schema, table);
  if (!columns) return columns.error();
  std::vector<std::string> conditions;
  bool is_whole = false;
  for (const Incident::SessionStep& step : incident.statements) {
    std::string named, condition;
    if (!rows_named_by(step.sql, named, condition)) continue;
    std::erase(named, '`');
    if (named != table && named != schema + "." + table) continue;
    is_whole = is_whole || condition.empty();
    if (!condition.empty() && condition.find('?') == std::string::npos) conditions.push_back(condition);
  }
  if (is_whole) conditions.assign(1, "");
  std::vector<Row> brought;
  for (const std::string& condition : conditions) {
    const Result<MariaAnswer> answer = ask(connection, fmt::format("select {} from {}.{} {}", fmt::join(*columns, ", "),
                                                                   quoted_name(schema), quoted_name(table), condition));
    if (!answer) {
      incident.missing.push_back(fmt::format("rows of {} {}: {}", table, condition, answer.error().message));
      continue;
    }
    for (const Row& row : answer->rows) {
      if (std::find(brought.begin(), brought.end(), row) == brought.end() && brought.size() < kRowsMost)
        brought.push_back(row);
    }
  }
  if (brought.empty()) return {};
  std::vector<std::string> rows;
  for (const Row& row : brought) {
    std::vector<std::string> values;
    for (const auto& value : row) values.push_back(literal_of(value));
    rows.push_back(fmt::format("({})", fmt::join(values, ", ")));
  }
  incident.setup.push_back(fmt::format("insert into {} ({}) values {};", quoted_name(table), fmt::join(*columns, ", "),
                                       fmt::join(rows, ", ")));
  return {};
}

Result<void> bring_tables(Incident& incident, const std::string& dsn, bool rows) {
  const Result<Connection> connection = connected(dsn);
  if (!connection) return connection.error();
  for (const std::string& relation : incident.relations) {
    const std::size_t dot = relation.find('.');
    if (dot == std::string::npos) continue;
    const std::string schema = relation.substr(0, dot), table = relation.substr(dot + 1);
    const Result<MariaAnswer> made =
        ask(connection->get(), fmt::format("show create table {}.{}", quoted_name(schema), quoted_name(table)));
    if (!made) return made.error();
    if (made->rows.empty()) continue;
    std::size_t keys = 0;
    incident.setup.push_back(without_foreign_keys(text_at(made->rows.front(), 1), keys) + ";");
    if (keys > 0)
      incident.missing.push_back(
          fmt::format("the foreign keys of {}; show create table {} has them", relation, relation));
    if (!rows) continue;
    if (Result<void> brought = bring_rows(incident, connection->get(), schema, table); !brought.ok()) return brought;
  }
  return {};
}

}  // namespace

const IncidentSource kIncidentSource = {
    .in_log = in_log, .now = waits_now, .bring_tables = bring_tables, .form_help = ""};

}  // namespace lockstep::mariadb
