// own_database.cc: create database, its settings, drop database.
#include "engine/stores/postgres/own_database.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <random>

namespace lockstep::postgres {
namespace {

constexpr int kLockClassOfDatabases = 0x10c57ea;  // of the advisory locks; any number that no other program uses
constexpr int kStaleDatabasesMax = 20;            // dropped at one start
constexpr int kForceSince = 130000;               // DROP DATABASE … WITH (FORCE)

std::string lock_of(std::uint32_t token) {
  return fmt::format("{}, {}", kLockClassOfDatabases, static_cast<std::int32_t>(token));
}

std::string drop_of(const std::string& name, int server_version) {
  return fmt::format("drop database if exists {}{}", quoted_name(name),
                     server_version >= kForceSince ? " with (force)" : "");
}

/// Those whose run is gone: nobody is connected, and the lock is free.
void drop_stale_databases(Monitor& keeper) {
  const auto found = keeper.query(fmt::format(
      "select datname from pg_catalog.pg_database d where datname ~ '^lockstep_[0-9]+_[0-9a-f]{{8}}$' and "
      "pg_catalog.pg_has_role(datdba, 'usage') and not exists (select 1 from pg_catalog.pg_stat_activity a where "
      "a.datid = d.oid) order by datname limit {}",
      kStaleDatabasesMax));
  if (!found) return;
  for (const auto& row : *found) {
    const std::string& name = *row[0];
    std::uint32_t token = 0;
    const char* const digits = name.data() + name.size() - 8;
    if (std::from_chars(digits, digits + 8, token, 16).ec != std::errc()) continue;
    const auto taken = keeper.query(fmt::format("select pg_catalog.pg_try_advisory_lock({})", lock_of(token)));
    if (!taken || (*taken)[0][0] != "t") continue;  // its run lives
    (void)keeper.query(drop_of(name, 0));           // whoever has connected meanwhile keeps it
    (void)keeper.query(fmt::format("select pg_catalog.pg_advisory_unlock({})", lock_of(token)));
  }
}

}  // namespace

Result<std::unique_ptr<OwnDatabase>> OwnDatabase::create(
    const Dsn& dsn, Nanos connect_max, const std::vector<std::pair<std::string, std::string>>& settings) {
  auto keeper = Monitor::open(dsn, connect_max);
  if (!keeper) return keeper.error();
  if (const auto quiet = (*keeper)->query("set client_min_messages = error"); !quiet) return quiet.error();
  drop_stale_databases(**keeper);
  const std::uint32_t token = std::random_device{}();
  std::unique_ptr<OwnDatabase> database(
      new OwnDatabase(std::move(*keeper), fmt::format("lockstep_{}_{:08x}", ::getpid(), token)));
  Monitor& monitor = *database->keeper_;
  const auto locked = monitor.query(fmt::format("select pg_catalog.pg_advisory_lock({})", lock_of(token)));
  if (!locked) return locked.error();
  const auto made =
      monitor.query(fmt::format("create database {} template template0 encoding 'UTF8'", quoted_name(database->name_)));
  if (!made) {
    Error error = made.error();
    if (error.code == "42501") {
      error.message =
          fmt::format("the role may not make a database of the run's own ({}); as a superuser: alter role … createdb",
                      error.message);
    }
    return error;
  }
  database->is_made_ = true;
  for (const auto& [name, value] : settings) {
    const auto set = monitor.query(fmt::format("alter database {} set {} to {}", quoted_name(database->name_),
                                               quoted_name(name), quoted_value(value)));
    if (!set) database->refused_.push_back(fmt::format("{}: {}", name, set.error().message));
  }
  database->dsn_ = dsn.with("dbname", database->name_);
  return database;
}

OwnDatabase::~OwnDatabase() {
  if (is_made_) (void)keeper_->query(drop_of(name_, keeper_->server_version()));
}

}  // namespace lockstep::postgres
