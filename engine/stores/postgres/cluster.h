// cluster.h: a private PostgreSQL server (engine/server/private_server.h).
//
// fsync and full_page_writes are switched off unless asked for, because nothing on disk outlives the run.
// synchronous_commit stays on: a
// commit waits until its log record is written, though to the system's memory and not to the disk. So commits take as
// long as on a very fast disk. environment() of the backend records all of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/server/private_server.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

/// Whether a commit waits for the disk (fsync, full_page_writes).
enum class Durable : bool { no, yes };

struct ClusterOptions {
  std::vector<std::string> settings;           ///< further "name=value" for the server's command line
  std::chrono::milliseconds start_max{30000};  ///< until it must accept connections
};

/// Sweeps stale clusters up, then starts a new one. Takes about 0.2 s when a template is cached and 0.8 s otherwise; at
/// most a minute for initdb and `start_max` for the server. Its DSN is "host='FOLDER/s' port=5432 user=postgres
/// dbname=postgres": a superuser without a password; only this user (and root, and the user that the server runs as)
/// can reach the socket. Faults as PrivateServer::start(); Fault::unavailable when there are no server programs (the
/// message says how to get them).
Result<std::unique_ptr<server::PrivateServer>> start_private_cluster(const ClusterOptions& options = {});

/// Removes the folders of private clusters whose owner is gone (server_folder.h). Gives their paths.
std::vector<std::string> remove_stale_clusters();

/// Of the environment: the server where none is named by --dsn.
inline constexpr const char* kDsnVariable = "LOCKSTEP_DSN";

/// True when a server is named: by `dsn`, or by the environment.
bool is_server_named(const std::string& dsn);

/// `dsn`; where it is empty that of the environment, else that of the private cluster, which is started if need be.
Result<std::string> dsn_for(const std::string& dsn, Durable durable = Durable::no);

/// The private clusters that this process shares: one for a store on one server, both for a store on two.
enum class PrivateCluster : std::uint8_t { first, second };

/// The DSN of a private cluster that this process shares (SharedServer). Waits as start_private_cluster().
/// Fault::invalid when it has been started with the other durability.
Result<std::string> private_cluster_dsn(Durable durable = Durable::no, PrivateCluster which = PrivateCluster::first);

/// True while this process has that shared cluster.
bool has_private_cluster(PrivateCluster which = PrivateCluster::first);

/// Removes the shared clusters now, if there are any. No session may be open on them. Thread-safe.
void end_private_cluster() noexcept;

}  // namespace lockstep::postgres
