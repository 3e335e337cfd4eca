// A hot row of a cluster (Galera documentation, "Multi-Master Conflicts"): every node adds to the same counter. No node
// waits for another one's lock; whoever commits later is told "deadlock" at its commit, and has to begin again.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kVisits };

Task<> count_visit(Context& c, std::string row) {
  co_await c.db.begin();
  co_await c.db.add(row, 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

Task<> only_commit(Context& c) { co_await c.db.commit(); }

/// Goes by the answer to the update: on one server a commit behind it does not fail.
Task<> count_without_looking(Context& c, std::string row) {
  co_await c.db.begin();
  co_await c.db.add(row, 1);
  const Result<void> committed = co_await tried(only_commit(c));
  if (!committed.ok()) c.note("does not look at it: " + committed.error().message);
  ++c.acknowledged[kVisits];
}

Task<> count_at_once(Context& c) {
  co_await c.db.execute("update kv set v = v + 1 where k = 'visits'");
  ++c.acknowledged[kVisits];
}

Task<> look(Context& c) {
  co_await c.db.begin();
  co_await c.db.read("visits");
  co_await c.db.commit();
}

}  // namespace

Scenario cluster_hot_counter() {
  return scenario("Three nodes count visitors in one row")
      .story("Three transactions add one to the same counter at the same time, each on a node of its own.")
      .given({{"visits", 0}, {"visits/T1", 0}, {"visits/T2", 0}, {"visits/T3", 0}})

      .pattern("plain", "visits = visits + 1, and the answer to the commit is not looked at")
      .actor("T1", count_without_looking, "visits")
      .actor("T2", count_without_looking, "visits")
      .actor("T3", count_without_looking, "visits")
      .schedule("T1 T2 T3 T1 T2 T3 T1 T2 T3")
      .expect("galera", "*: anomaly")
      .why("All three updates said that a row was changed. T1 was the first to commit, and the other two were undone.")
      .fix("run the transaction again when its commit is refused", "retry")

      .pattern("retry", "the transaction is run again until its commit went through")
      .actor("T1", count_visit, "visits")
      .actor("T2", count_visit, "visits")
      .actor("T3", count_visit, "visits")
      .schedule("T1 T2 T3 T1 T2 T3 T1 T2 T3")
      .expect("galera", "*: abort")
      .why("Of three at a time one commits: six transactions are begun for three visits.", "certification_failure")
      .fix("let one node do the writing: there they wait for each other, or let each count in a row of its own",
           "own-rows")

      .pattern("one-statement", "the update without a transaction around it")
      .actor("T1", count_at_once)
      .actor("T2", count_at_once)
      .actor("T3", count_at_once)
      .schedule("T1 T2 T3")
      .expect("galera", "*: clean")
      .why("Update and commit are one step. The node itself runs such a statement again (wsrep_retry_autocommit).")

      .pattern("one-writer", "all writers work on one node, the other nodes are read")
      .actor("T1", count_visit, "visits")
      .actor("R2", look)
      .actor("R3", look)
      .actor("T2", count_visit, "visits")
      .schedule("T1 T2 T1 T2 R2 R3 T1 T2 R2 R3")
      .expect("galera", "*: clean")
      .why("On one node a lock of the row is a lock: T2 waited until T1 had committed.")

      .pattern("own-rows", "each node counts in a row of its own")
      .actor("T1", count_visit, "visits/T1")
      .actor("T2", count_visit, "visits/T2")
      .actor("T3", count_visit, "visits/T3")
      .schedule("T1 T2 T3 T1 T2 T3 T1 T2 T3")
      .expect("galera", "*: clean")
      .why("The rows differ, so no commit stands in another one's way. A reader adds them up.")

      .holds("every acknowledged visit counts",
             [](const Final& end) { return end.total("visits") == end.count(kVisits); });
}

}  // namespace lockstep::scenarios
