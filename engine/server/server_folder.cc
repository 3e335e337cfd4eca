// server_folder.cc: makes the folder of a private server and finds the stale ones.
#include "engine/server/server_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/record/owned_folder.h"

namespace lockstep::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRandomLetters = 6;  // of mkdtemp()
constexpr int kSupervisorStopMsMax = 3000;

Error failed(int number, const std::string& what) {
  return Error{fault_of_errno(number), {}, fmt::format("{}: {}", what, std::strerror(number))};
}

std::vector<std::string> bases() {
  std::vector<std::string> result;
  if (const char* named = std::getenv("TMPDIR"); named != nullptr && *named == '/') {
    std::string base = named;
    while (base.size() > 1 && base.back() == '/') base.pop_back();
    result.push_back(std::move(base));
  }
  if (result.empty() || result.front() != "/tmp") result.emplace_back("/tmp");
  return result;
}

std::string prefix_of(const ServerKind& kind) { return fmt::format("{}-", kind.name); }

bool socket_fits(const ServerKind& kind, const std::string& base) {
  return base.size() + 1 + prefix_of(kind).size() + kRandomLetters + kind.socket.size() < sizeof(sockaddr_un::sun_path);
}

/// True when the user may pass through every folder of the path.
bool open_to(const ServerUser& user, const std::string& folder) {
  if (!user.drop) return true;
  for (fs::path path = folder;; path = path.parent_path()) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return false;
    const mode_t needed = status.st_uid == user.uid ? S_IXUSR : status.st_gid == user.gid ? S_IXGRP : S_IXOTH;
    if ((status.st_mode & needed) == 0) return false;
    if (path == path.root_path()) return true;
  }
}

bool same_file(int fd, const std::string& path) {
  struct stat opened{};
  struct stat named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

std::optional<Error> make_subfolder(const std::string& path, const ServerUser& user) {
  if (::mkdir(path.c_str(), 0700) != 0) return failed(errno, path);
  if (user.drop && ::chown(path.c_str(), user.uid, user.gid) != 0) return failed(errno, path);
  return std::nullopt;
}

/// The process that listens on the socket: the kernel's word, not a file's. 0 = nobody; nullopt = cannot be told.
std::optional<pid_t> listener_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return std::nullopt;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  std::optional<pid_t> result;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) result = 0;
  } else {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 1) result = peer.pid;
  }
  ::close(fd);
  return result;
}

/// Stops the server that listens in the folder, if there is one. False: it may still run, and the folder must stay.
bool stop_server_in(const ServerKind& kind, const std::string& folder) {
  const pid_t pid = server_pid_in(kind, folder);
  // The handle first, the proof after it: the id cannot pass to another process while the listener still answers.
  const int handle = pid > 1 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1;
  const auto listener = listener_of(folder + std::string(kind.socket));
  bool gone = listener == 0;
  if (handle >= 0 && listener == pid) {
    for (const int signal : {kind.stop_signal, SIGKILL}) {
      ::syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0);
      pollfd ended{handle, POLLIN, 0};
      gone = ::poll(&ended, 1, kSupervisorStopMsMax) == 1;
      if (gone) break;
    }
  }
  if (handle >= 0) ::close(handle);
  return gone;
}

/// Removes the folder if it is ours and nobody holds its lock.
bool remove_if_stale(const ServerKind& kind, const std::string& folder) {
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return false;
  struct stat status{};
  bool removed = false;
  if (::fstat(directory, &status) == 0 && status.st_uid == ::geteuid()) {
    // Created when missing: its owner died, or has only just made the folder. Then one of the two processes gets the
    // lock.
    const int lock = ::openat(directory, "owner", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock >= 0) {
      if (::flock(lock, LOCK_EX | LOCK_NB) == 0 && same_file(lock, folder + "/owner") && stop_server_in(kind, folder)) {
        kind.remove_leftovers(folder);
        std::error_code failed;
        fs::remove_all(folder, failed);
        removed = !failed;
      }
      ::close(lock);
    }
  }
  ::close(directory);
  return removed;
}

}  // namespace

