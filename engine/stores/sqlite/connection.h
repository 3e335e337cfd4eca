// connection.h: one connection to the private database file, set up the way that sessions need it.
//
// SQLite sleeps and retries inside its calls only when a busy timeout is set. Here a busy handler is set that never
// waits: it only notes that SQLite asked. SQLITE_BUSY after that question is a lock that waiting can win; SQLITE_BUSY
// without it is one where SQLite knows that waiting is pointless (https://www.sqlite.org/c3ref/busy_handler.html).
//
// One thread at a time (SQLITE_OPEN_NOMUTEX): a session belongs to one actor, and an actor that moves between threads
// is handed over through a lock. Different connections are independent; SQLite guards what they share.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/stores/sqlite/protocol.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep::sqlite {

/// Statements that run longer, on the machine's clock, are interrupted with Fault::statement_timeout, unless the run
/// sets a limit of its own.
inline constexpr Nanos kLongestStatement = std::chrono::seconds(60);

class Connection {
 public:
  /// Opens the file and makes it if it does not exist. Fault::permission, disk_full, io.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Nanos longest_statement);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// For the first connection of all: makes the file one of this kind, which it then stays. Fault::unsupported when the
  /// file system cannot do WAL.
  Result<void> make_file(Journal journal);

  /// The prepared statement, reset and without bindings, from the connection's cache; valid until the next call.
  /// SQLite's code: also BUSY, because preparing reads the schema (and the first call of all sets the connection up).
  /// `statement` is nullptr when `sql` is empty or a comment.
  int prepare(std::string_view sql, sqlite3_stmt*& statement);

  /// Starts the clock of a statement and forgets that SQLite asked whether to wait.
  void start_statement() noexcept;
  /// Since then: SQLite asked whether to wait for a lock.
  bool asked_to_wait() const noexcept { return asked_to_wait_; }

  bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }
  /// SQLITE_TXN_NONE, _READ or _WRITE.
  int transaction_state() const noexcept { return sqlite3_txn_state(handle_, "main"); }
  sqlite3* handle() const noexcept { return handle_; }

  /// Runs statements that give no rows, without waiting. `doing` begins the message of a failure.
  Result<void> run(const std::string& sql, std::string_view doing);
  /// The last failure in words.
  Error error(int code, std::string_view doing) const;

 private:
  Connection() = default;
  int configure();
  static int on_busy(void* self, int count) noexcept;
  static int on_progress(void* self) noexcept;

  sqlite3* handle_ = nullptr;
  std::string path_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  Nanos longest_statement_ = kLongestStatement;
  std::chrono::steady_clock::time_point started_;
  bool asked_to_wait_ = false;
  bool configured_ = false;
};

}  // namespace lockstep::sqlite
