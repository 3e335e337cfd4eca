// incident_source.cc: asks a server who waits for whom, and for the tables and rows that statements name.
//
// The catalogue's own functions write the DDL (format_type, pg_get_expr, pg_get_constraintdef, pg_get_indexdef:
// PostgreSQL's manual, "System Catalog Information Functions"), so no other program and none of its release is needed.
#include "engine/stores/postgres/log/incident_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/log/incidents.h"
#include "engine/stores/postgres/log/server_log.h"

namespace lockstep::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kConnectMax = 5s;
constexpr Nanos kAskMax = 30s;
constexpr int kRowsMost = 1000;

using Row = std::vector<std::optional<std::string>>;

Result<Table> rows_of(PGconn* connection, const std::string& sql,
                      const std::vector<std::optional<std::string>>& values) {
  Result<Answer> answer = ask(connection, sql, values, kAskMax);
  if (!answer) return answer.error();
  return table_of(answer->get());
}

std::string text(const Row& row, std::size_t column) { return row[column].value_or(""); }

Result<std::vector<Incident>> in_log(std::string_view log, const std::string& form, bool waits) {
  Result<std::vector<LogEntry>> entries = read_server_log(log, form);
  if (!entries) return entries.error();
  return incidents_in(*entries, waits);
}

// -- now --

/// Those of this database that wait, those that they wait for, and whom each waits for.
const char* const kWhoWaits =
    "with waits as (select pid, pg_catalog.pg_blocking_pids(pid) as by from pg_catalog.pg_stat_activity"
    "   where wait_event_type = 'Lock' and datname = pg_catalog.current_database())"
    " select a.pid::text, coalesce(a.application_name, ''), coalesce(a.query, ''), coalesce(a.state, ''),"
    "   coalesce(to_char(extract(epoch from now() - a.xact_start), 'FM999999990.0'), ''),"
    "   coalesce(array_to_string(w.by, ','), '')"
    " from pg_catalog.pg_stat_activity a left join waits w using (pid)"
    " where w.pid is not null or a.pid in (select unnest(by) from waits) order by a.xact_start nulls last, a.pid";

