// "if" instead of "while" around a wait (Lampson and Redell, 1980, Mesa monitors): a notification is a hint. Between
// the notification and the moment that the waiter has the mutex again, a third one may have taken what it was about.
#include <algorithm>

#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Store {
  sync::Mutex mutex{"store"};
  sync::CondVar filled{"something came in"};
  int pieces = 0;
  int fewest = 0;
};

Task<> deliver(Context& c) {
  auto& store = c.world<Store>();
  const sync::Guard guard = co_await store.mutex.lock();
  ++store.pieces;
  co_await store.filled.notify_one();
}

Task<> take_if(Context& c) {
  auto& store = c.world<Store>();
  sync::Guard guard = co_await store.mutex.lock();
  if (store.pieces == 0) co_await store.filled.wait(guard);
  store.fewest = std::min(store.fewest, --store.pieces);
}

Task<> take_while(Context& c) {
  auto& store = c.world<Store>();
  sync::Guard guard = co_await store.mutex.lock();
  while (store.pieces == 0) co_await store.filled.wait(guard);
  store.fewest = std::min(store.fewest, --store.pieces);
}

}  // namespace

Scenario threads_if_instead_of_while() {
  return scenario("A woken thread takes what another one has taken before it")
      .story(
          "T1 waits for a piece. A piece is delivered and T1 is notified, but T2, already at the door, takes it first.")
      .with<Store>()

      .pattern("naive", "if (empty) wait")
      .actor("T1", take_if)
      .actor("supplier", deliver)
      .actor("T2", take_if)
      .actor("supplier2", deliver)
      .schedule("T1 T1 supplier T2 supplier T2 supplier T1")
      .expect("none", "*: anomaly")
      .why("T1 was told that there is a piece, and did not look whether it is still there.")
      .fix("look again after every wait", "while-loop")

      .pattern("while-loop", "while (empty) wait")
      .actor("T1", take_while)
      .actor("supplier", deliver)
      .actor("T2", take_while)
      .actor("supplier2", deliver)
      .schedule("T1 T1 supplier T2 supplier T2 supplier T1")
      .expect("none", "*: clean")
      .why("T1 looks again, finds nothing, and waits for the next delivery.")

      .holds("no piece is taken that is not there", [](const Final& end) { return end.world<Store>().fewest >= 0; });
}

}  // namespace lockstep::scenarios
