// 2pl_detect.cc: strict two-phase locking that waits, and looks for a deadlock each time that a transaction has to.
//
// Paper: Eswaran, Gray, Lorie, Traiger, "The notions of consistency and predicate locks", 1976; waits-for graph and
// victims: Gray and Reuter, "Transaction Processing", 1993, 7.11. Next-key locks: Mohan, "ARIES/KVL", 1990.
//
// Guarantee: serializable, without phantoms. A deadlock is found the moment that it forms; one of the cycle gives up,
// the youngest unless Options::victim says otherwise.
//
// Price: readers and writers of a row wait for each other. Each wait of a transaction that holds locks for one that
// waits too stops the whole lock table for the look.
#include "kv/locking/deadlock.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {

ProtocolEntry protocol_2pl_detect() {
  return {.info = {.name = {},
                   .summary = "waits; finds a deadlock when it forms and gives up the youngest of the cycle",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::reads_and_writes,
                   .breaks_deadlocks = true,
                   .scope = ConflictScope::keys,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<TwoPhase>(
                TwoPhase::Config{.locks = std::make_unique<LockTable>(LockTable::Config{
                                     .policy = std::make_unique<DeadlockDetector>(options.observer, options.victim),
                                     .lock_timeout = options.lock_timeout,
                                     .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
