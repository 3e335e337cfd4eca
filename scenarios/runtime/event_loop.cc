// One transaction at a time, as on a single-threaded event loop (Redis, VoltDB), against locks. (M. Stonebraker et al.,
// "The end of an architectural era", VLDB 2007.) The protocol `serial` has no deadlocks and no aborts. But a
// transaction that waits for its user makes every other one wait, also those that want none of its rows.
#include "engine/actor/pause.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;

/// Changes one account, then the other by as much the other way.
Task<> pay(Context& c, std::string first, std::int64_t amount, std::string second) {
  co_await c.db.begin();
  co_await c.db.add(first, amount);
  co_await c.db.add(second, -amount);
  co_await c.db.commit();
}

/// Asks its user in the middle.
Task<> pay_slowly(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await pause(10ms);
  co_await c.db.add("B", 10);
  co_await c.db.commit();
}

Task<> ask_first(Context& c) {
  co_await pause(10ms);
  co_await pay(c, "A", -10, "B");
}

/// Wants other rows, and not to wait for more than 5 ms.
Task<> pay_elsewhere(Context& c) { co_await pay(c, "C", -10, "D"); }

}  // namespace

Scenario runtime_event_loop() {
  return scenario("One transaction at a time, against locks")
      .story(
          "On one event loop a transaction runs from its begin to its commit before the next one begins. Nothing can "
          "be "
          "interleaved, so nothing has to be locked.")
      .given({{"A", 100}, {"B", 100}, {"C", 100}, {"D", 100}})

      .pattern("short", "two short transfers in opposite orders")
      .actor("T1", pay, "A", -10, "B")
      .actor("T2", pay, "B", -10, "A")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "serial: clean, 2pl-detect: deadlock")
      .why("With locks the two orders make a cycle. On the loop T2 begins when T1 has committed.",
           "kv deadlock, kv clean")
      .fix("with locks: one order for all of them", "ordered")

      .pattern("ordered", "the same transfers, A before B")
      .actor("T1", pay, "A", -10, "B")
      .actor("T2", pay, "A", 10, "B")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "serial: clean, 2pl-detect: clean")
      .why("T2 waits for A with empty hands; on the loop it makes no difference.")

      .pattern("asks-inside", "a transaction waits 10 ms for its user, another wants other rows")
      .actor("T1", pay_slowly)
      .actor("T2", pay_elsewhere)
      .schedule("T1 T1 T1 T2 T2")
      .tune("lock-timeout-ms", 5)
      .tune("retries", 0)
      .expect("kv", "serial: timeout, 2pl-detect: clean")
      .why("With locks T2 never meets T1. On the loop it waits for T1's user, and gives up after 5 ms.",
           "kv timeout, kv clean")
      .fix("wait before the transaction, never inside it", "asks-before")

      .pattern("asks-before", "the wait comes before the transaction")
      .actor("T1", ask_first)
      .actor("T2", pay_elsewhere)
      .schedule("T1 T1 T2 T2")
      .tune("lock-timeout-ms", 5)
      .tune("retries", 0)
      .expect("kv", "serial: clean, 2pl-detect: clean")
      .why("The loop is never held up: transactions are short, and that is what it is for.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 400; });
}

}  // namespace lockstep::scenarios
