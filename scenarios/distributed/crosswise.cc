// Two transfers in opposite orders, each between a row on server 1 and a row on server 2. Each server sees one session
// that waits for another one, and no cycle: its own deadlock detector never finds it. What finds it is the wait-for
// graph over both, joined by session (R. Obermarck, "Distributed deadlock detection algorithm", ACM TODS 7(2), 1982).
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> move(Context& c, std::string from, std::string to, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add(from, -amount);
  co_await c.db.add(to, amount);
  co_await c.db.commit();
}

/// The row on server 1 first, whatever the direction of the payment.
Task<> move_in_order(Context& c, std::string from, std::string to, std::int64_t amount) {
  co_await c.db.begin();
  if (to < from) co_await c.db.add(to, amount);
  co_await c.db.add(from, -amount);
  if (from < to) co_await c.db.add(to, amount);
  co_await c.db.commit();
}

}  // namespace

Scenario distributed_crosswise() {
  return scenario("Two transfers lock rows of two servers crosswise")
      .story("A lies on server 1, B on server 2. T1 pays from A to B, T2 from B to A, at the same time.")
      .given({{"A", 100}, {"B", 100}})

      .pattern("plain", "each server looks at its own waits alone")
      .tune("joint-graph", "off")
      .actor("T1", move, "A", "B", 10)
      .actor("T2", move, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "*: deadlock")
      .why(
          "On server 2 T1 waits for T2, on server 1 T2 waits for T1. Each server sees one wait and no cycle, so nobody "
          "breaks it.")
      .fix("lock the rows in one order over both servers", "ordered")

      .pattern("lock-timeout", "the same, with lock_timeout on both servers")
      .tune("joint-graph", "off")
      .tune("lock-timeout-ms", 300)
      .actor("T1", move, "A", "B", 10)
      .actor("T2", move, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "*: timeout")
      .why("Each server ends the wait that it sees, when it has lasted too long: both may give up for one cycle.")
      .fix("lock the rows in one order over both servers", "ordered")

      .pattern("joint-graph", "the waits of both servers in one graph")
      .actor("T1", move, "A", "B", 10)
      .actor("T2", move, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "*: deadlock")
      .why(
          "No server sees the cycle. The graph over both does, once its waits have lasted for deadlock_timeout: T2, "
          "which has closed it, gives up and begins again.")
      .fix("lock the rows in one order over both servers", "ordered")

      .pattern("ordered", "the row on server 1 first, whatever the direction")
      .actor("T1", move_in_order, "A", "B", 10)
      .actor("T2", move_in_order, "B", "A", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .why("T2 waits for T1 before it has locked anything.")
      .why("T2 waits for T1 before it has locked anything. What it then finds is newer than its snapshot.", "abort")

      .holds("no money comes or goes", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
