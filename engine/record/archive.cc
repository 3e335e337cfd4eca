// archive.cc: copies recordings into the rows of an archive and out of them, a piece at a time.
#include "engine/record/archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "engine/record/files.h"
#include "engine/record/owned_folder.h"
#include "engine/record/reader.h"
#include "engine/record/sqlite.h"

namespace lockstep::record {
namespace {

constexpr std::size_t kPiece = 1 << 20;

/// A file descriptor that closes itself.
class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

/// A blob that is read or written in pieces.
class Blob {
 public:
  Blob(sqlite::Database& database, std::int64_t row, bool write) {
    const int code = sqlite3_blob_open(database.handle(), "main", "sqlar", "data", row, write ? 1 : 0, &blob_);
    if (code != SQLITE_OK) database.fail(code);
  }
  ~Blob() { sqlite3_blob_close(blob_); }
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;
  sqlite3_blob* handle() const noexcept { return blob_; }

 private:
  sqlite3_blob* blob_ = nullptr;
};

std::string id_of(const std::string& path) { return std::filesystem::path(path).parent_path().filename().string(); }

Result<void> pack_one(sqlite::Database& archive, const std::string& path) {
  const File file(path, O_RDONLY);
  struct stat status{};
  if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0) return file_error("cannot read the recording", path, errno);
  sqlite::Statement row(archive, "INSERT INTO sqlar VALUES (?1, 33188, ?2, ?3, zeroblob(?3))");  // 33188: a plain file
  row.insert(id_of(path) + "/run.sqlite", std::int64_t{status.st_mtim.tv_sec}, std::int64_t{status.st_size});
  if (archive.failed()) return archive.error("cannot pack " + path);
  const Blob blob(archive, sqlite3_last_insert_rowid(archive.handle()), true);
  std::vector<char> piece(kPiece);
  for (std::int64_t at = 0; at < status.st_size && !archive.failed();) {
    const ssize_t got = ::pread(file.fd(), piece.data(), piece.size(), at);
    if (got <= 0) return file_error("cannot read the recording", path, got < 0 ? errno : EIO);
    const int code = sqlite3_blob_write(blob.handle(), piece.data(), static_cast<int>(got), static_cast<int>(at));
    if (code != SQLITE_OK) archive.fail(code);
    at += got;
  }
  if (archive.failed()) return archive.error("cannot pack " + path);
  return {};
}

Result<void> unpack_one(sqlite::Database& archive, std::int64_t row, std::int64_t size, const std::string& path) {
  const File file(path, O_WRONLY | O_CREAT | O_EXCL);
  if (file.fd() < 0) return file_error("cannot write", path, errno);
  const Blob blob(archive, row, false);
  if (!archive.failed() && sqlite3_blob_bytes(blob.handle()) != size) {
    return Error{Fault::invalid, {}, "it is compressed or cut short"};
  }
  std::vector<char> piece(kPiece);
  for (std::int64_t at = 0; at < size && !archive.failed();) {
    const auto wanted = static_cast<int>(std::min<std::int64_t>(size - at, static_cast<std::int64_t>(piece.size())));
    const int code = sqlite3_blob_read(blob.handle(), piece.data(), wanted, static_cast<int>(at));
    if (code != SQLITE_OK) {
      archive.fail(code);
      break;
    }
    if (::pwrite(file.fd(), piece.data(), static_cast<std::size_t>(wanted), at) != wanted) {
      return file_error("cannot write", path, errno == 0 ? EIO : errno);
    }
    at += wanted;
  }
  if (archive.failed()) return archive.error("cannot read the archive");
  if (::fsync(file.fd()) != 0 && errno != EINVAL) return file_error("cannot flush", path, errno);
  return {};
}

/// The id that a row of the archive is for; empty for other names.
std::string id_of_row(const std::string& name) {
  const std::string id = name.substr(0, std::min(name.size(), kIdDigits));
  return is_id(id) && name.substr(id.size()) == "/run.sqlite" ? id : std::string();
}

/// Takes one run in. A sentence when it is refused, empty when it is there now.
std::string take_in(sqlite::Database& archive, std::int64_t row, std::int64_t size, const std::string& id,
                    const std::string& folder) {
  Result<OwnedFolder> made = OwnedFolder::make(folder, kSavingPrefix, 0777);
  if (!made) return made.error().message;
  const std::string file = file_in(made->path());
  if (auto written = unpack_one(archive, row, size, file); !written) return id + ": " + written.error().message;
  {
    const Result<Reader> reader = Reader::open(file);
    if (!reader) return id + ": " + reader.error().message;
    if (reader->run().id != id) return fmt::format("{}: it is the run {}", id, reader->run().id);
  }
  const std::string target = folder + "/" + id;
  if (std::rename(made->path().c_str(), target.c_str()) != 0) {
    return file_error("cannot make the recording", target, errno).message;
  }
  made->disown();
  return {};
}

}  // namespace

Result<void> pack(const std::vector<std::string>& paths, const std::string& file) {
  std::error_code code;
  if (std::filesystem::exists(file, code)) {
    return Error{Fault::invalid, {}, fmt::format("{} is there already; name another file, or remove it first", file)};
  }
  const std::string draft = file + ".part";
  std::filesystem::remove(draft, code);
  Result<void> result;
  {
    sqlite::Database archive(draft, sqlite::Database::Mode::create);
    archive.run(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;"
        "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)");
    for (std::size_t i = 0; i < paths.size() && result.ok(); ++i) result = pack_one(archive, paths[i]);
    archive.run("COMMIT");
    if (result.ok() && archive.failed()) result = archive.error("cannot write the archive");
  }
  if (result.ok() && std::rename(draft.c_str(), file.c_str()) != 0) result = file_error("cannot write", file, errno);
  if (!result.ok()) std::filesystem::remove(draft, code);
  return result;
}

Result<Unpacked> unpack(const std::string& file, const std::string& folder) {
  if (::access(file.c_str(), R_OK) != 0) return file_error("cannot read the archive", file, errno);
  if (auto made = make_folders(folder); !made) return made.error();
  OwnedFolder::remove_stale(folder, kSavingPrefix);
  sqlite::Database archive(file, sqlite::Database::Mode::read);
  Unpacked unpacked;
  sqlite::Statement row(archive, "SELECT rowid, name, sz FROM sqlar ORDER BY name");
  while (row.next()) {
    const std::string name = row.text(1), id = id_of_row(name);
    if (id.empty()) {
      unpacked.refused.push_back(name + ": it is no run");
      continue;
    }
    std::error_code code;
    if (std::filesystem::exists(folder + "/" + id, code)) {
      unpacked.there_already.push_back(id);
      continue;
    }
    if (std::string wrong = take_in(archive, row.integer(0), row.integer(2), id, folder); !wrong.empty()) {
      unpacked.refused.push_back(std::move(wrong));
    } else {
      unpacked.ids.push_back(id);
    }
  }
  if (archive.failed()) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} is no archive of runs (lockstep runs --export makes one): {}", file,
                             archive.error("cannot read it").message)};
  }
  return unpacked;
}

Result<void> remove(const std::string& path, const std::vector<std::string>& beside, std::string& left) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  for (const std::string& name : beside) {
    const std::string file = folder + "/" + name;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return file_error("cannot delete", file, errno);
  }
  // The recording last: until then the run is still in the list.
  if (::unlink(path.c_str()) != 0) return file_error("cannot delete", path, errno);
  if (::rmdir(folder.c_str()) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) return file_error("cannot delete", folder, errno);
    left = folder;
  }
  return {};
}

}  // namespace lockstep::record
