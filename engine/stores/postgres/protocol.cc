// protocol.cc: the table of protocols.
#include "engine/stores/postgres/protocol.h"

#include <algorithm>
#include <iterator>

namespace lockstep::postgres {
namespace {

struct LevelRow {
  std::string_view name;
  std::string_view level;  ///< as the server calls it
  std::string_view summary;
  check::Level isolation;
  StoreModel model;
};

/// Snapshots with locks for writes. The session whose wait closes a cycle looks for it, and gives up. A commit that
/// fails ends the transaction.
constexpr EmulatedDatabase emulated(std::string_view name, bool operations_see_latest) {
  return {.name = name,
          .closer_is_victim = true,
          .operations_see_latest = operations_see_latest,
          .begin_takes_store = false,
          .failed_commit_aborts = true};
}

constexpr LevelRow kProtocols[] = {
    {"read-committed",
     "read committed",
     "each statement sees what was committed before it began (the server's default)",
     check::Level::read_committed,
     {"snapshot", emulated("postgres/read-committed", true)}},
    {"repeatable-read",
     "repeatable read",
     "a snapshot from the first statement on; the first updater wins",
     check::Level::snapshot,
     {"snapshot", emulated("postgres", false)}},
    {"serializable",
     "serializable",
     "snapshots, and the abort of what no serial order allows (SSI)",
     check::Level::serializable,
     {"ssi", emulated("postgres", false)}},
};

ProtocolTraits traits_of(const LevelRow& row) {
  return {.name = std::string(row.name),
          .summary = std::string(row.summary),
          .isolation = row.isolation,
          .deadlocks = DeadlockBreaking::after_timeout,
          .scope = ConflictScope::store,
          .begin_order_matters = true,
          .reads_snapshot = true,
          .holds = HoldsUntilEnd::writes,
          .model = row.model,
          .on_trial = false};
}

}  // namespace

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const LevelRow& row : kProtocols) list.push_back(traits_of(row));
  return list;
}

std::optional<std::string_view> isolation_named(std::string_view protocol) {
  const auto* row = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [protocol](const LevelRow& each) { return each.name == protocol; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->level);
}

}  // namespace lockstep::postgres
