// sqlite.cc: handles, the names of result codes, and what they mean as faults.
#include "engine/record/sqlite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace lockstep::sqlite {
namespace {

struct CodeRow {
  int code;
  std::string_view name;
};

// SQLite has no public function that names a code. The list is that of sqlite3.h, 3.40.
#define LOCKSTEP_CODE(name) \
  CodeRow { name, #name }
constexpr CodeRow kCodes[] = {
    LOCKSTEP_CODE(SQLITE_OK),
    LOCKSTEP_CODE(SQLITE_ERROR),
    LOCKSTEP_CODE(SQLITE_INTERNAL),
    LOCKSTEP_CODE(SQLITE_PERM),
    LOCKSTEP_CODE(SQLITE_ABORT),
    LOCKSTEP_CODE(SQLITE_BUSY),
    LOCKSTEP_CODE(SQLITE_LOCKED),
    LOCKSTEP_CODE(SQLITE_NOMEM),
    LOCKSTEP_CODE(SQLITE_READONLY),
    LOCKSTEP_CODE(SQLITE_INTERRUPT),
    LOCKSTEP_CODE(SQLITE_IOERR),
    LOCKSTEP_CODE(SQLITE_CORRUPT),
    LOCKSTEP_CODE(SQLITE_NOTFOUND),
    LOCKSTEP_CODE(SQLITE_FULL),
    LOCKSTEP_CODE(SQLITE_CANTOPEN),
    LOCKSTEP_CODE(SQLITE_PROTOCOL),
    LOCKSTEP_CODE(SQLITE_EMPTY),
    LOCKSTEP_CODE(SQLITE_SCHEMA),
    LOCKSTEP_CODE(SQLITE_TOOBIG),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT),
    LOCKSTEP_CODE(SQLITE_MISMATCH),
    LOCKSTEP_CODE(SQLITE_MISUSE),
    LOCKSTEP_CODE(SQLITE_NOLFS),
    LOCKSTEP_CODE(SQLITE_AUTH),
    LOCKSTEP_CODE(SQLITE_FORMAT),
    LOCKSTEP_CODE(SQLITE_RANGE),
    LOCKSTEP_CODE(SQLITE_NOTADB),
    LOCKSTEP_CODE(SQLITE_NOTICE),
    LOCKSTEP_CODE(SQLITE_WARNING),
    LOCKSTEP_CODE(SQLITE_ROW),
    LOCKSTEP_CODE(SQLITE_DONE),
    LOCKSTEP_CODE(SQLITE_ERROR_MISSING_COLLSEQ),
    LOCKSTEP_CODE(SQLITE_ERROR_RETRY),
    LOCKSTEP_CODE(SQLITE_ERROR_SNAPSHOT),
    LOCKSTEP_CODE(SQLITE_IOERR_READ),
    LOCKSTEP_CODE(SQLITE_IOERR_SHORT_READ),
    LOCKSTEP_CODE(SQLITE_IOERR_WRITE),
    LOCKSTEP_CODE(SQLITE_IOERR_FSYNC),
    LOCKSTEP_CODE(SQLITE_IOERR_DIR_FSYNC),
    LOCKSTEP_CODE(SQLITE_IOERR_TRUNCATE),
    LOCKSTEP_CODE(SQLITE_IOERR_FSTAT),
    LOCKSTEP_CODE(SQLITE_IOERR_UNLOCK),
    LOCKSTEP_CODE(SQLITE_IOERR_RDLOCK),
    LOCKSTEP_CODE(SQLITE_IOERR_DELETE),
    LOCKSTEP_CODE(SQLITE_IOERR_BLOCKED),
    LOCKSTEP_CODE(SQLITE_IOERR_NOMEM),
    LOCKSTEP_CODE(SQLITE_IOERR_ACCESS),
    LOCKSTEP_CODE(SQLITE_IOERR_CHECKRESERVEDLOCK),
    LOCKSTEP_CODE(SQLITE_IOERR_LOCK),
    LOCKSTEP_CODE(SQLITE_IOERR_CLOSE),
    LOCKSTEP_CODE(SQLITE_IOERR_DIR_CLOSE),
    LOCKSTEP_CODE(SQLITE_IOERR_SHMOPEN),
    LOCKSTEP_CODE(SQLITE_IOERR_SHMSIZE),
    LOCKSTEP_CODE(SQLITE_IOERR_SHMLOCK),
    LOCKSTEP_CODE(SQLITE_IOERR_SHMMAP),
    LOCKSTEP_CODE(SQLITE_IOERR_SEEK),
    LOCKSTEP_CODE(SQLITE_IOERR_DELETE_NOENT),
    LOCKSTEP_CODE(SQLITE_IOERR_MMAP),
    LOCKSTEP_CODE(SQLITE_IOERR_GETTEMPPATH),
    LOCKSTEP_CODE(SQLITE_IOERR_CONVPATH),
    LOCKSTEP_CODE(SQLITE_IOERR_VNODE),
    LOCKSTEP_CODE(SQLITE_IOERR_AUTH),
    LOCKSTEP_CODE(SQLITE_IOERR_BEGIN_ATOMIC),
    LOCKSTEP_CODE(SQLITE_IOERR_COMMIT_ATOMIC),
    LOCKSTEP_CODE(SQLITE_IOERR_ROLLBACK_ATOMIC),
    LOCKSTEP_CODE(SQLITE_IOERR_DATA),
    LOCKSTEP_CODE(SQLITE_IOERR_CORRUPTFS),
    LOCKSTEP_CODE(SQLITE_LOCKED_SHAREDCACHE),
    LOCKSTEP_CODE(SQLITE_LOCKED_VTAB),
    LOCKSTEP_CODE(SQLITE_BUSY_RECOVERY),
    LOCKSTEP_CODE(SQLITE_BUSY_SNAPSHOT),
    LOCKSTEP_CODE(SQLITE_BUSY_TIMEOUT),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_NOTEMPDIR),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_ISDIR),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_FULLPATH),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_CONVPATH),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_DIRTYWAL),
    LOCKSTEP_CODE(SQLITE_CANTOPEN_SYMLINK),
    LOCKSTEP_CODE(SQLITE_CORRUPT_VTAB),
    LOCKSTEP_CODE(SQLITE_CORRUPT_SEQUENCE),
    LOCKSTEP_CODE(SQLITE_CORRUPT_INDEX),
    LOCKSTEP_CODE(SQLITE_READONLY_RECOVERY),
    LOCKSTEP_CODE(SQLITE_READONLY_CANTLOCK),
    LOCKSTEP_CODE(SQLITE_READONLY_ROLLBACK),
    LOCKSTEP_CODE(SQLITE_READONLY_DBMOVED),
    LOCKSTEP_CODE(SQLITE_READONLY_CANTINIT),
    LOCKSTEP_CODE(SQLITE_READONLY_DIRECTORY),
    LOCKSTEP_CODE(SQLITE_ABORT_ROLLBACK),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_CHECK),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_COMMITHOOK),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_FOREIGNKEY),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_FUNCTION),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_NOTNULL),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_PRIMARYKEY),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_TRIGGER),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_UNIQUE),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_VTAB),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_ROWID),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_PINNED),
    LOCKSTEP_CODE(SQLITE_CONSTRAINT_DATATYPE),
    LOCKSTEP_CODE(SQLITE_NOTICE_RECOVER_WAL),
    LOCKSTEP_CODE(SQLITE_NOTICE_RECOVER_ROLLBACK),
    LOCKSTEP_CODE(SQLITE_WARNING_AUTOINDEX),
    LOCKSTEP_CODE(SQLITE_AUTH_USER),
};
#undef LOCKSTEP_CODE

}  // namespace

