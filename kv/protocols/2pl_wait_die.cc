// 2pl_wait_die.cc: strict two-phase locking in which only the older waits for the younger.
//
// Paper: Rosenkrantz, Stearns, Lewis, "System level concurrency control for distributed database systems", ACM TODS
// 3(2), 1978.
//
// Age is the begin of the first attempt. A request that would wait for an older transaction gives up at once ("dies");
// otherwise it waits. A transaction that waits in front counts as a holder. Every edge of the waits-for graph leads
// from an older to a younger transaction, so it has no cycle, and no detector is needed.
//
// A lock that is strengthened goes in front of the queue: a younger transaction which waits there, and would now wait
// for it, dies too. Of two that strengthen locks which exclude each other the younger dies: either may be served first.
//
// Guarantee: serializable, without phantoms; no deadlock. A retry that names its first attempt grows old, and the
// oldest never dies: nobody starves.
//
// Price: transactions die that would have been in no deadlock; one that retries at once dies again until the older one
// has ended.
#include <fmt/format.h>

#include "kv/locking/lock_table.h"
#include "kv/locking/two_phase.h"

namespace lockstep::kv {
namespace {

Error died(const LockRequest& request, const LockOwner& older) {
  return Error{Fault::died,
               {},
               fmt::format("{} gave up {}: the older {} is in its way, and a younger transaction may not wait for an "
                           "older one; a retry is safe",
                           request.owner->name(), describe(request.head->key, request.wanted), older.name())};
}

class WaitDie final : public ConflictPolicy {
 public:
  std::optional<Error> queued(LockTable& table, LockOwner& owner) override {
    std::optional<Error> error;
    Victims victims;
    table.at_wait(owner, [&](const LockRequest& request) {
      const auto give_way = [&](const LockRequest& other) {
        if (!error && other.owner->is_older_than(owner)) error = died(request, *other.owner);
      };
      LockTable::for_each_blocker(request, give_way);
      LockTable::for_each_rival(request, give_way);
      if (!error) victims = younger_behind(request);
    });
    if (error) return table.withdraw(owner) ? std::move(error) : std::nullopt;
    table.kill(std::move(victims));
    return std::nullopt;
  }

  std::optional<Error> overtook(LockTable& table, LockOwner&, const LockRequest& request) override {
    Victims victims;
    table.at_key(request, [&] { victims = younger_behind(request); });
    table.kill(std::move(victims));
    return std::nullopt;
  }

 private:
  using Victims = std::vector<LockTable::Victim>;

  /// The transactions that wait for `request`, or may have to, and may not.
  static Victims younger_behind(const LockRequest& request) {
    Victims victims;
    const auto add = [&](const LockRequest& waiter) {
      if (request.owner->is_older_than(*waiter.owner))
        victims.push_back({waiter.owner, waiter.owner->id, died(waiter, *request.owner)});
    };
    LockTable::for_each_blocked(request, add);
    LockTable::for_each_rival(request, add);
    return victims;
  }
};

}  // namespace

ProtocolEntry protocol_2pl_wait_die() {
  return {.info = {.name = {},
                   .summary = "waits only for younger transactions; a younger one gives up at once",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::reads_and_writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::keys,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<TwoPhase>(TwoPhase::Config{
                .locks = std::make_unique<LockTable>(LockTable::Config{
                    .policy = std::make_unique<WaitDie>(), .lock_timeout = options.lock_timeout, .clock = &clock})});
          }};
}

}  // namespace lockstep::kv
