// A reader reads again while a writer waits (POSIX, pthread_rwlock_rdlock: "may deadlock"). A fair shared mutex lets no
// reader pass a waiting writer. So the second read waits for the writer, and the writer waits for the first read of the
// same thread.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Settings {
  sync::SharedMutex mutex{"settings"};
  int version = 1;
  int seen = 0;
};

Task<> read_twice(Context& c) {
  auto& settings = c.world<Settings>();
  const sync::Guard outer = co_await settings.mutex.lock_shared();
  const sync::Guard inner = co_await settings.mutex.lock_shared();
  settings.seen = settings.version;
}

Task<> read_once(Context& c) {
  auto& settings = c.world<Settings>();
  const sync::Guard guard = co_await settings.mutex.lock_shared();
  settings.seen = settings.version;
}

Task<> change(Context& c) {
  auto& settings = c.world<Settings>();
  const sync::Guard guard = co_await settings.mutex.lock();
  ++settings.version;
}

}  // namespace

Scenario threads_reader_reentry() {
  return scenario("A reader waits for the writer that waits for it")
      .story(
          "T1 holds the settings shared. T2 wants to change them and waits. T1 calls a function that takes the shared "
          "hold again.")
      .with<Settings>()

      .pattern("naive", "take the shared hold twice")
      .actor("T1", read_twice)
      .actor("T2", change)
      .schedule("T1 T2 T1")
      .expect("none", "*: deadlock")
      .why("T1's second hold queues behind the writer, and the writer waits for T1's first one.")
      .fix("take the shared hold once and hand it on", "once")

      .pattern("once", "take the shared hold once")
      .actor("T1", read_once)
      .actor("T2", change)
      .schedule("T1 T2 T1")
      .expect("none", "*: clean")
      .why("T1 asks for nothing while it holds, so the writer gets its turn.")

      .holds("what was seen was there",
             [](const Final& end) { return end.world<Settings>().seen <= end.world<Settings>().version; });
}

}  // namespace lockstep::scenarios
