// Variables with loads and stores that are steps: the lost wake-up of a public report and the double-checked locking of
// another are found, and told from their fixes.
#include "engine/sync/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct World {
  sync::Mutex mutex{"queue"};
  sync::CondVar not_empty{"not empty"};
  sync::Shared<int> items{"items", 0};
  sync::Mutex init_lock{"_initLock"};
  sync::Shared<int> initialized{"_initialized", 0};
  int inits = 0;
};

Task<> pop(Context& c) {
  auto& q = c.world<World>();
  sync::Guard g = co_await q.mutex.lock();
  while (true) {
    const int items = co_await q.items.load();
    if (items > 0) break;
    co_await q.not_empty.wait(g);
  }
}
Task<> push_bare(Context& c) {
  auto& q = c.world<World>();
  co_await q.items.store(1);
  co_await q.not_empty.notify_one();
}
Task<> push_locked(Context& c) {
  auto& q = c.world<World>();
  {
    const sync::Guard g = co_await q.mutex.lock();
    co_await q.items.store(1);
  }
  co_await q.not_empty.notify_one();
}
Task<> get(Context& c, bool recheck) {
  auto& m = c.world<World>();
  const int early = co_await m.initialized.load();
  if (early != 0) co_return;
  const sync::Guard g = co_await m.init_lock.lock();
  if (recheck) {
    const int late = co_await m.initialized.load();
    if (late != 0) co_return;
  }
  ++m.inits;
  co_await m.initialized.store(1);
}

}  // namespace

Scenario cases_shared_var() {
  return scenario("Shared variables as steps")
      .with<World>()
      .pattern("lost", "a public report")
      .actor("A", pop)
      .actor("B", push_bare)
      .schedule("A A B B A")
      .expect("none", "*: hung")
      .pattern("lost-fixed", "store under the mutex")
      .actor("A", pop)
      .actor("B", push_locked)
      .schedule("A A B B A")
      .expect("none", "*: clean")
      .pattern("dcl", "another")
      .actor("A", get, false)
      .actor("B", get, false)
      .schedule("A B A A B B")
      .expect("none", "*: anomaly")
      .pattern("dcl-recheck", "fixed")
      .actor("A", get, true)
      .actor("B", get, true)
      .schedule("A B A A B B")
      .expect("none", "*: clean")
      .holds("initialised at most once", [](const Final& end) { return end.world<World>().inits <= 1; });
}

}  // namespace lockstep::scenarios
