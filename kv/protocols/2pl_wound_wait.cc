// 2pl_wound_wait.cc: strict two-phase locking in which the older takes and the younger waits.
//
// Paper: Rosenkrantz, Stearns, Lewis, "System level concurrency control for distributed database systems", ACM TODS
// 3(2), 1978.
//
// Age is the begin of the first attempt. A request waits for older transactions and wounds the younger ones in its way.
// A wounded one gives up at once when it waits, otherwise at its next operation that asks for a lock. One that commits
// first has ended as well, and the wound has no effect. A transaction that waits in front counts as a holder. Of those
// that are not wounded only the younger wait for the older, so the waits-for graph has no cycle, and no detector is
// needed.
//
// A lock that is strengthened goes in front of the queue. When an older transaction that waits there would now wait for
// it, its owner is wounded itself. Of two that strengthen locks which exclude each other the younger is wounded: either
// may be served first.
//
// Guarantee: serializable, without phantoms; no deadlock. The oldest is never wounded, and a retry that names its first
// attempt grows old: nobody starves.
//
// Price: work is taken from transactions that would have been in no deadlock. A wounded one that stands idle is waited
// for until it moves: the store does not end a transaction behind the back of its client.
#include <fmt/format.h>

#include "kv/locking/lock_table.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {
namespace {

Error wounded(const LockOwner& victim, const LockRequest& older) {
  return Error{Fault::wounded,
               {},
               fmt::format("{} was wounded: the older {} needs {}; a retry is safe", victim.name(), older.owner->name(),
                           describe(older.head->key, older.wanted))};
}

class WoundWait final : public ConflictPolicy {
 public:
  std::optional<Error> queued(LockTable& table, LockOwner& owner) override {
    // Wounded between the begin of this operation and the moment that it could be seen to wait.
    if (const Error* const why = owner.wound.why()) return table.withdraw(owner) ? std::optional(*why) : std::nullopt;
    std::optional<Error> error;
    Victims victims;
    table.at_wait(owner, [&](const LockRequest& request) {
      error = wounded_by_those_behind(request);
      if (!error) victims = wound_younger(request);
    });
    if (error) return table.withdraw(owner) ? std::move(error) : std::nullopt;
    table.kill(std::move(victims));
    return std::nullopt;
  }

  std::optional<Error> overtook(LockTable& table, LockOwner&, const LockRequest& request) override {
    std::optional<Error> error;
    table.at_key(request, [&] { error = wounded_by_those_behind(request); });
    return error;
  }

 private:
  using Victims = std::vector<LockTable::Victim>;

  static std::optional<Error> wounded_by_those_behind(const LockRequest& request) {
    std::optional<Error> error;
    const auto give_way = [&](const LockRequest& waiter) {
      if (!error && waiter.owner->is_older_than(*request.owner)) error = wounded(*request.owner, waiter);
    };
    LockTable::for_each_blocked(request, give_way);
    LockTable::for_each_rival(request, give_way);
    return error;
  }

  static Victims wound_younger(const LockRequest& request) {
    Victims victims;
    const auto add = [&](const LockRequest& blocker) {
      if (!request.owner->is_older_than(*blocker.owner)) return;
      Error why = wounded(*blocker.owner, request);
      blocker.owner->wound.inflict(why);
      victims.push_back({blocker.owner, blocker.owner->id, std::move(why)});
    };
    LockTable::for_each_blocker(request, add);
    LockTable::for_each_rival(request, add);
    return victims;
  }
};

}  // namespace

ProtocolEntry protocol_2pl_wound_wait() {
  return {.info = {.name = {},
                   .summary = "waits for older transactions and makes younger ones give up what it needs",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::reads_and_writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::wounds,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<TwoPhase>(TwoPhase::Config{
                .locks = std::make_unique<LockTable>(LockTable::Config{
                    .policy = std::make_unique<WoundWait>(), .lock_timeout = options.lock_timeout, .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
