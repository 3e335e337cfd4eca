// protocol.cc: the table of protocols.
#include "engine/stores/mariadb/protocol.h"

#include <algorithm>
#include <iterator>

namespace lockstep::mariadb {
namespace {

constexpr LevelRow kProtocols[] = {
    // Its writes go to the newest rows, whatever the snapshot shows: so no level above this one is promised.
    {"repeatable-read",
     {"repeatable read", false},
     "plain reads see a snapshot, writes and locking reads the newest rows; gaps are locked (the server's default)",
     check::Level::read_committed,
     true,
     HoldsUntilEnd::writes},
    {"read-uncommitted",
     {"read uncommitted", false},
     "plain reads see what nobody has committed",
     check::Level::read_uncommitted,
     false,
     HoldsUntilEnd::writes},
    {"read-committed",
     {"read committed", false},
     "each statement sees what was committed before it began; rows are locked, and no gaps",
     check::Level::read_committed,
     true,
     HoldsUntilEnd::writes},
    {"snapshot",
     {"repeatable read", true},
     "repeatable read that refuses to change a row that is newer than its snapshot (innodb_snapshot_isolation)",
     check::Level::snapshot,
     true,
     HoldsUntilEnd::writes},
    {"serializable",
     {"serializable", false},
     "every read locks what it reads, and the gaps between",
     check::Level::serializable,
     false,
     HoldsUntilEnd::reads_and_writes},
};

}  // namespace

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

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const LevelRow& row : kProtocols) list.push_back(traits_of(row));
  return list;
}

std::optional<MariaIsolation> isolation_named(std::string_view protocol) {
  const auto* row = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [protocol](const LevelRow& each) { return each.name == protocol; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->isolation);
}

}  // namespace lockstep::mariadb
