// 2pl_no_wait.cc: strict two-phase locking that never waits.
//
// Paper: Bernstein and Goodman, "Concurrency control in distributed database systems", 1981 (restart instead of
// waiting).
//
// A conflict aborts at once. Nobody waits, so no cycle of waiters can form and no detector is needed.
//
// Guarantee: serializable, without phantoms; no operation is ever pending.
//
// Price: more aborts under contention, and nobody is promised to get through.
#include "kv/locking/lock_table.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {
namespace {

class NeverWait final : public ConflictPolicy {
 public:
  bool may_wait() const noexcept override { return false; }
  std::optional<Error> queued(LockTable&, LockOwner&) override { return std::nullopt; }
};

}  // namespace

ProtocolEntry protocol_2pl_no_wait() {
  return {.info = {.name = {},
                   .summary = "gives up at once when a lock is not free",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::reads_and_writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::keys,
                   .on_trial = false},
          .open = [](const Options&, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<TwoPhase>(TwoPhase::Config{
                .locks = std::make_unique<LockTable>(LockTable::Config{
                    .policy = std::make_unique<NeverWait>(), .lock_timeout = kNever, .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
