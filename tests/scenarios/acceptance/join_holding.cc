// Shutdown joins the bundle threads with bundleThreads locked; a bundle thread wants that lock: a circle through the
// lock and the join, which is a semaphore here.
#include "engine/sync/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Framework {
  sync::Mutex bundle_threads{"bundleThreads"};
  sync::Semaphore ended{"thread ended", 0};
};

Task<> worker(Context& c) {
  auto& f = c.world<Framework>();
  {
    const sync::Guard g = co_await f.bundle_threads.lock();
  }
  co_await f.ended.release();
}

Task<> shutdown_locked(Context& c) {
  auto& f = c.world<Framework>();
  const sync::Guard g = co_await f.bundle_threads.lock();
  co_await f.ended.acquire();  // join
}

Task<> shutdown_unlocked(Context& c) {
  auto& f = c.world<Framework>();
  {
    const sync::Guard g = co_await f.bundle_threads.lock();
  }
  co_await f.ended.acquire();
}

}  // namespace

Scenario cases_join_holding() {
  return scenario("A framework joins its threads and keeps the lock that they need")
      .story("Uninit1 joins all bundle threads while holding the bundleThreads lock.")
      .with<Framework>()

      .pattern("plain", "join with the lock held")
      .actor("shutdown", shutdown_locked)
      .actor("bundle", worker)
      .schedule("shutdown shutdown bundle")
      .expect("none", "*: deadlock")
      .why("The one who joins has the lock that the joined one needs to end.")
      .fix("let go before the join", "unlocked")

      .pattern("unlocked", "join without the lock")
      .actor("shutdown", shutdown_unlocked)
      .actor("bundle", worker)
      .schedule("shutdown shutdown bundle")
      .expect("none", "*: clean");
}

}  // namespace lockstep::scenarios
