// protocol.h: the protocols of a Galera cluster: InnoDB's levels on each node, with and without waiting for the others.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/store/traits.h"
#include "engine/stores/mariadb/protocol.h"

namespace lockstep::galera {

/// What a session sets for a protocol.
struct GaleraIsolation {
  mariadb::MariaIsolation level;
  int sync_wait;  ///< wsrep_sync_wait: what waits until its node has done all that the cluster has committed
};

/// What every protocol is; the first is the default.
std::vector<ProtocolTraits> protocol_list();

/// nullopt for a protocol that there is not.
std::optional<GaleraIsolation> isolation_named(std::string_view protocol);

}  // namespace lockstep::galera
