// backend.h: what a store on several servers takes from the store on one: each of its servers is a store like this one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/store/backend.h"
#include "engine/stores/postgres/session.h"

namespace lockstep {

BackendKind backend_postgres();

namespace postgres {

/// In BackendOptions::own: "first" or "second", the private cluster to use, whatever server the environment names.
inline constexpr std::string_view kClusterOption = "cluster";
inline constexpr std::string_view kFirstCluster = "first", kSecondCluster = "second";

/// Of the advisory locks of this program, the first half; any number that no other program uses. The second half is in
/// the name of a run's schema.
inline constexpr int kLockClass = 0x10c57e9;

/// A backend for one of the servers.
class PostgresServer : public Backend {
 public:
  /// What its sessions share. Lives as long as the backend.
  virtual Common& common() noexcept = 0;
  /// A session that does not block. Faults as open_session().
  virtual Result<std::unique_ptr<PostgresSession>> open_branch(int actor, const std::string& name) = 0;
};

/// Faults as those of the store postgres.
Result<std::unique_ptr<PostgresServer>> open_server(const BackendOptions& options);

}  // namespace postgres
}  // namespace lockstep
