// cluster.h: a private cluster: three private servers (engine/server/private_server.h) that replicate to each other
// over loopback. Clients reach them by sockets alone, in folders that are closed to others. Each node is said to be as
// far as the one before it leaves the cluster, so a node joins without a transfer of its state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/server/private_server.h"
#include "engine/stores/mariadb/server.h"
#include "kv/base/result.h"

namespace lockstep::galera {

inline constexpr int kNodes = 3;

/// Of the environment: the cluster where none is named by --dsn.
inline constexpr const char* kDsnVariable = "LOCKSTEP_GALERA_DSN";

/// The library that makes a MariaDB a node. Looks at LOCKSTEP_GALERA_PROVIDER alone when it is set, else where
/// distributions install it. Fault::unavailable: the message says what to install.
Result<std::string> find_provider();

/// Its nodes, and their folders. Removed by the destructor (a tenth of a second). Not thread-safe.
class PrivateNodes {
 public:
  /// Sweeps stale nodes up, then starts new ones, one after the other (3 to 4 s, most of it timers of the group's).
  /// Faults as PrivateServer::start(), of find_provider(), and of mariadb::find_server_program().
  static Result<std::unique_ptr<PrivateNodes>> start(mariadb::MariaDurable durable);

  /// One for each node, in their order.
  std::vector<std::string> dsns() const;
  /// False when a node has ended by itself.
  bool alive() noexcept;
  server::PrivateServer& node(int number) noexcept { return *nodes_[static_cast<std::size_t>(number)]; }

 private:
  std::vector<std::unique_ptr<server::PrivateServer>> nodes_;
};

/// Removes the folders of nodes whose owner is gone. Gives their paths.
std::vector<std::string> remove_stale_nodes();

/// True when a cluster is named: by `dsn`, or by the environment.
bool is_cluster_named(const std::string& dsn);

/// The nodes of `dsn`; where it is empty those of the environment's, else of the one private cluster that this process
/// shares, which is started if need be. Fault::invalid when that was started with the other durability.
Result<std::vector<std::string>> nodes_for(const std::string& dsn, mariadb::MariaDurable durable);

/// True while this process has its shared cluster.
bool has_private_cluster();

}  // namespace lockstep::galera
