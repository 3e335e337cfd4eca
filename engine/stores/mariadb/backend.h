// backend.h: a MariaDB server as a backend, alone or as a node of a cluster.
#pragma once

#include <memory>
#include <string>

#include "engine/store/backend.h"
#include "engine/stores/mariadb/protocol.h"
#include "engine/stores/mariadb/session.h"
#include "kv/base/result.h"

namespace lockstep::mariadb {

/// What a server that is a node of a cluster is told by it.
struct MariaMembership {
  ProtocolTraits protocol;
  MariaIsolation isolation;
  std::string settings;             ///< more of each session's, such as ", wsrep_sync_wait = 15"
  MariaCluster* cluster = nullptr;  ///< outlives the backend
  int node = 0;                     ///< of the cluster, from 0
  std::shared_ptr<MariaTraces> traces;
};

/// A statement that waits until its node has done all that the cluster has committed.
inline constexpr const char* kCatchUp = "set statement wsrep_sync_wait = 15 for select 1";

/// A backend for the sessions of one node.
class MariaNode : public Backend {
 public:
  /// The run's database.
  virtual const std::string& database() const noexcept = 0;
  /// Closes the connections that wait for another session.
  virtual void close_idle() = 0;
};

/// `options.dsn` is the node's. The first node makes the run's database; the others join it (kJoinsOption) and are not
/// set up. Faults as those of the store mariadb.
Result<std::unique_ptr<MariaNode>> open_node(const BackendOptions& options, MariaMembership membership);

}  // namespace lockstep::mariadb
