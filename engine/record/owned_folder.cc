// owned_folder.cc: the lock is taken after the folder is made. A cleaner may come in between, so make() looks whether
// the folder is still there.
#include "engine/record/owned_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <system_error>

namespace lockstep {
namespace {

constexpr int kAttempts = 100;

std::string random_letters() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

/// Opens a folder, never through a symbolic link. -1 when that fails.
int open_folder(const std::string& path) noexcept {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

}  // namespace

Fault fault_of_errno(int error) noexcept {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Fault::disk_full;
    case EACCES:
    case EPERM:
    case EROFS:
      return Fault::permission;
    default:
      return Fault::io;
  }
}

Error file_error(std::string_view doing, const std::string& path, int error) {
  return {fault_of_errno(error), {}, fmt::format("{} {}: {}", doing, path, std::generic_category().message(error))};
}

std::string temporary_folder() {
  const char* folder = std::getenv("TMPDIR");
  return folder == nullptr || *folder == '\0' ? "/tmp" : folder;
}

Result<void> make_folders(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return file_error("cannot make the folder", path, code.value());
  // create_directories() takes a symbolic link to a file, or to nothing, for success.
  if (!std::filesystem::is_directory(path, code)) return file_error("cannot make the folder", path, ENOTDIR);
  return {};
}

Result<OwnedFolder> OwnedFolder::make(const std::string& parent, const std::string& prefix, unsigned mode) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string path = fmt::format("{}/{}{}", parent, prefix, random_letters());
    if (::mkdir(path.c_str(), mode) != 0) {
      if (errno == EEXIST) continue;
      return file_error("cannot make a folder in", parent, errno);
    }
    const int fd = open_folder(path);
    if (fd < 0) continue;  // somebody found it without an owner and removed it
    // A cleaner that came between mkdir and flock holds the lock and is about to remove the folder, or has removed it.
    // A file system without locks (some network ones) answers with another error here and in remove_stale(). Then
    // nothing is removed there, and that is all that is lost.
    const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat status{};
    if (!taken && ::fstat(fd, &status) == 0 && status.st_nlink > 0) return OwnedFolder(path, fd);
    ::close(fd);
  }
  return Error{Fault::io, {}, fmt::format("cannot make a folder of our own in {}", parent)};
}

int OwnedFolder::remove_stale(const std::string& parent, const std::string& prefix) noexcept {
  int removed = 0;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(parent, code), end; !code && entry != end; entry.increment(code)) {
    const std::string path = entry->path().string();
    if (!entry->path().filename().string().starts_with(prefix)) continue;
    const int fd = open_folder(path);
    if (fd < 0) continue;
    struct stat status{};
    const bool ours = ::fstat(fd, &status) == 0 && status.st_uid == ::geteuid();
    if (ours && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
      if (!ignored) ++removed;
    }
    ::close(fd);
  }
  return removed;
}

OwnedFolder::OwnedFolder(OwnedFolder&& other) noexcept : path_(std::move(other.path_)), fd_(other.fd_) {
  other.fd_ = -1;
}

OwnedFolder::~OwnedFolder() {
  if (fd_ < 0) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  ::close(fd_);
}

void OwnedFolder::disown() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace lockstep
