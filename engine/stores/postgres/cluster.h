// cluster.h: a private PostgreSQL server. It is made in a temporary folder and reachable only through a socket in it.
// It goes with its owner, however that ends (supervisor.h). When even the supervisor was killed, the next start removes
// what is left.
//
// fsync and full_page_writes are switched off, because nothing on disk outlives the run. synchronous_commit stays on: a
// commit waits until its log record is written, though to the system's memory and not to the disk. So commits take as
// long as on a very fast disk. environment() of the backend records all of it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::postgres {

struct ClusterOptions {
  std::vector<std::string> settings;           ///< further "name=value" for the server's command line
  std::chrono::milliseconds start_max{30000};  ///< until it must accept connections
};

/// One server and its folder. The destructor removes both, in about 20 ms. Not thread-safe; any thread may connect to
/// the server.
class PrivateCluster {
 public:
  /// Sweeps stale clusters up, then starts a new one; returns when it accepts connections. Takes about 0.2 s when a
  /// template is cached and 0.8 s otherwise. Waits at most a minute for initdb and `start_max` for the server.
  /// Fault::unavailable without server programs (the message says how to get them), or when the server does not come up
  /// (the message ends with the tail of its log). Fault::permission, disk_full, io for the folder.
  static Result<std::unique_ptr<PrivateCluster>> start(const ClusterOptions& options = {});

  ~PrivateCluster();
  PrivateCluster(const PrivateCluster&) = delete;
  PrivateCluster& operator=(const PrivateCluster&) = delete;

  /// "host='FOLDER/s' port=5432 user=postgres dbname=postgres": a superuser without a password. Only this user, root,
  /// and the user that the server runs as can reach the socket.
  const std::string& dsn() const noexcept;
  /// The temporary folder: data/, log, s/ (the socket).
  const std::string& folder() const noexcept;
  /// False when the server has ended by itself (killed, crashed).
  bool alive() noexcept;
  /// Process id of the server, from its own pid file; 0 when it cannot be told.
  int server_pid() const;

  /// Stops the server at once and does not wait for its end: the last resort. Async-signal-safe.
  void let_go() noexcept;

 private:
  struct Parts;
  explicit PrivateCluster(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// The DSN of the one private cluster that this process shares. It is started when first asked for, and removed at exit
/// (also by exit(), by a signal and by kill -9). It is started again when it has died. Thread-safe; waits as start().
Result<std::string> private_cluster_dsn();

/// True while this process has its shared cluster.
bool has_private_cluster();

/// Removes the shared cluster now, if there is one. No session may be open on it. Thread-safe.
void end_private_cluster() noexcept;

}  // namespace lockstep::postgres
