// sqlite.h: a thin layer over SQLite's C interface: handles that close themselves, errors as data.
//
// A Database remembers its first failure, after which everything on it is a no-op: a sequence of inserts needs one
// check at its end. Not thread-safe: one thread at a time, as is the connection (SQLITE_OPEN_NOMUTEX).
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kv/base/result.h"

namespace lockstep::sqlite {

/// The name of an (extended) result code, such as "SQLITE_BUSY_SNAPSHOT"; "SQLITE_n" for one that is not known.
std::string code_name(int code);

/// The fault that an (extended) result code means, wherever it appears: busy, busy_snapshot, constraint, disk_full,
/// permission, io … ; internal for what is not mapped.
Fault fault_of(int code) noexcept;

/// `path` such that SQLite takes it for a file's path and never for a "file:" URI.
std::string plain_path(const std::string& path);

/// In the place of a path: a database in memory.
inline constexpr const char* kInMemory = ":memory:";

/// One connection.
class Database {
 public:
  enum class Mode { read, create };

  /// Opens the file, or makes a database in memory. A failure shows at the first use, and in failed().
  Database(const std::string& path, Mode mode);

  /// A database in memory: a copy of `image`, the bytes of a file. `path` is for messages.
  static Database of_image(const std::string& path, std::string_view image);

  /// Its bytes, as a file would hold them; empty after a failure.
  std::string image();

  /// Runs statements that give no rows.
  void run(const char* sql);

  bool failed() const noexcept { return code_ != SQLITE_OK; }
  /// The first failure: "`doing`: SQLite's own words (CODE)". `path` is part of the message.
  Error error(std::string_view doing) const;
  void fail(int code);
  int code() const noexcept { return code_; }
  sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  int code_ = SQLITE_OK;
  std::string message_;
};

/// One prepared statement of a Database that outlives it.
class Statement {
 public:
  Statement(Database& database, const char* sql);

  /// Binds all parameters, runs the statement to its end and makes it ready for the next row.
  template <class... Values>
  void insert(const Values&... values) {
    int index = 0;
    (bind(++index, values), ...);
    while (next()) {
    }
  }

  void bind(int index, std::string_view text);
  void bind(int index, const std::string& text) { bind(index, std::string_view(text)); }
  void bind(int index, std::int64_t number);
  void bind(int index, double number);
  void bind(int index, std::nullopt_t null);
  void bind(int index, const std::optional<std::int64_t>& number);
  void bind(int index, const std::optional<std::string_view>& text);

  /// Moves to the next row; false at the end and after a failure.
  bool next();

  int columns() const { return sqlite3_column_count(handle_.get()); }
  bool is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  std::string text(int column) const { return std::string(view(column)); }
  /// Good until the statement moves on.
  std::string_view view(int column) const;
  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  double real(int column) const { return sqlite3_column_double(handle_.get(), column); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

}  // namespace lockstep::sqlite
