// outcome_log.cc: see outcome_log.h.
#include "engine/stores/postgres-2/outcome_log.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <set>

#include "engine/stores/postgres/connection.h"

namespace lockstep::postgres_2 {
namespace {

using postgres::Monitor;
using postgres::quoted_name;
using postgres::quoted_value;

/// Of this database alone: a transaction can only be ended from the database that it was prepared in.
constexpr std::string_view kPrepared =
    "select gid from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database() order by gid";

/// The names that the log has; none where the schema or the table is gone.
Result<std::set<std::string>> decided_in(Monitor& monitor, const std::string& run) {
  const std::string table = quoted_name(run) + "." + std::string(kLogTable);
  const auto exists = monitor.query(fmt::format("select pg_catalog.to_regclass({}) is not null", quoted_value(table)));
  if (!exists) return exists.error();
  std::set<std::string> names;
  if ((*exists)[0][0] != "t") return names;
  const auto rows = monitor.query("select name from " + table);
  if (!rows) return rows.error();
  for (const auto& row : *rows) names.insert(row[0].value_or(""));
  return names;
}

/// "lockstep_4711_0123abcd" as the second half of the run's advisory lock; nullopt: no such name.
std::optional<std::int32_t> token_of(std::string_view run) {
  if (!run.starts_with("lockstep_") || run.size() < 18 || run[run.size() - 9] != '_') return std::nullopt;
  std::uint32_t token = 0;
  const char* const digits = run.data() + run.size() - 8;
  const auto [end, failed] = std::from_chars(digits, digits + 8, token, 16);
  if (failed != std::errc() || end != digits + 8) return std::nullopt;
  return static_cast<std::int32_t>(token);
}

}  // namespace

std::string log_statement() {
  return fmt::format("create table if not exists {} (name text primary key, decided timestamptz default now())",
                     kLogTable);
}

std::string decision_statement(std::string_view name) {
  return fmt::format("insert into {} (name) values ({})", kLogTable, literal_of(name));
}

Result<std::vector<ResolvedTransaction>> resolve_prepared(std::span<Monitor* const> monitors, const std::string& run) {
  std::vector<ResolvedTransaction> resolved;
  std::optional<std::set<std::string>> decided;
  for (std::size_t server = 0; server < monitors.size(); ++server) {
    const auto prepared = monitors[server]->query(std::string(kPrepared));
    if (!prepared) return prepared.error();
    for (const auto& row : *prepared) {
      const auto name = name_within(run, row[0].value_or(""));
      if (!name) continue;
      if (!decided) {
        auto found = decided_in(*monitors[0], run);
        if (!found) return found.error();
        decided = std::move(found).value();
      }
      const bool commits = decided->contains(*name);
      const auto action = commits ? PreparedName::Action::commits : PreparedName::Action::rolls_back;
      const auto ended = monitors[server]->query(statement_on(action, run, *name));
      if (!ended && ended.error().code != "42704") return ended.error();  // 42704: somebody has ended it meanwhile
      resolved.push_back({.name = *name, .server = server, .committed = commits});
    }
  }
  return resolved;
}

Result<std::vector<ResolvedTransaction>> resolve_of_dead_runs(std::span<Monitor* const> monitors, int lock_class) {
  std::set<std::string> runs;
  for (Monitor* const monitor : monitors) {
    const auto prepared = monitor->query(std::string(kPrepared));
    if (!prepared) return prepared.error();
    for (const auto& row : *prepared) {
      const std::string global = row[0].value_or("");
      const std::string run = global.substr(0, global.find('/'));
      if (run.size() < global.size() && token_of(run)) runs.insert(run);
    }
  }
  std::vector<ResolvedTransaction> all;
  for (const std::string& run : runs) {
    const std::string lock = fmt::format("{}, {}", lock_class, *token_of(run));
    const auto taken = monitors[0]->query(fmt::format("select pg_catalog.pg_try_advisory_lock({})", lock));
    if (!taken) return taken.error();
    if ((*taken)[0][0] != "t") continue;  // its run lives
    auto resolved = resolve_prepared(monitors, run);
    (void)monitors[0]->query(fmt::format("select pg_catalog.pg_advisory_unlock({})", lock));
    if (!resolved) return resolved.error();
    all.insert(all.end(), resolved->begin(), resolved->end());
  }
  return all;
}

}  // namespace lockstep::postgres_2
