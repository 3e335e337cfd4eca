// A lock wait that times out (MariaDB manual, innodb_rollback_on_timeout, which is off by default): the server undoes
// the statement that waited, and nothing else. The transaction is open, its other changes stand and its locks are held.
// Who goes on and commits has committed a part.
#include "engine/actor/pause.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using std::chrono::milliseconds;

/// Has B for longer than anybody waits.
Task<> hold_b(Context& c) {
  co_await c.db.begin();
  co_await c.db.read_for_update("B");
  co_await pause(milliseconds(200));
  co_await c.db.commit();
}

Task<> pay_in(Context& c) { co_await c.db.add("B", 10); }

/// Takes the time-out of one statement for one that can be left out.
Task<> transfer_and_go_on(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  const Result<void> paid = co_await tried(pay_in(c));
  if (!paid) c.note("B cannot be reached; commits all the same");
  co_await c.db.commit();
}

Task<> transfer(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("A", -10);
  co_await pay_in(c);
  co_await c.db.commit();
}

}  // namespace

Scenario innodb_wait_timeout() {
  return scenario("A time-out undoes one statement, and the rest is committed")
      .story("T1 has row B for 200 ms. T2 takes 10 from A and adds it to B, and waits for no lock longer than 50 ms.")
      .given({{"A", 100}, {"B", 100}})

      .pattern("plain", "go on after the time-out")
      .actor("T1", hold_b)
      .actor("T2", transfer_and_go_on)
      .schedule("T1 T1 T1 T2 T2 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("mariadb", "*: anomaly")
      .why(
          "The time-out undid the change of B, and nothing else: the change of A was still there, and the commit kept "
          "it.")
      .fix("roll back after a time-out, and begin again", "roll-back")

      .pattern("roll-back", "let the time-out end the transaction")
      .actor("T1", hold_b)
      .actor("T2", transfer)
      .schedule("T1 T1 T1 T2 T2 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("mariadb", "*: timeout")
      .why("T2's change of A was rolled back with the rest, and T2 began again until B was free.")

      .holds("money is conserved", [](const Final& end) { return end.number("A") + end.number("B") == 200; });
}

}  // namespace lockstep::scenarios
