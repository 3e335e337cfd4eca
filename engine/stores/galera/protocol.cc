// protocol.cc: the table of protocols.
#include "engine/stores/galera/protocol.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace lockstep::galera {
namespace {

constexpr int kEveryStatement = 15;  // reads, updates and deletes, inserts, and SHOW

struct LevelRow {
  std::string_view name;
  GaleraIsolation isolation;
  std::string_view summary;
  check::Level promised;
  bool reads_snapshot;
  HoldsUntilEnd holds;
};

constexpr LevelRow kProtocols[] = {
    // A write goes to the newest row of its node, whatever the snapshot shows: no level above this one is promised.
    {"repeatable-read",
     {{"repeatable read", false}, 0},
     "plain reads see a snapshot; of two nodes that change a row at a time the first to commit wins (the default)",
     check::Level::read_committed,
     true,
     HoldsUntilEnd::writes},
    {"read-committed",
     {{"read committed", false}, 0},
     "each statement sees what its node had done before it began; the first to commit wins",
     check::Level::read_committed,
     true,
     HoldsUntilEnd::writes},
    // Each node shows a snapshot, and not of this moment: it may lack what another node has acknowledged.
    {"snapshot",
     {{"repeatable read", true}, 0},
     "repeatable read that refuses to change a row that is newer than its snapshot (innodb_snapshot_isolation)",
     check::Level::read_committed,
     true,
     HoldsUntilEnd::writes},
    {"snapshot-synced",
     {{"repeatable read", true}, kEveryStatement},
     "the same, and every statement waits until its node has caught up with the cluster (wsrep_sync_wait)",
     check::Level::snapshot,
     true,
     HoldsUntilEnd::writes},
    // Locks of reads are of one node, and the certification at the commit looks at writes alone. Two commits that are
    // under way at a time can be a write skew.
    {"serializable",
     {{"serializable", false}, 0},
     "every read locks what it reads, on its own node alone",
     check::Level::read_committed,
     false,
     HoldsUntilEnd::reads_and_writes},
    {"serializable-synced",
     {{"serializable", false}, kEveryStatement},
     "the same, and every statement waits until its node has caught up with the cluster (wsrep_sync_wait)",
     check::Level::snapshot,
     false,
     HoldsUntilEnd::reads_and_writes},
};

ProtocolTraits traits_of(const LevelRow& row) {
  return {.name = std::string(row.name),
          .summary = std::string(row.summary),
          .isolation = row.promised,
          .deadlocks = DeadlockBreaking::at_once,
          .scope = ConflictScope::store,
          .begin_order_matters = true,
          .reads_snapshot = row.reads_snapshot,
          .holds = row.holds,
          .model = std::nullopt,
          .on_trial = true};
}

}  // namespace

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const LevelRow& row : kProtocols) list.push_back(traits_of(row));
  return list;
}

std::optional<GaleraIsolation> isolation_named(std::string_view protocol) {
  const auto* row = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [protocol](const LevelRow& each) { return each.name == protocol; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->isolation);
}

}  // namespace lockstep::galera
