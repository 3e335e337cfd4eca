// open.cc: the header of a SQLite file says nearly everything that can be wrong with it.
#include "engine/record/open.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/record/owned_folder.h"
#include "engine/record/run.h"
#include "engine/record/schema.h"

namespace lockstep::record {
namespace {

/// The first 100 bytes of every SQLite file; the offsets are those of https://www.sqlite.org/fileformat.html.
struct Header {
  std::array<unsigned char, 100> bytes{};

  std::uint32_t at(int offset) const {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | bytes[offset + i];
    return value;
  }
  bool is_sqlite() const { return std::memcmp(bytes.data(), "SQLite format 3", 16) == 0; }
  std::uint32_t version() const { return at(60); }
  std::uint32_t application() const { return at(68); }
  std::int64_t page_size() const {
    const std::int64_t size = bytes[16] << 8 | bytes[17];
    return size == 1 ? 65536 : size;
  }
  std::int64_t file_size() const { return page_size() * at(28); }
};

Error refused(const std::string& path, const std::string& why) {
  return {Fault::invalid, {}, fmt::format("{} is not a recording that can be read: {}", path, why)};
}

enum class Length { whole, any };

/// Looks at the header before SQLite does: its answer to every kind of damage is the same word.
Result<void> check_header(const std::string& path, Length length) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return refused(path, "there is no such file");
  if (fd < 0) return file_error("cannot open the recording", path, errno);
  struct stat status{};
  Header header;
  const bool stated = ::fstat(fd, &status) == 0;
  const ssize_t got = stated && S_ISREG(status.st_mode) ? ::pread(fd, header.bytes.data(), header.bytes.size(), 0) : 0;
  const int error = errno;
  ::close(fd);
  if (!stated || got < 0) return file_error("cannot read the recording", path, error);
  if (!S_ISREG(status.st_mode)) return refused(path, "it is not a file");
  if (got == 0) return refused(path, "it is empty");
  if (got < static_cast<ssize_t>(header.bytes.size()) || !header.is_sqlite())
    return refused(path, "it is not a SQLite database");
  if (header.application() != kApplicationId) return refused(path, "it is a database of another program");
  if (header.version() < kOldestSchemaRead || header.version() > kSchemaVersion) {
    return refused(path,
                   fmt::format("it has schema version {} and this program reads versions {} to {}; use the lockstep "
                               "that wrote it, or run the scenario again",
                               header.version(), kOldestSchemaRead, kSchemaVersion));
  }
  if (length == Length::whole && status.st_size < header.file_size()) {
    return damaged(path, fmt::format("it is cut short, {} bytes of {}", status.st_size, header.file_size()));
  }
  return {};
}

}  // namespace

Error damaged(const std::string& path, const std::string& why) {
  return {Fault::invalid,
          {},
          fmt::format("the recording {} is damaged: {}; delete it and run the scenario again", path, why)};
}

Result<sqlite::Database> open_recording(const std::string& path) {
  if (auto checked = check_header(path, Length::whole); !checked) return checked.error();
  sqlite::Database database(path, sqlite::Database::Mode::read);
  if (database.failed()) return database.error("cannot open the recording");
  return database;
}

Result<sqlite::Database> open_damaged(const std::string& path) {
  if (auto checked = check_header(path, Length::any); !checked) return checked.error();
  sqlite::Database database(path, sqlite::Database::Mode::read);
  // Only so does SQLite look into a file that is shorter than its header says. Nothing can be written: it is open for
  // reading.
  if (!database.failed()) sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  database.run("PRAGMA writable_schema=ON");
  if (database.failed()) return database.error("cannot open the recording");
  return database;
}

}  // namespace lockstep::record
