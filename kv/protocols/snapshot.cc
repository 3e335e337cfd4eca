// snapshot.cc: snapshot isolation: readers never wait, of two writers of a row the first wins.
//
// Paper: Berenson, Bernstein, Gray, Melton, O'Neil, O'Neil, "A critique of ANSI SQL isolation levels", 1995.
//
// Behaviour: PostgreSQL's REPEATABLE READ; see kv/versions/multi_version.h.
//
// Guarantee: every read sees the store at one moment; no dirty or lost write, no phantom. Not serializable: two
// transactions that read what the other writes both commit (write skew), since nobody locks what is only read.
//
// Price: several versions of a row in memory, as long as a snapshot may see them.
#include "kv/locking/deadlock.h"
#include "kv/versions/multi_version.h"

namespace lockstep::kv {

ProtocolEntry protocol_snapshot() {
  return {.info = {.name = {},
                   .summary = "readers see one moment and never wait; of two writers of a row the first wins",
                   .serializable = false,
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
                                         .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
