// A deadlock of three: A waits for B, B for C, C for A (Holt, 1972: in a graph of single units a cycle is a deadlock).
// No two of them block each other, so looking at pairs finds nothing; only the whole graph shows it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

/// Moves one piece from its own place to the next one.
Task<> pass_on(Context& c, std::string own, std::string next) {
  const std::vector<std::string> claims{own, next};
  co_await c.db.begin(claims);
  co_await c.db.add(own, -1);
  co_await c.db.add(next, 1);
  co_await c.db.commit();
}

/// pass_on() with the smaller name first.
Task<> pass_on_in_order(Context& c, std::string own, std::string next) {
  const std::vector<std::string> claims{own, next};
  co_await c.db.begin(claims);
  co_await c.db.read_for_update(std::min(own, next));
  co_await c.db.read_for_update(std::max(own, next));
  co_await c.db.add(own, -1);
  co_await c.db.add(next, 1);
  co_await c.db.commit();
}

}  // namespace

Scenario deadlock_three_cycle() {
  return scenario("Three transactions wait for each other in a ring")
      .story("Each of three stations hands one piece to the next. Each locks its own row, then its neighbour's.")
      .given({{"A", 5}, {"B", 5}, {"C", 5}})
      .repeats()

      .pattern("plain", "own row first, then the neighbour's")
      .actor("T1", pass_on, "A", "B")
      .actor("T2", pass_on, "B", "C")
      .actor("T3", pass_on, "C", "A")
      .schedule("T1 T2 T3 T1 T2 T3 T1 T2 T3")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: deadlock")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: deadlock")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: deadlock")
      .expect("mariadb", "*: deadlock")
      .why("T1 waits for T2, T2 for T3 and T3 for T1: a ring in which everybody holds what another one needs.")
      .fix("one order for all locks makes the ring impossible", "ordered")

      .pattern("ordered", "the smaller name first")
      .actor("T1", pass_on_in_order, "A", "B")
      .actor("T2", pass_on_in_order, "B", "C")
      .actor("T3", pass_on_in_order, "C", "A")
      .schedule("T1 T2 T3 T1 T2 T3 T1 T2 T3")
      .expect("kv", "2pl-no-wait: abort, 2pl-wait-die: abort, 2pl-wound-wait: abort, *: clean")
      .expect("kv", "occ: abort, snapshot: abort, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T3 asks for A before C, so it waits with empty hands, and the ring stays open.")

      .holds("no piece is lost", [](const Final& end) { return end.total() == 15; });
}

}  // namespace lockstep::scenarios
