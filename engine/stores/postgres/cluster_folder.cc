// cluster_folder.cc: makes the folder of a private cluster and finds the stale ones.
#include "engine/stores/postgres/cluster_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/shm.h>
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

namespace lockstep::postgres {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "lockstep-pg-";
constexpr std::string_view kSocketName = "/s/.s.PGSQL.5432";
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

bool socket_fits(const std::string& base) {
  return base.size() + 1 + kPrefix.size() + 6 + kSocketName.size() < sizeof(sockaddr_un::sun_path);
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

/// What the first lines of postmaster.pid say (PostgreSQL's src/include/utils/pidfile.h).
struct PidFile {
  pid_t pid = 0;
  int shared_memory = -1;
};

std::optional<PidFile> read_pid_file(const std::string& path) {
  std::ifstream file(path);
  PidFile result;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    // Negative for a process without a postmaster, such as initdb's own.
    if (number == 1) result.pid = static_cast<pid_t>(std::labs(std::strtol(line.c_str(), nullptr, 10)));
    if (number == 7) {  // shared memory: key and id
      if (const auto space = line.find_last_of(' '); space != std::string::npos) {
        result.shared_memory = static_cast<int>(std::strtol(line.c_str() + space, nullptr, 10));
      }
    }
  }
  return result.pid > 1 ? std::optional(result) : std::nullopt;
}

/// The process that listens on the socket, as the kernel knows it, not a file. 0 = none; nullopt = cannot be told.
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

/// Removes the (tiny) System V segment of a server that was killed. The pid file names it; a server that ended by
/// itself has removed that file. The segment goes when the last of the server's children lets go of it; they notice
/// their parent's end.
void remove_shared_memory(const std::string& folder) {
  const auto pid_file = read_pid_file(folder + "/data/postmaster.pid");
  if (!pid_file || pid_file->shared_memory < 0) return;
  shmid_ds segment{};
  if (::shmctl(pid_file->shared_memory, IPC_STAT, &segment) == 0 && segment.shm_cpid == pid_file->pid) {
    ::shmctl(pid_file->shared_memory, IPC_RMID, nullptr);
  }
}

/// Stops the server that listens in the folder, if there is one. False: it may still run, and the folder must stay.
bool stop_server_in(const std::string& folder) {
  const std::string socket = folder + std::string(kSocketName);
  const auto pid_file = read_pid_file(folder + "/data/postmaster.pid");
  // The handle first, the proof after it: the id cannot pass to another process while the listener still answers.
  const int handle = pid_file ? static_cast<int>(::syscall(SYS_pidfd_open, pid_file->pid, 0)) : -1;
  const auto listener = listener_of(socket);
  bool gone = listener == 0;
  if (handle >= 0 && pid_file && listener == pid_file->pid) {
    for (const int signal : {SIGQUIT, SIGKILL}) {
      ::syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0);
      pollfd ended{handle, POLLIN, 0};
      gone = ::poll(&ended, 1, kSupervisorStopMsMax) == 1;
      if (gone) break;
    }
  }
  if (handle >= 0) ::close(handle);
  return gone;
}

/// Removes the folder if it belongs to this user and its lock is free.
bool remove_if_stale(const std::string& folder) {
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return false;
  struct stat status{};
  bool removed = false;
  if (::fstat(directory, &status) == 0 && status.st_uid == ::geteuid()) {
    // Created when missing: its owner died, or has only just made the folder. Then one of the two processes gets the
    // lock.
    const int lock = ::openat(directory, "owner", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock >= 0) {
      if (::flock(lock, LOCK_EX | LOCK_NB) == 0 && same_file(lock, folder + "/owner") && stop_server_in(folder)) {
        remove_shared_memory(folder);
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

Result<ServerUser> server_user() {
  if (::geteuid() != 0) return ServerUser{};
  for (const char* name : {"postgres", "nobody"}) {
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
      return ServerUser{true, found->pw_uid, found->pw_gid};
    }
  }
  return Error{Fault::unavailable,
               {},
               "PostgreSQL does not run as root, and there is neither a user \"postgres\" nor \"nobody\" to run it as"};
}

ClusterFolder::~ClusterFolder() { remove(); }

ClusterFolder::ClusterFolder(ClusterFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

ClusterFolder& ClusterFolder::operator=(ClusterFolder&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    lock_fd_ = std::exchange(other.lock_fd_, -1);
  }
  return *this;
}

Result<ClusterFolder> ClusterFolder::create(const ServerUser& user) {
  Error error{Fault::io, {}, "no folder for temporary files: TMPDIR is too long or closed to the server's user"};
  for (const std::string& base : bases()) {
    if (!socket_fits(base) || !open_to(user, base)) continue;
    // A few attempts: between making the folder and locking it, another process that cleans up may take it for a stale
    // one.
    for (int attempt = 0; attempt < 10; ++attempt) {
      std::string path = fmt::format("{}/{}XXXXXX", base, kPrefix);
      if (::mkdtemp(path.data()) == nullptr) {
        error = failed(errno, fmt::format("cannot make a folder in {}", base));
        break;
      }
      ClusterFolder folder;
      folder.lock_fd_ = ::open((path + "/owner").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (folder.lock_fd_ < 0 || ::flock(folder.lock_fd_, LOCK_EX | LOCK_NB) != 0 ||
          !same_file(folder.lock_fd_, path + "/owner")) {
        continue;
      }
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

void ClusterFolder::remove() noexcept {
  if (!path_.empty()) {
    std::error_code ignored;
    remove_shared_memory(path_);
    fs::remove_all(path_, ignored);
    path_.clear();
  }
  if (lock_fd_ >= 0) ::close(std::exchange(lock_fd_, -1));
}

std::vector<std::string> remove_stale_clusters() {
  std::vector<std::string> removed;
  for (const std::string& base : bases()) {
    std::vector<std::string> candidates;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(base, ignored)) {
      if (entry.path().filename().string().starts_with(kPrefix)) candidates.push_back(entry.path().string());
    }
    for (auto& folder : candidates) {
      if (remove_if_stale(folder)) removed.push_back(std::move(folder));
    }
  }
  return removed;
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

}  // namespace lockstep::postgres
