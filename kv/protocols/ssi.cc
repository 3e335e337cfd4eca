// ssi.cc: serializable snapshot isolation: as snapshot, and a transaction that would complete a dangerous structure
// gives up.
//
// Papers: Cahill, Röhm, Fekete, "Serializable isolation for snapshot databases", SIGMOD 2008; Ports and Grittner,
// "Serializable snapshot isolation in PostgreSQL", VLDB 2012. How it is done here: kv/versions/antidependency.h.
//
// Behaviour: PostgreSQL's SERIALIZABLE, with the check at commit instead of at the operation.
//
// Guarantee: serializable, without phantoms. Readers never wait for writers nor writers for readers. A transaction
// gives up because others have committed, so a retry does not meet them again. A transaction that only reads gives up
// only when a structure was complete before its snapshot.
//
// Price: that of snapshot. Each transaction that writes looks again at what it has read. Two antidependencies in a row
// need not be part of a cycle, so some give up needlessly. Work on disjoint rows never does.
#include "kv/locking/deadlock.h"
#include "kv/versions/multi_version.h"

namespace lockstep::kv {

ProtocolEntry protocol_ssi() {
  return {.info = {.name = {},
                   .summary = "as snapshot, and gives up at commit what could not have happened in a serial order",
                   .serializable = true,
                   .reads_snapshot = true,
                   .holds = HoldsUntilEnd::writes,
                   .breaks_deadlocks = true,
                   .scope = ConflictScope::snapshot,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<MultiVersion>(
                MultiVersion::Config{.locks = std::make_unique<LockTable>(LockTable::Config{
                                         .policy = std::make_unique<DeadlockDetector>(options.observer, options.victim),
                                         .lock_timeout = options.lock_timeout,
                                         .clock = &clock}),
                                     .tracks_reads = true});
          }};
}

}  // namespace lockstep::kv
