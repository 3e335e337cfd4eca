// cluster_folder.h: the folder of a private cluster, with a lock that says that its owner lives; and the removal of
// folders whose owner is gone.
//
// Layout:  BASE/lockstep-pg-XXXXXX/      ours, 0711, so that the server's user can pass through
//              owner                     flocked by the owner and by the supervisor of the server; never by the server
//              log                       what initdb and the server print
//              data/                     the cluster; belongs to the server's user, 0700
//              s/                        its socket; belongs to the server's user, 0700
//
// A folder is stale when the lock on `owner` is free. A process that takes that lock may remove the folder. The lock
// decides, not a process id: ids are used again, and mean nothing in another container that shares the folder.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::postgres {

/// The user that runs the server: PostgreSQL refuses to run as root.
struct ServerUser {
  bool drop = false;  ///< false: the same user as this process; uid and gid are then unused
  uid_t uid = 0;
  gid_t gid = 0;
};

/// For root: `postgres`, else `nobody`. For any other user: that user. Fault::unavailable for root when there is
/// neither.
Result<ServerUser> server_user();

/// A folder that this process owns, from creation to removal. Movable, not thread-safe.
class ClusterFolder {
 public:
  ClusterFolder() = default;
  ~ClusterFolder();
  ClusterFolder(ClusterFolder&& other) noexcept;
  ClusterFolder& operator=(ClusterFolder&& other) noexcept;

  /// Makes one in TMPDIR, or in /tmp where TMPDIR is too long for a socket's path (107 bytes) or closed to `user`.
  /// Fault::permission, disk_full or io, with the path and the reason.
  static Result<ClusterFolder> create(const ServerUser& user);

  const std::string& path() const noexcept { return path_; }
  std::string data() const { return path_ + "/data"; }
  std::string log() const { return path_ + "/log"; }
  std::string socket_folder() const { return path_ + "/s"; }
  int lock_fd() const noexcept { return lock_fd_; }

  /// Removes the folder if it still exists, and gives the lock back.
  void remove() noexcept;

 private:
  std::string path_;
  int lock_fd_ = -1;
};

/// Removes the folders of private clusters in TMPDIR and /tmp that belong to this user and have lost their owner. Stops
/// a server that still runs in one; waits at most a few seconds for each. Gives the paths removed.
///
/// A server is stopped only when two sources name the same process: the socket *in that folder* (SO_PEERCRED) and the
/// folder's postmaster.pid. So an id that another process has by now is never signalled.
std::vector<std::string> remove_stale_clusters();

/// The last `lines_max` lines of the file, or "" when it cannot be read.
std::string tail_of(const std::string& path, std::size_t lines_max);

}  // namespace lockstep::postgres
