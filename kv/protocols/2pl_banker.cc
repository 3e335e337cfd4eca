// 2pl_banker.cc: strict two-phase locking that avoids deadlocks by the banker's algorithm.
//
// Paper: Dijkstra, "Cooperating sequential processes", 1965; Habermann, "Prevention of system deadlocks", 1969.
//
// Every key is a resource with one unit; a transaction claims at begin the keys that it may lock. A request waits when
// its key is held, and also when the grant would leave no order in which everybody can finish. A key outside the claims
// is refused with claim_exceeded, and so is every key when nothing was claimed.
//
// Guarantee: serializable, without phantoms, and no deadlock can form: the store never gives a transaction up.
//
// Price: the keys must be known beforehand. Readers of a row exclude each other, and so do scans, inserts and erases.
// Overstated claims make others wait for nothing. There is one mutex for the whole store.
#include "kv/locking/banker_locks.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {

ProtocolEntry protocol_2pl_banker() {
  return {
      .info = {.name = {},
               .summary = "waits while a grant could lead to a deadlock; needs the claims of each transaction",
               .serializable = true,
               .reads_snapshot = false,
               .holds = HoldsUntilEnd::reads_and_writes,
               .breaks_deadlocks = false,
               .scope = ConflictScope::store,
               .on_trial = false},
      .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
        return std::make_unique<TwoPhase>(TwoPhase::Config{.locks = std::make_unique<BankerLocks>(BankerLocks::Config{
                                                               .lock_timeout = options.lock_timeout, .clock = &clock}),
                                                           .range_guard = RangeGuard::membership,
                                                           .only_exclusive = true});
      }};
}

}  // namespace lockstep::kv
