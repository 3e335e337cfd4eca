// protocol.cc: the table of protocols.
#include "engine/stores/galera/protocol.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace lockstep::galera {
namespace {

constexpr int kEveryStatement = 15;  // reads, updates and deletes, inserts, and SHOW

struct GaleraRow {
  mariadb::LevelRow level;
  int sync_wait;
};

constexpr GaleraRow kProtocols[] = {
    // A write goes to the newest row of its node, whatever the snapshot shows: no level above this one is promised.
    {{"repeatable-read",
      {"repeatable read", false},
      "plain reads see a snapshot; of two nodes that change a row at a time the first to commit wins (the default)",
      check::Level::read_committed,
      true,
      HoldsUntilEnd::writes},
     0},
    {{"read-committed",
      {"read committed", false},
      "each statement sees what its node had done before it began; the first to commit wins",
      check::Level::read_committed,
      true,
      HoldsUntilEnd::writes},
     0},
    // Each node shows a snapshot, and not of this moment: it may lack what another node has acknowledged.
    {{"snapshot",
      {"repeatable read", true},
      "repeatable read that refuses to change a row that is newer than its snapshot (innodb_snapshot_isolation)",
      check::Level::read_committed,
      true,
      HoldsUntilEnd::writes},
     0},
    {{"snapshot-synced",
      {"repeatable read", true},
      "the same, and every statement waits until its node has caught up with the cluster (wsrep_sync_wait)",
      check::Level::snapshot,
      true,
      HoldsUntilEnd::writes},
     kEveryStatement},
    // Locks of reads are of one node, and the certification at the commit looks at writes alone. Two commits that are
    // under way at a time can be a write skew.
    {{"serializable",
      {"serializable", false},
      "every read locks what it reads, on its own node alone",
      check::Level::read_committed,
      false,
      HoldsUntilEnd::reads_and_writes},
     0},
    {{"serializable-synced",
      {"serializable", false},
      "the same, and every statement waits until its node has caught up with the cluster (wsrep_sync_wait)",
      check::Level::snapshot,
      false,
      HoldsUntilEnd::reads_and_writes},
     kEveryStatement},
};

}  // namespace

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const GaleraRow& row : kProtocols) list.push_back(mariadb::traits_of(row.level));
  return list;
}

std::optional<GaleraIsolation> isolation_named(std::string_view protocol) {
  const auto* row = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [protocol](const GaleraRow& each) { return each.level.name == protocol; });
  if (row == std::end(kProtocols)) return std::nullopt;
  return GaleraIsolation{.level = row->level.isolation, .sync_wait = row->sync_wait};
}

}  // namespace lockstep::galera