std::vector<std::string> listed(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// A session out of kWhoWaits, with its row for people.
struct LiveSession {
  Party party;
  std::vector<std::string> waits_for;
  std::vector<std::string> words;
};

LiveSession live_session(const Row& row) {
  const std::string process = text(row, 0), application = text(row, 1), query = text(row, 2);
  LiveSession session;
  session.waits_for = listed(text(row, 5));
  const bool waits = !session.waits_for.empty();
  // What an idle session did last need not be what holds the lock.
  session.party = {.process = process, .in_hand = waits ? query : "", .application = application, .waits = waits};
  std::string line =
      fmt::format("process {}{}: {}, in a transaction for {} s", process,
                  application.empty() ? "" : fmt::format(" ({})", application), text(row, 3), text(row, 4));
  if (waits) line += fmt::format(", waits for {}", fmt::join(session.waits_for, " and "));
  session.words = {std::move(line), "  " + query};
  return session;
}

/// The sessions that no wait joins stand apart, each group in the order of its first one.
std::vector<std::vector<LiveSession>> apart(std::vector<LiveSession> sessions) {
  std::map<std::string, std::string> leaders;
  const auto leader_of = [&leaders](std::string process) {
    for (auto at = leaders.find(process); at != leaders.end(); at = leaders.find(process)) process = at->second;
    return process;
  };
  for (const LiveSession& session : sessions) {
    for (const std::string& other : session.waits_for) {
      const std::string ours = leader_of(session.party.process), theirs = leader_of(other);
      if (ours != theirs) leaders[theirs] = ours;
    }
  }
  std::vector<std::vector<LiveSession>> groups;
  std::map<std::string, std::size_t> places;
  for (LiveSession& session : sessions) {
    const auto [place, is_new] = places.try_emplace(leader_of(session.party.process), groups.size());
    if (is_new) groups.emplace_back();
    groups[place->second].push_back(std::move(session));
  }
  return groups;
}

Result<std::vector<Incident>> now(const std::string& text_of_dsn) {
  const Result<Dsn> dsn = Dsn::parse(text_of_dsn);
  if (!dsn) return dsn.error();
  const Result<Connection> connection = connect(*dsn, "lockstep import", kConnectMax);
  if (!connection) return connection.error();
  const Result<Table> rows = rows_of(connection->get(), kWhoWaits, {});
  if (!rows) return rows.error();
  std::vector<LiveSession> sessions;
  for (const Row& row : *rows) sessions.push_back(live_session(row));
  std::vector<Incident> incidents;
  for (std::vector<LiveSession>& group : apart(std::move(sessions))) {
    std::vector<Party> parties;
    std::vector<std::string> words;
    for (LiveSession& session : group) {
      parties.push_back(std::move(session.party));
      words.insert(words.end(), session.words.begin(), session.words.end());
    }
    // Those that hold stand first, and each who waits behind one of them.
    std::stable_sort(parties.begin(), parties.end(),
                     [](const Party& a, const Party& b) { return !a.waits && b.waits; });
    incidents.push_back(incident_of(std::move(parties), Incident::Kind::wait, std::move(words)));
  }
  return incidents;
}

// -- tables and rows --

/// Writes the tables of an incident as SQL.
class Tables {
 public:
  Tables(PGconn* connection, Incident& incident) : connection_(connection), incident_(incident) {}

  Result<void> bring(const std::string& relation, bool rows) {
    const Result<Table> found = rows_of(connection_, "select to_regclass($1)::oid::text", {relation});
    if (!found) return found.error();
    if (found->empty() || !found->front()[0]) {
      incident_.missing.push_back(fmt::format("the table {}: the database has none of that name", relation));
      return {};
    }
    const std::string oid = *found->front()[0];
    Result<void> done = bring_columns(relation, oid);
    if (done.ok()) done = bring_indexes(oid);
    if (done.ok() && rows) done = bring_rows(relation);
    return done;
  }

 private:
  Result<void> bring_columns(const std::string& relation, const std::string& oid) {
    const Result<Table> columns = rows_of(
        connection_,
        "select quote_ident(attname), format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),"
        "   attidentity::text, attgenerated::text, typnamespace = 'pg_catalog'::regnamespace"
        " from pg_attribute join pg_type t on t.oid = atttypid left join pg_attrdef on adrelid = attrelid and adnum = "
        "attnum"
        " where attrelid = $1::oid and attnum > 0 and not attisdropped order by attnum",
        {oid});
    if (!columns) return columns.error();
    std::vector<std::string> parts, names;
    for (const Row& row : *columns) {
      std::string part = fmt::format("{} {}", text(row, 0), text(row, 1));
      const std::string value = text(row, 3);
      const bool is_drawn = value.starts_with("nextval(") || !text(row, 4).empty();
      if (!text(row, 5).empty()) {
        part += fmt::format(" generated always as ({}) stored", value);
      } else if (is_drawn) {
        part += " generated by default as identity";
      } else if (!value.empty()) {
        part += " default " + value;
      }
      if (text(row, 2) == "t" && !is_drawn) part += " not null";
      if (text(row, 6) != "t")
        incident_.missing.push_back(fmt::format("the type {} of {}.{}", text(row, 1), relation, text(row, 0)));
      if (text(row, 5).empty()) names.push_back(text(row, 0));
      parts.push_back(std::move(part));
    }
    columns_[relation] = std::move(names);
    const Result<Table> constraints =
        rows_of(connection_,
                "select contype::text, pg_get_constraintdef(oid), confrelid::regclass::text from pg_constraint"
                " where conrelid = $1::oid order by contype = 'f', conname",
                {oid});
    if (!constraints) return constraints.error();
    for (const Row& row : *constraints) {
      if (text(row, 0) == "f") {
        incident_.missing.push_back(
            fmt::format("the foreign key of {} to {}: add that table, and then `alter table {} add {}`; `pg_dump -t "
                        "{}` writes both",
                        relation, text(row, 2), relation, text(row, 1), text(row, 2)));
      } else if (text(row, 0) != "t") {
        parts.push_back(text(row, 1));
      }
    }
    incident_.setup.push_back(fmt::format("create table {} ({});", relation, fmt::join(parts, ", ")));
    const Result<Table> triggers = rows_of(
        connection_, "select tgname from pg_trigger where tgrelid = $1::oid and not tgisinternal order by 1", {oid});
    if (!triggers) return triggers.error();
    for (const Row& row : *triggers)
      incident_.missing.push_back(fmt::format("the trigger {} of {}", text(row, 0), relation));
    return {};
  }

  Result<void> bring_indexes(const std::string& oid) {
    const Result<Table> indexes =
        rows_of(connection_,
                "select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1::oid"
                " and not exists (select from pg_constraint where conindid = indexrelid) order by indexrelid",
                {oid});
    if (!indexes) return indexes.error();
    for (const Row& row : *indexes) incident_.setup.push_back(text(row, 0) + ";");
    return {};
  }

  /// The rows that the statements' conditions choose.
  Result<void> bring_rows(const std::string& relation) {
    std::vector<std::string> conditions;
    for (const Incident::SessionStep& each : incident_.statements) {
      std::string table, condition;
      if (!table_and_condition(each.sql, table, condition) || table != relation) continue;
      if (condition.find(":p") != std::string::npos) continue;
      const std::string one = fmt::format("({})", condition);
      if (std::find(conditions.begin(), conditions.end(), one) == conditions.end()) conditions.push_back(one);
    }
    if (conditions.empty()) {
      incident_.missing.push_back(fmt::format("the rows of {}: no statement tells which", relation));
      return {};
    }
    std::vector<std::string> values;
    for (const std::string& name : columns_[relation]) values.push_back(fmt::format("quote_nullable({}::text)", name));
    const Result<Table> rows =
        rows_of(connection_,
                fmt::format("select concat_ws(', ', {}) from {} where {} limit {}", fmt::join(values, ", "), relation,
                            fmt::join(conditions, " or "), kRowsMost),
                {});
    if (!rows) {
      incident_.missing.push_back(fmt::format("the rows of {}: {}", relation, rows.error().message));
      return {};
    }
    for (const Row& row : *rows) {
      incident_.setup.push_back(
          fmt::format("insert into {} ({}) values ({});", relation, fmt::join(columns_[relation], ", "), text(row, 0)));
    }
    return {};
  }

  PGconn* connection_;
  Incident& incident_;
  std::map<std::string, std::vector<std::string>> columns_;
};

Result<void> bring_tables(Incident& incident, const std::string& text_of_dsn, bool rows) {
  const Result<Dsn> dsn = Dsn::parse(text_of_dsn);
  if (!dsn) return dsn.error();
  const Result<Connection> connection = connect(*dsn, "lockstep import", kConnectMax);
  if (!connection) return connection.error();
  Tables tables(connection->get(), incident);
  for (const std::string& relation : incident.relations) {
    if (Result<void> brought = tables.bring(relation, rows); !brought.ok()) return brought;
  }
  return {};
}

}  // namespace

const IncidentSource kIncidentSource = {
    .in_log = in_log,
    .now = now,
    .bring_tables = bring_tables,
    .form_help = "log_line_prefix of the server, such as '%t [%p] %a '; default: any with the pid in brackets",
};

}  // namespace lockstep::postgres
