// Wait-die (Rosenkrantz, Stearns and Lewis, 1978): no cycle of waiters can close when only the older ever waits for the
// younger. The price is that the younger gives up where it could have waited.
#include "scenarios/avoidance/two_rows.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using two_rows::add_to_both;
using two_rows::add_to_one;

}  // namespace

Scenario avoidance_wait_die() {
  return scenario("Only the older transaction waits")
      .story(
          "The transaction that began first is the older one, and a retry keeps its age. The older waits for the "
          "younger; the "
          "younger gives up at once and tries again.")
      .given({{"A", 0}, {"B", 0}})

      .pattern("plain", "opposite orders: one of the two would close the circle")
      .actor("old", add_to_both, "A", "B")
      .actor("young", add_to_both, "B", "A")
      .schedule("old old young young old young")
      .expect("kv", "2pl-detect: deadlock, 2pl-wait-die: abort")
      .why("The old one waits for B. The young one asks for A, which the older has: it dies, and B is free.", "abort")
      .fix("one order for both rows: then a wait cannot become a circle", "ordered")

      .pattern("ordered", "one order: the second waits with empty hands")
      .actor("old", add_to_both, "A", "B")
      .actor("young", add_to_both, "A", "B")
      .schedule("old old young young old old")
      .expect("kv", "2pl-detect: clean, 2pl-wait-die: abort")
      .why("There can be no circle any more, and the younger dies all the same when it meets the older.", "abort")

      .pattern("old-asks", "the younger has the row")
      .actor("old", add_to_one, "A")
      .actor("young", add_to_one, "A")
      .schedule("old young young old young")
      .expect("kv", "2pl-detect: clean, 2pl-wait-die: clean")
      .why("The older may wait: whoever it waits for is younger, and never waits for it.")

      .pattern("young-asks", "the older has the row")
      .actor("old", add_to_one, "A")
      .actor("young", add_to_one, "A")
      .schedule("old old young young old")
      .expect("kv", "2pl-detect: clean, 2pl-wait-die: abort")
      .why("There is no circle, and the younger dies all the same: the rule looks at ages only. That is its price.",
           "abort")

      .holds("every addition counts, once",
             [](const Final& end) { return end.number("A") == 2 && end.number("B") <= 2; });
}

}  // namespace lockstep::scenarios
