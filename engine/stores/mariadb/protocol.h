// protocol.h: the protocols of MariaDB: InnoDB's isolation levels, one of them with and without its check of snapshots.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/store/traits.h"

namespace lockstep::mariadb {

/// What a session sets for a protocol.
struct MariaIsolation {
  std::string_view level;  ///< as the server calls it: "repeatable read"
  bool checks_snapshot;    ///< innodb_snapshot_isolation
};

/// A protocol in a table of them.
struct LevelRow {
  std::string_view name;
  MariaIsolation isolation;
  std::string_view summary;
  check::Level promised;
  bool reads_snapshot;
  HoldsUntilEnd holds;
};

/// What is the same for every level of InnoDB, with what the row says.
ProtocolTraits traits_of(const LevelRow& row);

/// What every protocol is; the first is the default.
std::vector<ProtocolTraits> protocol_list();

/// nullopt for a protocol that there is not.
std::optional<MariaIsolation> isolation_named(std::string_view protocol);

}  // namespace lockstep::mariadb
