// Shared to exclusive: two readers of a shared mutex both want to write and keep their shared hold meanwhile
// (Boost.Thread manual, UpgradeLockable). Each waits for the other one to leave. An upgrade mutex admits only one such
// reader.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Cache {
  sync::UpgradeMutex mutex{"cache"};
  int entries = 0;
};

Task<> read_then_upgrade(Context& c) {
  auto& cache = c.world<Cache>();
  sync::Guard guard = co_await cache.mutex.lock_shared();
  if (cache.entries > 0) co_return;
  co_await cache.mutex.upgrade(guard);
  ++cache.entries;
}

Task<> read_as_the_upgrader(Context& c) {
  auto& cache = c.world<Cache>();
  sync::Guard guard = co_await cache.mutex.lock_upgrade();
  if (cache.entries > 0) co_return;
  co_await cache.mutex.upgrade(guard);
  ++cache.entries;
}

}  // namespace

Scenario threads_shared_upgrade() {
  return scenario("Two readers both want to become the writer")
      .story("Two threads look into a cache under a shared hold, find it empty, and each wants to fill it.")
      .with<Cache>()

      .pattern("naive", "shared hold, then upgrade")
      .actor("T1", read_then_upgrade)
      .actor("T2", read_then_upgrade)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .why("To become exclusive, each waits until the other one has given back its shared hold.")
      .fix("hold as the upgrader, of whom there is only one, when a write may follow", "upgrade-mutex")

      .pattern("upgrade-mutex", "upgrade hold, then upgrade")
      .actor("T1", read_as_the_upgrader)
      .actor("T2", read_as_the_upgrader)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("T2 waits at its first step, and then finds the cache filled.")

      .holds("the cache is filled once", [](const Final& end) { return end.world<Cache>().entries <= 1; });
}

}  // namespace lockstep::scenarios
