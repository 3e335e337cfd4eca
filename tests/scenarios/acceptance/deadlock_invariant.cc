// A deadlock of two mutexes that nobody breaks, and an invariant on what they should have done: the deadlock is the
// verdict, and the invariant stands beside it.
#include "engine/sync/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct W {
  sync::Mutex a{"a"};
  sync::Mutex b{"b"};
  int done = 0;
};

Task<> ab(Context& c) {
  auto& w = c.world<W>();
  const sync::Guard g = co_await w.a.lock();
  const sync::Guard h = co_await w.b.lock();
  ++w.done;
}
Task<> ba(Context& c) {
  auto& w = c.world<W>();
  const sync::Guard g = co_await w.b.lock();
  const sync::Guard h = co_await w.a.lock();
  ++w.done;
}

}  // namespace

Scenario cases_deadlock_invariant() {
  return scenario("Two mutexes in opposite order, and an invariant")
      .with<W>()
      .pattern("plain", "a then b, b then a")
      .actor("T1", ab)
      .actor("T2", ba)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .holds("both got done", [](const Final& end) { return end.world<W>().done == 2; });
}

}  // namespace lockstep::scenarios
