// open.cc: the header of a SQLite file says nearly everything that can be wrong with it.
#include "engine/record/open.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

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
Result<void> check_header(const std::string& path, Length length, Header& header) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return refused(path, "there is no such file");
  if (fd < 0) return file_error("cannot open the recording", path, errno);
  struct stat status{};
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

// The definitions of tables are a B-tree of its own, rooted in page 1. Page 1 is full when the tables have been made.
// So the tree's leaves come behind the tables' first pages: of a short recording they are the end. But they are the
// same in all recordings of one schema version, apart from an index at their end that no query needs.

/// Page 1 begins with the header of the file.
constexpr std::size_t kTreeAt = sizeof(Header::bytes);
constexpr std::size_t kImageBytesMax = std::size_t{256} << 20;

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint32_t number = 0;
  for (std::size_t i = at; i < at + width; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

/// The pages that an inner page 1 points to; empty when it is none, or makes no sense.
std::vector<std::uint32_t> leaves_of(std::string_view page) {
  constexpr std::size_t kInnerHeader = 12;
  constexpr unsigned char kInnerTable = 5;
  std::vector<std::uint32_t> leaves;
  if (page.size() < kTreeAt + kInnerHeader || page[kTreeAt] != kInnerTable) return leaves;
  const std::size_t cells = number_at(page, kTreeAt + 3, 2);
  if (kTreeAt + kInnerHeader + 2 * cells > page.size()) return leaves;
  for (std::size_t i = 0; i < cells; ++i) {
    const std::size_t cell = number_at(page, kTreeAt + kInnerHeader + 2 * i, 2);
    if (cell + 4 > page.size()) return {};
    leaves.push_back(number_at(page, cell, 4));
  }
  leaves.push_back(number_at(page, kTreeAt + 8, 4));
  return leaves;
}

/// The whole pages that are left of the file: SQLite takes what is missing of the last one for zeros. Empty when they
/// are too many to be held.
std::string whole_pages(const std::string& path, std::size_t page_size) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (size <= 0 || static_cast<std::size_t>(size) > kImageBytesMax || page_size == 0) return {};
  std::string bytes(static_cast<std::size_t>(size) / page_size * page_size, 0);
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return file.good() ? bytes : std::string();
}

/// Puts the definitions of this program in the place of those in `image`. False where they do not fit.
bool put_known_definitions(std::string& image, const Header& header) {
  const auto page_size = static_cast<std::size_t>(header.page_size());
  if (image.empty() || header.version() != kSchemaVersion) return false;
  sqlite::Database empty(sqlite::kInMemory, sqlite::Database::Mode::create);
  empty.run(fmt::format("PRAGMA page_size={}; BEGIN; {} COMMIT;", page_size, kSchema).c_str());
  const std::string known = empty.image();
  if (number_at(known, 16, 2) != number_at(image, 16, 2)) return false;  // SQLite knows no pages of that size
  const std::vector<std::uint32_t> leaves = leaves_of(std::string_view(known).substr(0, page_size));
  if (leaves.empty() || leaves != leaves_of(std::string_view(image).substr(0, page_size))) return false;
  for (const std::uint32_t leaf : leaves) {
    const std::size_t at = (leaf - 1) * page_size;
    if (image.size() < at + page_size) image.resize(at + page_size);
    image.replace(at, page_size, known, at, page_size);
  }
  return true;
}

/// The image, or the file itself when there is none.
sqlite::Database open_any(const std::string& path, std::string_view image) {
  sqlite::Database database =
      image.empty() ? sqlite::Database(path, sqlite::Database::Mode::read) : sqlite::Database::of_image(path, image);
  // Only so does SQLite look into a file that is shorter than its header says. Nothing can be written: it is open for
  // reading.
  if (!database.failed()) sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  database.run("PRAGMA writable_schema=ON");
  return database;
}

bool has_definitions(sqlite::Database& database) {
  sqlite::Statement row(database, "SELECT count(*) = count(name) FROM sqlite_schema");
  return row.next() && row.integer(0) != 0;
}

}  // namespace

Error damaged(const std::string& path, const std::string& why) {
  return {Fault::invalid,
          {},
          fmt::format("the recording {} is damaged: {}; delete it and run the scenario again", path, why)};
}

Result<sqlite::Database> open_recording(const std::string& path) {
  Header header;
  if (auto checked = check_header(path, Length::whole, header); !checked) return checked.error();
  sqlite::Database database(path, sqlite::Database::Mode::read);
  if (database.failed()) return database.error("cannot open the recording");
  return database;
}

Result<sqlite::Database> open_damaged(const std::string& path) {
  Header header;
  if (auto checked = check_header(path, Length::any, header); !checked) return checked.error();
  std::string image = whole_pages(path, static_cast<std::size_t>(header.page_size()));
  {
    sqlite::Database database = open_any(path, image);
    if (has_definitions(database)) return database;
  }
  (void)put_known_definitions(image, header);
  sqlite::Database database = open_any(path, image);
  if (database.failed()) return database.error("cannot open the recording");
  return database;
}

}  // namespace lockstep::record
