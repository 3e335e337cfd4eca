// Deadlock of two locks (Coffman, Elphick and Shoshani, 1971: the four conditions): each of two transactions holds the
// row that the other one needs. Holding while waiting, in a circle, is what makes it; one order for all locks breaks
// the circle.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

/// Locks its source, then its target: the order depends on the direction of the payment.
Task<> source_first(Context& c, std::string from, std::string to, std::int64_t amount) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  const std::int64_t paid_from = co_await c.db.read_for_update(from);
  const std::int64_t paid_to = co_await c.db.read_for_update(to);
  co_await c.db.write(from, paid_from - amount);
  co_await c.db.write(to, paid_to + amount);
  co_await c.db.commit();
}

/// Locks the smaller name first, whatever the direction of the payment.
Task<> smaller_name_first(Context& c, std::string from, std::string to, std::int64_t amount) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  co_await c.db.read_for_update(std::min(from, to));
  co_await c.db.read_for_update(std::max(from, to));
  co_await c.db.add(from, -amount);
  co_await c.db.add(to, amount);
  co_await c.db.commit();
}

}  // namespace

Scenario deadlock_two_lock() {
  return scenario("Two transfers lock the same two rows in opposite order")
      .story(
          "T1 pays from A to B while T2 pays from B to A. Each locks the row that it pays from, then asks for the "
          "other.")
      .given({{"A", 100}, {"B", 100}})
      .repeats()

      .pattern("plain", "each locks the row that it pays from first")
      .actor("T1", source_first, "A", "B", 10)
      .actor("T2", source_first, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: deadlock")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: deadlock")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: deadlock")
      .expect("postgres-2", "*: deadlock")
      .expect("mariadb", "*: deadlock")
      .why("T1 takes A then B; T2 takes B then A. Each holds what the other one needs, so neither can ever go on.")
      .fix("one order for all locks makes the cycle impossible", "ordered")

      .pattern("ordered", "both lock A, then B, whichever way the money goes")
      .actor("T1", smaller_name_first, "A", "B", 10)
      .actor("T2", smaller_name_first, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("Whoever has A gets B too, and the other one waits for A with empty hands: a wait, but no cycle.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
