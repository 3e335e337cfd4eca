// toy_impatient.cc: a protocol in one file: strict two-phase locking whose waits last 5 ms at most, unless a run says
// otherwise. It shows that a protocol of kv needs no line outside its own file.
#include "kv/locking/lock_table.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {
namespace {

constexpr Nanos kPatience = std::chrono::milliseconds(5);

}  // namespace

ProtocolEntry protocol_toy_impatient() {
  return {.info = {.name = {},
                   .summary = "waits for a lock up to a limit (5 ms by default), then gives up",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::keys,
                   .on_trial = true},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            const Nanos limit = options.lock_timeout == kNever ? kPatience : options.lock_timeout;
            return std::make_unique<TwoPhase>(
                TwoPhase::Config{.locks = std::make_unique<LockTable>(
                                     LockTable::Config{.policy = nullptr, .lock_timeout = limit, .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
