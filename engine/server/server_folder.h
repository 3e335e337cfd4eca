// server_folder.h: the folder of a private server, with a lock that says that its owner lives; and the removal of
// folders whose owner is gone.
//
// Layout:  BASE/NAME-XXXXXX/             ours, 0711, so that the server's user can pass through (NAME:
// ServerKind::name)
//              owner                     flocked by the owner and by the supervisor of the server; never by the server
//              log                       what the server's programs print
//              data/                     the server's data; belongs to the server's user, 0700
//              s/                        its socket; belongs to the server's user, 0700
//
// A folder is stale when nobody holds the lock on `owner`. Only the holder of that lock may remove the folder. The lock
// decides, and not a process id: ids are used again, and mean nothing in another container that shares the folder.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/server/server_kind.h"
#include "kv/base/result.h"

namespace lockstep::server {

/// The user that runs the server: database servers refuse to run as root.
struct ServerUser {
  bool drop = false;  ///< false: the same user as this process; uid and gid are then unused
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The first of ServerKind::users that exists, for root; the same user for everybody else. Fault::unavailable when none
/// of them exists.
Result<ServerUser> server_user(const ServerKind& kind);

/// A folder that this process owns, from creation to removal. Movable, not thread-safe.
class ServerFolder {
 public:
  ServerFolder() = default;
  ~ServerFolder();
  ServerFolder(ServerFolder&& other) noexcept;
  ServerFolder& operator=(ServerFolder&& other) noexcept;

  /// Makes one in TMPDIR, or in /tmp where TMPDIR is too long for a socket's path (107 bytes) or closed to `user`.
  /// Fault::permission, disk_full or io, with the path and the reason.
  /// `kind` outlives the folder.
  static Result<ServerFolder> create(const ServerKind& kind, const ServerUser& user);

  /// Of a folder that was created.
  const ServerKind& kind() const noexcept { return *kind_; }
  const std::string& path() const noexcept { return path_; }
  std::string data() const { return path_ + "/data"; }
  std::string log() const { return path_ + "/log"; }
  std::string socket_folder() const { return path_ + "/s"; }
  int lock_fd() const noexcept { return lock_fd_; }

  /// Removes the folder if it still exists, and gives the lock back.
  void remove() noexcept;

 private:
  const ServerKind* kind_ = nullptr;
  std::string path_;
  int lock_fd_ = -1;
};

/// Removes the folders of this kind in TMPDIR and /tmp that belong to this user and whose owner is gone, and stops a
/// server that still runs in one. Gives the paths removed. Waits at most a few seconds for each such server.
///
/// A server is stopped only when the process that listens on the socket *in that folder* (SO_PEERCRED) is the one that
/// the folder's pid file names: an id that another process has by now is never signalled.
std::vector<std::string> remove_stale_folders(const ServerKind& kind);

/// The process id in the pid file of the folder; 0 when it cannot be told.
int server_pid_in(const ServerKind& kind, const std::string& folder);

/// The last `lines_max` lines of the file, or "" when it cannot be read.
std::string tail_of(const std::string& path, std::size_t lines_max);

}  // namespace lockstep::server
