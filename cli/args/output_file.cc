// output_file.cc: where the draft lies, and when there is none.
#include "cli/args/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace lockstep::cli {

OutputFile::OutputFile(const std::string& path) : path_(path), target_(path) { open(); }

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!draft_.empty()) ::unlink(draft_.c_str());
}

void OutputFile::note_error() {
  if (error_ == 0) error_ = errno;
}

void OutputFile::open() {
  struct stat there{};
  const bool exists = ::stat(path_.c_str(), &there) == 0;
  if (exists && S_ISDIR(there.st_mode)) {
    error_ = EISDIR;
    return;
  }
  // A user without the right to change a file must not get round that by a new file in its place.
  if (exists && ::access(path_.c_str(), W_OK) != 0) return note_error();
  if (exists && (!S_ISREG(there.st_mode) || path_.starts_with("/dev/"))) return;
  std::error_code none;
  if (exists) target_ = std::filesystem::canonical(path_, none).string();
  if (none) target_ = path_;
  draft_ = fmt::format("{}.part-{}", target_, ::getpid());
  fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ >= 0) {
    if (exists) (void)::fchmod(fd_, there.st_mode & 07777);
    return;
  }
  draft_.clear();
  if (!exists) note_error();
}

Result<void> OutputFile::ready() const {
  if (error_ == 0) return {};
  return Error{Fault::io, {}, fmt::format("{} cannot be written: {}", path_, std::strerror(error_))};
}

void OutputFile::write(std::string_view text) {
  while (!text.empty() && error_ == 0) {
    const ssize_t written = ::write(fd_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      note_error();
    }
  }
}

Result<void> OutputFile::keep(std::string_view text) {
  if (error_ != 0) return ready();
  if (draft_.empty()) fd_ = ::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd_ < 0) note_error();
  write(text);
  if (fd_ >= 0 && ::close(fd_) != 0) note_error();
  fd_ = -1;
  if (error_ == 0 && !draft_.empty()) {
    if (::rename(draft_.c_str(), target_.c_str()) == 0) {
      draft_.clear();
    } else {
      note_error();
    }
  }
  return ready();
}

Result<std::unique_ptr<OutputFile>> file_asked_for(const Arguments& arguments, const std::string& option) {
  std::unique_ptr<OutputFile> file;
  if (!arguments.has(option)) return file;
  file = std::make_unique<OutputFile>(arguments.value(option));
  if (const Result<void> ready = file->ready(); !ready) return Error{Fault::invalid, {}, ready.error().message};
  return file;
}

}  // namespace lockstep::cli
