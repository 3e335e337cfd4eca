// A transfer by two-phase commit is whole in the end, but not at one moment: the servers commit one after the other.
// Who reads in between sees the money gone and not yet come, at every isolation level, since each server has its own.
#include "scenarios/catalogue.h"
#include "scenarios/distributed/two_phase.h"

namespace lockstep::scenarios {
namespace {

struct Report {
  std::int64_t sum = 200;
};

Task<> transfer(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add("A", -amount);
  co_await c.db.add("B", amount);
  co_await distributed::prepare_both(c, "transfer");
  co_await distributed::decide(c, "transfer");
  co_await distributed::end_both(c, "transfer", true);
}

Task<> report(Context& c) {
  co_await c.db.begin();
  const std::int64_t a = co_await c.db.read("A");
  const std::int64_t b = co_await c.db.read("B");
  co_await c.db.commit();
  c.world<Report>().sum = a + b;
}

/// In the order in which the transfer commits.
Task<> report_with_locks(Context& c) {
  co_await c.db.begin();
  const std::int64_t a = co_await c.db.read_for_update("A");
  const std::int64_t b = co_await c.db.read_for_update("B");
  co_await c.db.commit();
  c.world<Report>().sum = a + b;
}

}  // namespace

Scenario distributed_half_transfer() {
  return scenario("A reader sees half of a transfer")
      .story(
          "T1 moves 30 from A on server 1 to B on server 2, by two-phase commit. R adds both balances up, after one "
          "server has committed and before the other one has.")
      .given({{"A", 100}, {"B", 100}})
      .with<Report>()

      .pattern("plain", "read both balances")
      .actor("T1", transfer, 30)
      .actor("R", report)
      .schedule("T1 T1 T1 T1 T1 T1 T1 R R R R T1")
      .expect("postgres-2", "*: anomaly")
      .why(
          "Server 1 had committed when R read A, and server 2 had not when R read B. Two-phase commit makes the end "
          "the "
          "same on both, not the moment. Serializable on each server is not serializable over both.")
      .fix("lock what is read, in the order in which writers lock", "locks")

      .pattern("locks", "select … for update on both, in the writers' order")
      .actor("T1", transfer, 30)
      .actor("R", report_with_locks)
      .schedule("T1 T1 T1 T1 T1 T1 T1 R R R T1 R")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .why("What is prepared keeps its locks: R waits for B until server 2 has committed, and then sees both halves.")
      .why(
          "What is prepared keeps its locks: R waits for B until server 2 has committed. B is newer than its snapshot "
          "then, so R begins again and sees both halves.",
          "abort")

      .holds("the reader sees the whole sum", [](const Final& end) { return end.world<Report>().sum == 200; })
      .holds("no money comes or goes", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
