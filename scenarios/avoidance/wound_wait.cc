// Wound-wait (Rosenkrantz, Stearns and Lewis, 1978): the older takes what it needs from the younger, the younger waits
// for the older. So no cycle of waiters can close. The price is work that is taken away.
#include "scenarios/avoidance/two_rows.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using two_rows::add_to_both;
using two_rows::add_to_one;

}  // namespace

Scenario avoidance_wound_wait() {
  return scenario("The older transaction takes, the younger one waits")
      .story(
          "The transaction that began first is the older one, and a retry keeps its age. A younger transaction that "
          "has what an "
          "older one needs is wounded: it gives up at its next step, unless that is its commit.")
      .given({{"A", 0}, {"B", 0}})

      .pattern("plain", "opposite orders: one of the two would close the circle")
      .actor("old", add_to_both, "A", "B")
      .actor("young", add_to_both, "B", "A")
      .schedule("old old young young old young")
      .expect("kv", "2pl-detect: deadlock, 2pl-wound-wait: abort")
      .why("The old one needs B and wounds its holder, which gives up at its next step: B is free.", "abort")
      .fix("one order for both rows: then a wait cannot become a circle", "ordered")

      .pattern("ordered", "one order: the second waits with empty hands")
      .actor("old", add_to_both, "A", "B")
      .actor("young", add_to_both, "A", "B")
      .schedule("old old young young old old")
      .expect("kv", "2pl-detect: clean, 2pl-wound-wait: clean")
      .why("There can be no circle any more: the younger waits for the older with empty hands.")

      .pattern("old-asks", "the younger has the row, and is not done")
      .actor("old", add_to_one, "B")
      .actor("young", add_to_both, "B", "A")
      .schedule("old young young old young")
      .expect("kv", "2pl-detect: clean, 2pl-wound-wait: abort")
      .why("There is no circle, and the younger loses its work all the same: the rule looks at ages only.", "abort")

      .pattern("commits-first", "the younger has the row, and its next step is the commit")
      .actor("old", add_to_one, "B")
      .actor("young", add_to_one, "B")
      .schedule("old young young old young")
      .expect("kv", "2pl-detect: clean, 2pl-wound-wait: clean")
      .why("A commit gives the row back as fast as giving up would: the wound comes too late.")

      .pattern("young-asks", "the older has the row")
      .actor("old", add_to_one, "B")
      .actor("young", add_to_one, "B")
      .schedule("old old young young old")
      .expect("kv", "2pl-detect: clean, 2pl-wound-wait: clean")
      .why("The younger may wait: whoever it waits for is older, and never waits for it.")

      .holds("every addition counts, once",
             [](const Final& end) { return end.number("B") == 2 && end.number("A") <= 2; });
}

}  // namespace lockstep::scenarios
