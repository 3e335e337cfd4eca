// file_system.h: the only way in which the log touches files, so that tests can put a failing disk below it.
//
// What counts as on disk is what POSIX promises and no more: bytes after sync() of their file, names (create, rename,
// remove) after sync_folder(). Until then a crash may keep any part of them, in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::kv {

/// Error::code when there is no file of that name.
inline constexpr std::string_view kGone = "ENOENT";

/// One open file. One thread at a time. Closed by its destructor, which syncs nothing.
class File {
 public:
  virtual ~File() = default;
  /// Adds `bytes` at the end: all of them, or a fault; then nothing is known of what follows the old end.
  virtual Result<void> append(std::string_view bytes) = 0;
  /// fdatasync. After a fault nothing is known of what was appended since the last success. Another sync() would not
  /// find out: the page cache may have dropped it (Rebello et al., "Can applications recover from fsync failures?",
  /// 2020).
  virtual Result<void> sync() = 0;
  /// Reads from `offset` on; the answer is less than `size` only at the end of the file.
  virtual Result<std::size_t> read(std::uint64_t offset, char* into, std::size_t size) = 0;
};

/// A folder is ours as long as this lives.
class FolderLock {
 public:
  virtual ~FolderLock() = default;
};

/// Thread-safe. Faults: permission, disk_full, io, each with the path and the system's own words. Unavailable: somebody
/// else holds a lock. Invalid: a path is not there or not of the kind that it should be.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// A new file, to append to and to read. Fails when there is one of that name.
  virtual Result<std::unique_ptr<File>> create(const std::string& path) = 0;
  /// An existing file, to read.
  virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;
  /// Takes the place of a file that has the new name. A file that is open stays so.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  /// Success also when the folder is there.
  virtual Result<void> make_folder(const std::string& path) = 0;
  /// The names in a folder, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  virtual Result<void> sync_folder(const std::string& folder) = 0;
  /// Against other processes and against this one. `path` is a file, made when it is not there.
  virtual Result<std::unique_ptr<FolderLock>> lock(const std::string& path) = 0;
};

/// The real one. Lives for ever.
FileSystem& posix_files() noexcept;

}  // namespace lockstep::kv
