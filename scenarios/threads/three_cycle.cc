// A ring of three mutexes: no two threads block each other, so nothing is wrong with any pair. Only the graph of all
// three has a cycle.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Ring {
  sync::Mutex a{"A"}, b{"B"}, c{"C"};
  int passed_on = 0;  ///< guarded by `count`
  sync::Mutex count{"count"};
};

Task<> lock_both(Context& c, sync::Mutex Ring::* one, sync::Mutex Ring::* other) {
  Ring& ring = c.world<Ring>();
  const sync::Guard first = co_await (ring.*one).lock();
  const sync::Guard second = co_await (ring.*other).lock();
  const sync::Guard counting = co_await ring.count.lock();
  ++ring.passed_on;
}

}  // namespace

Scenario threads_three_cycle() {
  return scenario("Three threads wait for each other in a ring")
      .story("T1 needs A and B, T2 needs B and C, T3 needs C and A.")
      .with<Ring>()

      .pattern("naive", "each in the order of the ring")
      .actor("T1", lock_both, &Ring::a, &Ring::b)
      .actor("T2", lock_both, &Ring::b, &Ring::c)
      .actor("T3", lock_both, &Ring::c, &Ring::a)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("none", "*: deadlock")
      .why("T1 waits for T2, T2 for T3, T3 for T1.")
      .fix("one order for all mutexes: T3 takes A before C", "ordered")

      .pattern("ordered", "A before B before C")
      .actor("T1", lock_both, &Ring::a, &Ring::b)
      .actor("T2", lock_both, &Ring::b, &Ring::c)
      .actor("T3", lock_both, &Ring::a, &Ring::c)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("none", "*: clean")
      .why("T3 waits for A and holds nothing, so T2 gets C and the ring stays open.")

      .holds("nobody counts twice", [](const Final& end) { return end.world<Ring>().passed_on <= 3; });
}

}  // namespace lockstep::scenarios
