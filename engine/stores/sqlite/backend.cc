// backend.cc: SQLite as a store. Each run has one database file, in a private temporary folder that goes with the
// backend. What a killed process left is removed at the next start.
//
// One file-wide lock instead of row locks: this store shows how an embedded database behaves under concurrency. All its
// lockers are sessions of one process. So waits are found, ordered and ended here, and time may be virtual.
#include "engine/store/backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/record/owned_folder.h"
#include "engine/stores/sqlite/session.h"

namespace lockstep::sqlite {
namespace {

constexpr const char* kFolderPrefix = "lockstep-sqlite-";
constexpr const char* kTable = "CREATE TABLE kv (k TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID";

const Clock& real_clock() {
  static const RealClock clock;
  return clock;
}

std::string sql_quoted(std::string_view name) {
  std::string text = "\"";
  for (char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

class SqliteBackend final : public Backend {
 public:
  SqliteBackend(OwnedFolder folder, std::unique_ptr<Connection> connection, const BackendOptions& options,
                Protocol protocol, ProtocolTraits traits)
      : folder_(std::move(folder)),
        connection_(std::move(connection)),
        shared_(protocol, options.lock_timeout == kNever ? kDefaultBusyTimeout : options.lock_timeout,
                options.clock == nullptr ? real_clock() : *options.clock),
        longest_statement_(options.statement_timeout),
        traits_(std::move(traits)) {}

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override;
  Result<State> final_state() override;
  Result<Table> query(const std::string& sql) override;
  std::vector<Blocker> holders() override { return shared_.registry.holders(); }
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  std::vector<std::pair<std::string, std::string>> environment() const override;

  static std::string file_in(const OwnedFolder& folder) { return folder.path() + "/store.db"; }

 private:
  Result<void> drop_everything();
  Result<void> fill(const State& rows);

  const OwnedFolder folder_;  // removed after the connection is closed
  const std::unique_ptr<Connection> connection_;
  SharedByAll shared_;
  const Nanos longest_statement_;
  // A call never waits for another session, but it reads, writes and syncs a file.
  const Capabilities capabilities_{.nonblocking = false, .version = fmt::format("SQLite {}", sqlite3_libversion())};
  const ProtocolTraits traits_;
};

Result<void> SqliteBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  if (auto dropped = drop_everything(); !dropped) return dropped;
  if (auto begun = connection_->run("BEGIN IMMEDIATE", "cannot set up"); !begun) return begun;
  auto filled = connection_->run(kTable, "cannot set up");
  if (filled) filled = fill(rows);
  for (const std::string& statement : ddl) {
    if (filled) filled = connection_->run(statement, fmt::format("cannot run \"{}\" in", statement));
  }
  if (filled) filled = connection_->run("COMMIT", "cannot set up");
  if (!filled && connection_->in_transaction()) (void)connection_->run("ROLLBACK", "").ok();
  return filled;
}

Result<void> SqliteBackend::drop_everything() {
  // Views first, and no foreign keys: any order of the tables is then right.
  const auto objects = query(
      "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY type DESC");
  if (!objects) return objects.error();
  if (objects->empty()) return {};
  std::string sql = "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE;";
  for (const auto& row : *objects) sql += fmt::format("DROP {} {};", *row[0], sql_quoted(*row[1]));
  auto dropped = connection_->run(sql + "COMMIT; PRAGMA foreign_keys=ON;", "cannot empty");
  if (!dropped) {
    if (connection_->in_transaction()) (void)connection_->run("ROLLBACK", "").ok();
    (void)connection_->run("PRAGMA foreign_keys=ON", "").ok();
  }
  return dropped;
}

Result<void> SqliteBackend::fill(const State& rows) {
  for (const auto& [key, value] : rows) {
    sqlite3_stmt* insert = nullptr;
    int code = connection_->prepare("INSERT INTO kv VALUES (?1, ?2)", insert);
    if (code == SQLITE_OK) {
      sqlite3_bind_text64(insert, 1, key.data(), key.size(), SQLITE_STATIC, SQLITE_UTF8);
      sqlite3_bind_text64(insert, 2, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
      code = sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    if (code != SQLITE_DONE) return connection_->error(code, fmt::format("cannot fill the row \"{}\" in", key));
  }
  return {};
}

Result<std::unique_ptr<Session>> SqliteBackend::open_session(int actor, const std::string& name) {
  auto connection = Connection::open(file_in(folder_), longest_statement_);
  if (!connection) return connection.error();
  return std::unique_ptr<Session>(std::make_unique<SqliteSession>(std::move(connection).value(), shared_, actor, name));
}

Result<State> SqliteBackend::final_state() {
  const auto table = query("SELECT k, v FROM kv ORDER BY k");
  if (!table) return table.error();
  State state;
  for (const auto& row : *table) state.emplace_back(row[0].value_or(""), row[1].value_or(""));
  return state;
}

Result<Table> SqliteBackend::query(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  connection_->start_statement();
  int code = connection_->prepare(sql, statement);
  if (code == SQLITE_MISUSE) return Error{Fault::invalid, {}, fmt::format("one statement at a time: {}", sql)};
  Table table;
  while (statement != nullptr && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    auto& row = table.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      row.push_back(text == nullptr ? std::nullopt
                                    : std::optional(std::string(text, sqlite3_column_bytes(statement, i))));
    }
  }
  const bool failed = code != SQLITE_DONE && code != SQLITE_OK;
  const Error error = failed ? connection_->error(code, fmt::format("cannot run \"{}\" in", sql)) : Error{};
  sqlite3_reset(statement);
  if (failed) return error;
  return table;
}

std::vector<std::pair<std::string, std::string>> SqliteBackend::environment() const {
  const double busy_ms = std::chrono::duration<double, std::milli>(shared_.busy_timeout).count();
  return {{"sqlite", sqlite3_libversion()},
          {"sqlite.source_id", sqlite3_sourceid()},
          {"sqlite.begin", begin_statement(shared_.protocol.begin)},
          {"sqlite.journal_mode", shared_.protocol.journal == Journal::wal ? "wal" : "delete"},
          {"sqlite.synchronous", "off"},
          {"sqlite.cache_spill", "off"},
          {"sqlite.busy_timeout_ms", fmt::format("{:g}", busy_ms)}};
}

Result<std::unique_ptr<Backend>> open_backend(const BackendOptions& options) {
  std::vector<ProtocolTraits> traits = protocol_list();
  const std::string name = options.protocol.empty() ? traits.front().name : options.protocol;
  const auto protocol = protocol_named(name);
  if (!protocol) {
    return Error{Fault::invalid, {}, fmt::format("no protocol \"{}\" for sqlite (lockstep list --protocols)", name)};
  }
  if (sqlite3_threadsafe() == 0) {
    return Error{Fault::unsupported, {}, "this SQLite library was built without threads (SQLITE_THREADSAFE=0)"};
  }
  const std::string parent = temporary_folder();
  OwnedFolder::remove_stale(parent, kFolderPrefix);
  auto folder = OwnedFolder::make(parent, kFolderPrefix);
  if (!folder) {
    const Error& error = folder.error();
    return Error{error.fault, error.code, error.message + "; set TMPDIR to a folder that you may write to"};
  }
  auto connection = Connection::open(SqliteBackend::file_in(*folder), kNever);
  if (!connection) return connection.error();
  if (auto made = (*connection)->make_file(protocol->journal); !made) return made.error();
  const auto of_protocol =
      std::find_if(traits.begin(), traits.end(), [&name](const ProtocolTraits& each) { return each.name == name; });
  return std::unique_ptr<Backend>(std::make_unique<SqliteBackend>(
      std::move(folder).value(), std::move(connection).value(), options, *protocol, std::move(*of_protocol)));
}

}  // namespace
}  // namespace lockstep::sqlite

namespace lockstep {

BackendKind backend_sqlite() {
  return {.name = "sqlite",
          .summary = "SQLite, embedded: one file, one writer",
          .traits = {.title = "SQLite",
                     .waits = Waits::in_process,
                     .footprints = Footprints::unknown,
                     .sql = true,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = sqlite::kDefaultBusyTimeout,
                     .dsn = std::nullopt,
                     .own_options = {}},
          .protocols = sqlite::protocol_list(),
          .open = sqlite::open_backend,
          .available = always_available,
          .run_isolation_spec = nullptr,
          .announcement = nothing_to_announce,
          .incidents = nullptr};
}

}  // namespace lockstep
