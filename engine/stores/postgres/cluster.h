// cluster.h: a private PostgreSQL server: made in a temporary folder, reachable through a socket in it alone, gone with
// its owner however that ends (see supervisor.h), and swept up at the next start should even the sweepers have been
// killed.
//
// What is switched off, because nothing of it outlives the run: fsync and full_page_writes. synchronous_commit stays
// on: a commit still waits until its log record is written, but to the system's memory and not to the disk, so
// latencies of commits are those of a very fast disk. environment() of the backend records all of it.
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

/// One server and its folder. Removed by the destructor (about 20 ms). Not thread-safe; the server itself serves
/// anybody.
class PrivateCluster {
 public:
  /// Sweeps stale clusters up, then starts a new one; returns when it accepts connections. Takes about 0.2 s when a
  /// template is cached and 0.8 s otherwise; at most a minute for initdb and `start_max` for the server.
  /// Fault::unavailable when there are no server programs (the message says how to get them) or the server does not
  /// come up (the message ends with the tail of its log); permission, disk_full, io for the folder.
  static Result<std::unique_ptr<PrivateCluster>> start(const ClusterOptions& options = {});

  ~PrivateCluster();
  PrivateCluster(const PrivateCluster&) = delete;
  PrivateCluster& operator=(const PrivateCluster&) = delete;

  /// "host='FOLDER/s' port=5432 user=postgres dbname=postgres": a superuser without a password; only this user (and
  /// root, and the user that the server runs as) can reach the socket.
  const std::string& dsn() const noexcept;
  /// The temporary folder: data/, log, s/ (the socket).
  const std::string& folder() const noexcept;
  /// False when the server has ended by itself (killed, crashed).
  bool alive() noexcept;
  /// Process id of the server, from its own pid file; 0 when it cannot be told.
  int server_pid() const;

  /// Stops the server at once and returns without waiting: for a last resort. Async-signal-safe.
  void let_go() noexcept;

 private:
  struct Parts;
  explicit PrivateCluster(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// The DSN of the one private cluster that this process shares, started when first asked for and removed at exit (also
/// by exit(), by a signal and by kill -9). Started again when it has died. Thread-safe; waits as start().
Result<std::string> private_cluster_dsn();

/// True while this process has its shared cluster.
bool has_private_cluster();

/// Removes the shared cluster now, if there is one. No session may be open on it. Thread-safe.
void end_private_cluster() noexcept;

}  // namespace lockstep::postgres