Result<ServerUser> server_user(const ServerKind& kind) {
  if (::geteuid() != 0) return ServerUser{};
  for (const char* name : kind.users) {
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
      return ServerUser{true, found->pw_uid, found->pw_gid};
    }
  }
  return Error{Fault::unavailable,
               {},
               fmt::format("{} does not run as root, and there is neither a user \"{}\" to run it as", kind.title,
                           fmt::join(kind.users, "\" nor \""))};
}

ServerFolder::~ServerFolder() { remove(); }

ServerFolder::ServerFolder(ServerFolder&& other) noexcept
    : kind_(other.kind_), path_(std::exchange(other.path_, {})), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

ServerFolder& ServerFolder::operator=(ServerFolder&& other) noexcept {
  if (this != &other) {
    remove();
    kind_ = other.kind_;
    path_ = std::exchange(other.path_, {});
    lock_fd_ = std::exchange(other.lock_fd_, -1);
  }
  return *this;
}

Result<ServerFolder> ServerFolder::create(const ServerKind& kind, const ServerUser& user) {
  Error error{Fault::io, {}, "no folder for temporary files: TMPDIR is too long or closed to the server's user"};
  for (const std::string& base : bases()) {
    if (!socket_fits(kind, base) || !open_to(user, base)) continue;
    // A few attempts: between making the folder and locking it, somebody who cleans up may take it for a stale one.
    for (int attempt = 0; attempt < 10; ++attempt) {
      std::string path = fmt::format("{}/{}XXXXXX", base, prefix_of(kind));
      if (::mkdtemp(path.data()) == nullptr) {
        error = failed(errno, fmt::format("cannot make a folder in {}", base));
        break;
      }
      ServerFolder folder;
      folder.lock_fd_ = ::open((path + "/owner").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (folder.lock_fd_ < 0 || ::flock(folder.lock_fd_, LOCK_EX | LOCK_NB) != 0 ||
          !same_file(folder.lock_fd_, path + "/owner")) {
        continue;
      }
      folder.kind_ = &kind;
      folder.path_ = path;
      if (user.drop && ::chmod(path.c_str(), 0711) != 0) return failed(errno, path);
      for (const std::string& part : {folder.data(), folder.socket_folder()}) {
        if (auto failed = make_subfolder(part, user)) return *std::move(failed);
      }
      return folder;
    }
  }
  return error;
}

void ServerFolder::remove() noexcept {
  if (!path_.empty()) {
    std::error_code ignored;
    kind_->remove_leftovers(path_);
    fs::remove_all(path_, ignored);
    path_.clear();
  }
  if (lock_fd_ >= 0) ::close(std::exchange(lock_fd_, -1));
}

std::vector<std::string> remove_stale_folders(const ServerKind& kind) {
  std::vector<std::string> removed;
  for (const std::string& base : bases()) {
    std::vector<std::string> candidates;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(base, ignored)) {
      if (entry.path().filename().string().starts_with(prefix_of(kind))) candidates.push_back(entry.path().string());
    }
    for (auto& folder : candidates) {
      if (remove_if_stale(kind, folder)) removed.push_back(std::move(folder));
    }
  }
  return removed;
}

int server_pid_in(const ServerKind& kind, const std::string& folder) {
  std::ifstream file(folder + std::string(kind.pid_file));
  std::string line;
  if (!std::getline(file, line)) return 0;
  // Negative for a process that is no server yet, such as PostgreSQL's initdb while it fills the folder.
  const long pid = std::labs(std::strtol(line.c_str(), nullptr, 10));
  return pid > 1 ? static_cast<int>(pid) : 0;
}

std::string tail_of(const std::string& path, std::size_t lines_max) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > lines_max) lines.erase(lines.begin());
  }
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace lockstep::server
