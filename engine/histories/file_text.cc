// file_text.cc: mmap for regular files, read() for the rest.
#include "engine/histories/file_text.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace lockstep::histories {
namespace {

Error system_error(const std::string& path) {
  return {Fault::io, {}, path + " cannot be read: " + std::generic_category().message(errno)};
}

}  // namespace

Result<FileText> FileText::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(path);
  FileText file;
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    file.size_ = static_cast<std::size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped != MAP_FAILED) {
      ::close(fd);
      (void)::madvise(mapped, file.size_, MADV_SEQUENTIAL);
      file.mapped_ = static_cast<const char*>(mapped);
      return file;
    }
  }
  char buffer[1 << 16];
  for (ssize_t got = 1; got != 0;) {
    got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = system_error(path);
      ::close(fd);
      return error;
    }
    file.read_.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return file;
}

FileText::FileText(FileText&& other) noexcept
    : mapped_(std::exchange(other.mapped_, nullptr)), size_(other.size_), read_(std::move(other.read_)) {}

FileText& FileText::operator=(FileText&& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(size_, other.size_);
  std::swap(read_, other.read_);
  return *this;
}

FileText::~FileText() {
  if (mapped_ != nullptr) ::munmap(const_cast<char*>(mapped_), size_);
}

}  // namespace lockstep::histories