std::string code_name(int code) {
  const auto* row =
      std::find_if(std::begin(kCodes), std::end(kCodes), [code](const CodeRow& r) { return r.code == code; });
  return row == std::end(kCodes) ? fmt::format("SQLITE_{}", code) : std::string(row->name);
}

Fault fault_of(int code) noexcept {
  if (code == SQLITE_BUSY_SNAPSHOT) return Fault::busy_snapshot;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fault::busy;
    case SQLITE_CONSTRAINT:
      return Fault::constraint;
    case SQLITE_FULL:
      return Fault::disk_full;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return Fault::permission;
    case SQLITE_IOERR:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
      return Fault::io;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return Fault::invalid;
    case SQLITE_INTERRUPT:
      return Fault::cancelled;
    default:
      return Fault::internal;  // CORRUPT, NOTADB, NOMEM, MISUSE …
  }
}

std::string plain_path(const std::string& path) { return path.starts_with('/') ? path : "./" + path; }

Database::Database(const std::string& path, Mode mode) : path_(path) {
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (mode == Mode::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path == kInMemory ? kInMemory : plain_path(path).c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) {
    fail(code);
    return;
  }
  // What a file says must not run: a recording may come from a stranger.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, mode == Mode::read ? 1 : 0, nullptr);
}

Database Database::of_image(const std::string& path, std::string_view image) {
  Database database(kInMemory, Mode::create);
  database.path_ = path;
  if (database.failed()) return database;
  auto* const bytes = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
  if (bytes == nullptr) {
    database.fail(SQLITE_NOMEM);
    return database;
  }
  std::memcpy(bytes, image.data(), image.size());
  const auto size = static_cast<sqlite3_int64>(image.size());
  const int code = sqlite3_deserialize(database.handle(), "main", bytes, size, size,
                                       SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
  if (code != SQLITE_OK) database.fail(code);
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return database;
}

std::string Database::image() {
  if (failed()) return {};
  sqlite3_int64 size = 0;
  unsigned char* const bytes = sqlite3_serialize(handle(), "main", &size, 0);
  if (bytes == nullptr) {
    fail(SQLITE_NOMEM);
    return {};
  }
  std::string image(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  return image;
}

void Database::run(const char* sql) {
  if (failed()) return;
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void Database::fail(int code) {
  if (failed()) return;
  code_ = code;
  message_ = handle_ ? sqlite3_errmsg(handle()) : sqlite3_errstr(code);
}

Error Database::error(std::string_view doing) const {
  return {fault_of(code_), code_name(code_), fmt::format("{} {}: {} ({})", doing, path_, message_, code_name(code_))};
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  if (database_.failed()) return;
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v2(database_.handle(), sql, -1, &handle, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind(int index, std::string_view text) {
  if (database_.failed()) return;
  // Transient: SQLite copies, so the caller's text need not live until the step. An empty view may have no address.
  const char* data = text.empty() ? "" : text.data();
  const int code = sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind(int index, std::int64_t number) {
  if (!database_.failed()) sqlite3_bind_int64(handle_.get(), index, number);
}

void Statement::bind(int index, double number) {
  if (!database_.failed()) sqlite3_bind_double(handle_.get(), index, number);
}

void Statement::bind(int index, std::nullopt_t /*null*/) {
  if (!database_.failed()) sqlite3_bind_null(handle_.get(), index);
}

void Statement::bind(int index, const std::optional<std::int64_t>& number) {
  number ? bind(index, *number) : bind(index, std::nullopt);
}

void Statement::bind(int index, const std::optional<std::string_view>& text) {
  text ? bind(index, *text) : bind(index, std::nullopt);
}

bool Statement::next() {
  if (database_.failed()) return false;
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code);
  sqlite3_reset(handle_.get());
  return false;
}

std::string_view Statement::view(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  return data == nullptr ? std::string_view() : std::string_view(data, sqlite3_column_bytes(handle_.get(), column));
}

}  // namespace lockstep::sqlite
