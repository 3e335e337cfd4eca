// sqlite_peer.cc: SQLite with a write-ahead log: a connection a client, one writer at a time.
//
// --durability none: synchronous = OFF; async: NORMAL (synced at checkpoints); sync: FULL (synced at commit).
#include <fmt/format.h>
#include <sqlite3.h>

#include "tests/bench/kv_bench/engine_over.h"

namespace lockstep::bench {
namespace {

struct SqliteStore {
  std::string path;
};

class SqliteSession {
 public:
  static constexpr bool kOrdered = true;

  SqliteSession(SqliteStore& store, const Settings& settings) {
    int code = sqlite3_open_v2(store.path.c_str(), &db_,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    const char* const synchronous = settings.durability == Durability::sync    ? "full"
                                    : settings.durability == Durability::async ? "normal"
                                                                               : "off";
    sqlite3_busy_timeout(db_, 10'000);
    const std::string set_up = fmt::format(
        "pragma journal_mode = wal; pragma synchronous = {};"
        "create table if not exists rows (key blob primary key, value blob not null) without rowid",
        synchronous);
    if (code == SQLITE_OK) code = sqlite3_exec(db_, set_up.c_str(), nullptr, nullptr, nullptr);
    const auto prepare = [&](const char* text) {
      Statement statement(nullptr, sqlite3_finalize);
      sqlite3_stmt* made = nullptr;
      if (code == SQLITE_OK) code = sqlite3_prepare_v3(db_, text, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
      statement.reset(made);
      return statement;
    };
    begin_ = prepare("begin");
    begin_immediate_ = prepare("begin immediate");
    commit_ = prepare("commit");
    rollback_ = prepare("rollback");
    read_ = prepare("select value from rows where key = ?1");
    write_ = prepare("insert into rows values (?1, ?2) on conflict (key) do update set value = ?2");
    insert_ = prepare("insert into rows values (?1, ?2)");
    scan_ = prepare("select key, value from rows where key >= ?1 order by key limit ?2");
    scan_to_ = prepare("select key, value from rows where key >= ?1 and key < ?3 order by key limit ?2");
    LOCKSTEP_CHECK(code == SQLITE_OK, "{}: {}", store.path, sqlite3_errmsg(db_));
  }
  ~SqliteSession() {
    for (Statement* s :
         {&begin_, &begin_immediate_, &commit_, &rollback_, &read_, &write_, &insert_, &scan_, &scan_to_})
      s->reset();
    sqlite3_close(db_);
  }
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  /// A writer says so at once, since one that finds out later may have to start again.
  void begin(const Intent& intent) { began_ = done(intent.read_only ? begin_ : begin_immediate_); }
  Failure read(std::string_view key, std::string& value) {
    if (began_) return began_;
    const Reset reset(read_);
    bind(read_, 1, key);
    value.clear();
    const int code = sqlite3_step(read_.get());
    if (code == SQLITE_ROW) value.assign(column(read_, 0));
    return code == SQLITE_ROW ? Failure() : failure_of(code);
  }
  Failure read_for_update(std::string_view key, std::string& value) { return read(key, value); }
  Failure write(std::string_view key, std::string_view value) { return put(write_, key, value); }
  Failure insert(std::string_view key, std::string_view value) { return put(insert_, key, value); }
  Failure scan(std::string_view from, std::string_view to, std::size_t limit, std::vector<kv::Row>& rows) {
    if (began_) return began_;
    rows.clear();
    Statement& statement = to.empty() ? scan_ : scan_to_;
    const Reset reset(statement);
    bind(statement, 1, from);
    sqlite3_bind_int64(statement.get(), 2, static_cast<sqlite3_int64>(limit));
    if (!to.empty()) bind(statement, 3, to);
    int code = sqlite3_step(statement.get());
    for (; code == SQLITE_ROW; code = sqlite3_step(statement.get()))
      rows.push_back({std::string(column(statement, 0)), std::string(column(statement, 1))});
    return failure_of(code);
  }
  Failure commit() { return began_ ? began_ : done(commit_); }
  void abort() {
    if (sqlite3_get_autocommit(db_) == 0) done(rollback_);
  }
  std::string why() const { return sqlite3_errmsg(db_); }

 private:
  using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

  class Reset {
   public:
    explicit Reset(Statement& statement) : statement_(statement) {}
    ~Reset() { sqlite3_reset(statement_.get()); }
    Reset(const Reset&) = delete;
    Reset& operator=(const Reset&) = delete;

   private:
    Statement& statement_;
  };

  static void bind(Statement& statement, int parameter, std::string_view bytes) {
    sqlite3_bind_blob64(statement.get(), parameter, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  static std::string_view column(Statement& statement, int i) {
    const auto* const data = static_cast<const char*>(sqlite3_column_blob(statement.get(), i));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement.get(), i))};
  }
  Failure put(Statement& statement, std::string_view key, std::string_view value) {
    if (began_) return began_;
    bind(statement, 1, key);
    bind(statement, 2, value);
    return done(statement);
  }
  Failure done(Statement& statement) {
    const Reset reset(statement);
    return failure_of(sqlite3_step(statement.get()));
  }
  static Failure failure_of(int code) {
    switch (code & 0xff) {
      case SQLITE_OK:
      case SQLITE_DONE:
        return std::nullopt;
      case SQLITE_BUSY:
        return code == SQLITE_BUSY_SNAPSHOT ? Fault::busy_snapshot : Fault::busy;
      case SQLITE_CONSTRAINT:
        return Fault::constraint;
      case SQLITE_FULL:
        return Fault::disk_full;
      default:
        return Fault::io;
    }
  }

  sqlite3* db_ = nullptr;
  Statement begin_{nullptr, sqlite3_finalize}, begin_immediate_{nullptr, sqlite3_finalize},
      commit_{nullptr, sqlite3_finalize}, rollback_{nullptr, sqlite3_finalize}, read_{nullptr, sqlite3_finalize},
      write_{nullptr, sqlite3_finalize}, insert_{nullptr, sqlite3_finalize}, scan_{nullptr, sqlite3_finalize},
      scan_to_{nullptr, sqlite3_finalize};
  Failure began_;
};

}  // namespace

Result<std::unique_ptr<Engine>> open_sqlite(const Contestant&, const Settings& settings) {
  SqliteStore store{settings.dir + "/bench.sqlite"};
  return std::unique_ptr<Engine>(new EngineOver<SqliteStore, SqliteSession>(std::move(store), settings));
}

}  // namespace lockstep::bench
