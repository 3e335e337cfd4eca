// 2pl_timeout.cc: strict two-phase locking that waits, but for no longer than a limit.
//
// Paper: Gray and Reuter, "Transaction Processing", 1993, 7.11.1: a wait that lasts too long is taken for a deadlock.
//
// Guarantee: serializable, without phantoms. Every deadlock ends, after the limit (50 ms unless Options say otherwise).
//
// Price: the limit is a guess. Too short, and slow transactions die for no deadlock; too long, and a deadlock stalls
// all that queue behind it. All members of a cycle may give up. The store has no timer: the caller ends the wait when
// wait_deadline() has passed.
#include <chrono>

#include "kv/locking/lock_table.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {
namespace {

constexpr Nanos kDefaultLimit = std::chrono::milliseconds(50);

}  // namespace

ProtocolEntry protocol_2pl_timeout() {
  return {.info = {.name = {},
                   .summary = "waits for a lock up to a limit (50 ms by default), then gives up",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::reads_and_writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::keys,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            const Nanos limit = options.lock_timeout == kNever ? kDefaultLimit : options.lock_timeout;
            return std::make_unique<TwoPhase>(
                TwoPhase::Config{.locks = std::make_unique<LockTable>(
                                     LockTable::Config{.policy = nullptr, .lock_timeout = limit, .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
