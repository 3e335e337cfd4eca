// The coordinator of a two-phase commit dies between PREPARE TRANSACTION and COMMIT PREPARED. What it has prepared
// keeps its locks: without a session, over a restart of the server, for as long as nobody ends it (PostgreSQL manual,
// PREPARE TRANSACTION, "Caution"). The coordinator's log tells how to end it.
#include "engine/actor/step.h"
#include "scenarios/catalogue.h"
#include "scenarios/distributed/two_phase.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kDeposits };

const std::string kDies = "the coordinator dies";

Task<> transfer_to_the_vote(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add("A", -amount);
  co_await c.db.add("B", amount);
  co_await distributed::prepare_both(c, "transfer");
}

Task<> die_undecided(Context& c, std::int64_t amount) {
  co_await transfer_to_the_vote(c, amount);
  co_await step(kDies);
}

Task<> die_decided(Context& c, std::int64_t amount) {
  co_await transfer_to_the_vote(c, amount);
  co_await distributed::decide(c, "transfer");
  co_await step(kDies);
}

Task<> deposit(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add("A", amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

/// Commits what the log has, and rolls back what it does not have: that was never decided.
Task<> recover(Context& c) {
  const Table found = co_await c.db.execute("@1 select name from coordinator_log where name = 'transfer'");
  const bool commits = !found.empty();
  c.note(commits ? "the log has it: commit" : "the log does not have it: roll back");
  co_await distributed::end_both(c, "transfer", commits);
}

}  // namespace

Scenario distributed_dead_coordinator() {
  return scenario("The coordinator dies between prepare and commit")
      .story(
          "T1 moves 30 from A on server 1 to B on server 2. Both servers have prepared when its coordinator dies. T2 "
          "pays 5 into A.")
      .given({{"A", 100}, {"B", 100}})

      .pattern("plain", "nobody looks after what was prepared")
      .actor("T1", die_undecided, 30)
      .actor("T2", deposit, 5)
      .schedule("T1 T1 T1 T1 T1 T1 T2 T2 T2")
      .expect("postgres-2", "*: hung")
      .why(
          "The prepared transaction has no session any more and keeps its lock on A. No detector and no end of a "
          "connection frees it: T2 waits until somebody says COMMIT PREPARED or ROLLBACK PREPARED.")
      .fix("a log of decisions, and a recovery that ends what was prepared as the log says", "recovery")

      .pattern("recovery", "the decision is in the log: recovery commits")
      .actor("T1", die_decided, 30)
      .actor("T2", deposit, 5)
      .actor("R", recover)
      .schedule("T1 T1 T1 T1 T1 T1 T1 T2 T2 R R R T2")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .why("R found the decision in the log and committed on both servers; T2, which had waited for A, went on.")
      .why(
          "R found the decision in the log and committed on both servers. A had changed since the snapshot of T2, "
          "which "
          "began again.",
          "abort")

      .pattern("presumed-abort", "no decision in the log: recovery rolls back")
      .actor("T1", die_undecided, 30)
      .actor("T2", deposit, 5)
      .actor("R", recover)
      .schedule("T1 T1 T1 T1 T1 T1 T2 T2 R R R T2")
      .expect("postgres-2", "*: clean")
      .why("What is prepared and not in the log was never decided: R rolled it back on both servers, and T2 went on.")

      .holds("the transfer is on both servers or on none", [](const Final& end) {
        const std::int64_t moved = end.number("B") - 100;
        return (moved == 0 || moved == 30) && end.number("A") == 100 - moved + end.count(kDeposits);
      });
}

}  // namespace lockstep::scenarios
