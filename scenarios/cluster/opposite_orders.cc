// Two writers in opposite orders: the deadlock of every book, and on two nodes none. Each has its locks on its own
// node, where nobody waits; the first to commit ends the other one, which is told so by the number of a deadlock.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> transfer(Context& c, std::string from, std::string to, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add(from, -amount);
  co_await c.db.add(to, amount);
  co_await c.db.commit();
}

/// The account with the lower name first.
Task<> transfer_in_order(Context& c, std::string from, std::string to, std::int64_t amount) {
  const bool is_first = from < to;
  co_await c.db.begin();
  co_await c.db.add(is_first ? from : to, is_first ? -amount : amount);
  co_await c.db.add(is_first ? to : from, is_first ? amount : -amount);
  co_await c.db.commit();
}

Task<> look(Context& c) {
  co_await c.db.begin();
  co_await c.db.read("A");
  co_await c.db.commit();
}

}  // namespace

Scenario cluster_opposite_orders() {
  return scenario("Two transfers in opposite orders, on two nodes and on one")
      .story("T1 takes from A and gives to B. T2 takes from B and gives to A.")
      .given({{"A", 100}, {"B", 100}})

      .pattern("plain", "each takes first, then gives; on two nodes")
      .actor("T1", transfer, "A", "B", 10)
      .actor("T2", transfer, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "*: abort")
      .why("Nobody waited, so there was no deadlock. T1 was the first to commit; T2 was undone and begun again.",
           "certification_failure")
      .fix("one order helps only where locks meet: one node for all who write, and one order there", "one-node-ordered")

      .pattern("ordered", "both in one order; on two nodes")
      .actor("T1", transfer_in_order, "A", "B", 10)
      .actor("T2", transfer_in_order, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "*: abort")
      .why("The order of locks is of no use where no lock is waited for: the rows are the same.",
           "certification_failure")
      .fix("one node for all who write", "one-node-ordered")

      .pattern("one-node", "each takes first, then gives; on one node")
      .actor("T1", transfer, "A", "B", 10)
      .actor("R2", look)
      .actor("R3", look)
      .actor("T2", transfer, "B", "A", 20)
      .schedule("R2 R2 R2 R3 R3 R3 T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "*: deadlock")
      .why("On one node the locks meet: T1 waits for T2's row and T2 for T1's, and InnoDB ends one of them.")
      .fix("one order for all", "one-node-ordered")

      .pattern("one-node-ordered", "both in one order; on one node")
      .actor("T1", transfer_in_order, "A", "B", 10)
      .actor("R2", look)
      .actor("R3", look)
      .actor("T2", transfer_in_order, "B", "A", 20)
      .schedule("R2 R2 R2 R3 R3 R3 T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "*: clean")
      .why("T2 waited for the first row until T1 had committed.")

      .holds("money is conserved", [](const Final& end) { return end.number("A") + end.number("B") == 200; });
}

}  // namespace lockstep::scenarios
