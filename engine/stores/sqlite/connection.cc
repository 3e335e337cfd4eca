// connection.cc: settings, handlers and the cache of statements.
#include "engine/stores/sqlite/connection.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "engine/record/sqlite.h"

namespace lockstep::sqlite {
namespace {

constexpr std::size_t kMostStatements = 128;
constexpr int kProgressSteps = 20'000;  // of SQLite's virtual machine: under a millisecond

/// lockstep_add(value, delta): the exact sum of a number kept as text and an integer. SQLite's own `+` would turn an
/// overflow into a floating-point number and "abc" into 0.
void add_exactly(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]));
  if (text == nullptr) return sqlite3_result_null(context);
  const char* end = text + sqlite3_value_bytes(arguments[0]);
  std::int64_t value = 0;
  std::int64_t sum = 0;
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return sqlite3_result_error(context, fmt::format("\"{}\" is not a number", text).c_str(), -1);
  }
  if (__builtin_add_overflow(value, sqlite3_value_int64(arguments[1]), &sum)) {
    return sqlite3_result_error(context, "the sum has more than 64 bits", -1);
  }
  sqlite3_result_int64(context, sum);
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Nanos longest_statement) {
  std::unique_ptr<Connection> connection(new Connection);
  connection->path_ = path;
  connection->longest_statement_ = longest_statement == kNever ? kLongestStatement : longest_statement;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(plain_path(path).c_str(), &connection->handle_, flags, nullptr);
  if (code != SQLITE_OK) return connection->error(code, "cannot open the database");
  sqlite3* handle = connection->handle_;
  sqlite3_busy_handler(handle, on_busy, connection.get());
  sqlite3_progress_handler(handle, kProgressSteps, on_progress, connection.get());
  sqlite3_create_function_v2(handle, "lockstep_add", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                             add_exactly, nullptr, nullptr, nullptr);
  connection->start_statement();
  (void)connection->configure();  // another try, which can wait, is made with the first statement
  return connection;
}

/// These pragmas read the file, so they can find it locked.
int Connection::configure() {
  // synchronous=OFF: the file lives as long as the run, and runs are about locking, not durability. cache_spill=OFF:
  // otherwise a big transaction takes EXCLUSIVE before its commit, at a moment that depends on its size.
  const int code = sqlite3_exec(
      handle_, "PRAGMA synchronous=OFF; PRAGMA cache_spill=OFF; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;",
      nullptr, nullptr, nullptr);
  configured_ = code == SQLITE_OK;
  return code;
}

Result<void> Connection::make_file(Journal journal) {
  start_statement();
  sqlite3_stmt* statement = nullptr;
  const char* name = journal == Journal::wal ? "wal" : "delete";
  int code = prepare(fmt::format("PRAGMA journal_mode={}", name), statement);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  const bool right =
      code == SQLITE_ROW && std::strcmp(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)), name) == 0;
  sqlite3_reset(statement);
  if (code != SQLITE_ROW) return error(code, "cannot set up the database");
  if (!right) {
    return Error{Fault::unsupported,
                 {},
                 fmt::format("the file system of {} cannot do WAL; set TMPDIR to a folder on a local disk", path_)};
  }
  return {};
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

int Connection::on_busy(void* self, int /*count*/) noexcept {
  static_cast<Connection*>(self)->asked_to_wait_ = true;
  return 0;
}

int Connection::on_progress(void* self) noexcept {
  const auto& connection = *static_cast<Connection*>(self);
  return std::chrono::steady_clock::now() - connection.started_ > connection.longest_statement_ ? 1 : 0;
}

void Connection::start_statement() noexcept {
  asked_to_wait_ = false;
  started_ = std::chrono::steady_clock::now();
}

int Connection::prepare(std::string_view sql, sqlite3_stmt*& statement) {
  statement = nullptr;
  if (!configured_) {
    if (const int code = configure(); code != SQLITE_OK) return code;
  }
  const std::string key(sql);
  if (const auto found = statements_.find(key); found != statements_.end()) {
    statement = found->second;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return SQLITE_OK;
  }
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v3(handle_, key.c_str(), static_cast<int>(key.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, &rest);
  if (code != SQLITE_OK || statement == nullptr) return code;
  if (std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    sqlite3_finalize(statement);
    statement = nullptr;
    return SQLITE_MISUSE;
  }
  if (statements_.size() >= kMostStatements) {
    for (auto& [text, old] : statements_) sqlite3_finalize(old);
    statements_.clear();
  }
  statements_.emplace(key, statement);
  return SQLITE_OK;
}

Result<void> Connection::run(const std::string& sql, std::string_view doing) {
  start_statement();
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code, doing);
  return {};
}

Error Connection::error(int code, std::string_view doing) const {
  const char* words = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  return {fault_of(code), code_name(code), fmt::format("{} {}: {} ({})", doing, path_, words, code_name(code))};
}

}  // namespace lockstep::sqlite
