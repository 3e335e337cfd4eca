// posix_files.cc: files by POSIX calls.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kv/log/file_system.h"

namespace lockstep::kv {
namespace {

Fault fault_of(int number) noexcept {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Fault::disk_full;
    case EACCES:
    case EPERM:
    case EROFS:
      return Fault::permission;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENAMETOOLONG:
      return Fault::invalid;
    default:
      return Fault::io;
  }
}

/// From errno: "cannot create /data/log-1: No space left on device".
Error failed(std::string_view what, const std::string& path) {
  const int number = errno;
  const char* const name = strerrorname_np(number);
  return Error{fault_of(number), name ? name : "", fmt::format("cannot {} {}: {}", what, path, std::strerror(number))};
}

/// Calls `call` again as long as a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const noexcept { return fd_; }
  bool ok() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = uninterrupted([&] { return ::write(fd_.get(), bytes.data(), bytes.size()); });
      if (written < 0) return failed("write to", path_);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<void> sync() override {
    if (uninterrupted([&] { return ::fdatasync(fd_.get()); }) != 0) return failed("sync", path_);
    return {};
  }

  Result<std::size_t> read(std::uint64_t offset, char* into, std::size_t size) override {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = uninterrupted(
          [&] { return ::pread(fd_.get(), into + done, size - done, static_cast<off_t>(offset + done)); });
      if (got < 0) return failed("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  Descriptor fd_;
  const std::string path_;
};

class PosixLock final : public FolderLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;  // flock(2) ends with it, also when the process is killed
};

class PosixFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> create(const std::string& path) override {
    return opened(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, "create");
  }
  Result<std::unique_ptr<File>> open(const std::string& path) override { return opened(path, O_RDONLY, "open"); }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename to " + to + " the file", from);
    return {};
  }
  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return failed("remove", path);
    return {};
  }
  Result<void> make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return failed("make the folder", path);
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    DIR* const dir = ::opendir(folder.c_str());
    if (!dir) return failed("list the folder", folder);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int number = errno;
    ::closedir(dir);
    errno = number;
    if (number != 0) return failed("list the folder", folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> sync_folder(const std::string& folder) override {
    const Descriptor fd(uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd.ok() || uninterrupted([&] { return ::fsync(fd.get()); }) != 0) return failed("sync the folder", folder);
    return {};
  }

  Result<std::unique_ptr<FolderLock>> lock(const std::string& path) override {
    Descriptor fd(uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); }));
    if (!fd.ok()) return failed("open", path);
    if (uninterrupted([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return failed("lock", path);
      char holder[32] = {};
      const ssize_t got = ::pread(fd.get(), holder, sizeof holder - 1, 0);
      return Error{
          Fault::unavailable, "EWOULDBLOCK",
          fmt::format("{} is locked by {}", path, got > 0 ? fmt::format("process {}", holder) : "another process")};
    }
    // Only for the message above: that it can be written shows nothing and that it cannot does no harm.
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) == 0) (void)!::pwrite(fd.get(), pid.data(), pid.size(), 0);
    return std::unique_ptr<FolderLock>(new PosixLock(std::move(fd)));
  }

 private:
  static Result<std::unique_ptr<File>> opened(const std::string& path, int flags, std::string_view what) {
    Descriptor fd(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }));
    if (!fd.ok()) return failed(what, path);
    return std::unique_ptr<File>(new PosixFile(std::move(fd), path));
  }
};

}  // namespace

FileSystem& posix_files() noexcept {
  static PosixFiles files;
  return files;
}

}  // namespace lockstep::kv
