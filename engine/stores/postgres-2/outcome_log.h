// outcome_log.h: the coordinator's log, and the recovery from it.
//
// The log is a table of the run's schema on the first server: a name in it means that the transaction is to commit. It
// is written after both servers have prepared and before either is told to commit. So what is prepared and not in the
// log was never decided, and is rolled back (presumed abort; C. Mohan, B. Lindsay, "Efficient commit protocols for the
// tree of processes model of distributed transactions", PODC 1983).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/stores/postgres-2/placement.h"
#include "engine/stores/postgres/monitor.h"

namespace lockstep::postgres_2 {

inline constexpr std::string_view kLogTable = "coordinator_log";

/// Makes the log.
std::string log_statement();
/// Writes the decision: "insert …". A statement of its own, which is committed at once.
std::string decision_statement(std::string_view name);

/// What recovery has done with one transaction on one server.
struct ResolvedTransaction {
  std::string name;  ///< without that of the run
  std::size_t server = 0;
  bool committed = false;
};

/// Ends whatever the run has prepared and nobody has ended, on both servers, as the log says. `run`: the name of its
/// schema on the first server. The monitors in the order of the servers. Faults of Monitor::query(); what was resolved
/// before a fault stays so.
Result<std::vector<ResolvedTransaction>> resolve_prepared(std::span<postgres::Monitor* const> monitors,
                                                          const std::string& run);

/// The same for every run that has died: the names of runs in prepared transactions of which nobody holds the advisory
/// lock on the first server any more. `lock_class`: the first half of these locks.
Result<std::vector<ResolvedTransaction>> resolve_of_dead_runs(std::span<postgres::Monitor* const> monitors,
                                                              int lock_class);

}  // namespace lockstep::postgres_2
