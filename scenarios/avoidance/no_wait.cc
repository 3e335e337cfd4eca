// No waiting at all (Bernstein and Goodman, 1981, restart instead of waiting): a transaction that never waits is in no
// cycle of waiters. The price is a restart for every conflict, and nobody is promised to get through.
#include "scenarios/avoidance/two_rows.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using two_rows::add_to_both;
using two_rows::claims;

Task<> look_at_both(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.read("A");
  co_await c.db.read("B");
  co_await c.db.commit();
}

}  // namespace

Scenario avoidance_no_wait() {
  return scenario("Nobody waits for anybody")
      .story("A transaction that finds a row locked gives up at once, with all that it has, and tries again.")
      .given({{"A", 0}, {"B", 0}})
      .repeats()

      .pattern("plain", "opposite orders: one of the two would close the circle")
      .actor("T1", add_to_both, "A", "B")
      .actor("T2", add_to_both, "B", "A")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-no-wait: abort")
      .why("T1 finds B locked and gives up A: nobody holds while waiting, one of the four conditions of a deadlock.",
           "abort")
      .fix("one order for both rows: then a wait cannot become a circle", "ordered")

      .pattern("ordered", "one order: a short wait would have been enough")
      .actor("T1", add_to_both, "A", "B")
      .actor("T2", add_to_both, "A", "B")
      .schedule("T1 T1 T2 T2 T1 T1")
      .expect("kv", "2pl-detect: clean, 2pl-no-wait: abort")
      .why("There can be no circle, and T2 starts again all the same, as often as it meets T1.", "abort")

      .pattern("readers", "shared locks do not conflict")
      .actor("T1", look_at_both)
      .actor("T2", look_at_both)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("kv", "2pl-detect: clean, 2pl-no-wait: clean")
      .why("Where nobody writes there is nothing to wait for.")

      .holds("every addition counts, once", [](const Final& end) { return end.number("A") == end.number("B"); });
}

}  // namespace lockstep::scenarios
