// The bounded buffer with its locks in the wrong order (Dijkstra, 1965, EWD123, 4.3 has them right). The producer holds
// the mutex while it waits for a free slot; the consumer needs the mutex to make one.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Buffer {
  sync::Mutex mutex{"buffer"};
  sync::Semaphore free_slots{"free slots", 1};
  sync::Semaphore filled_slots{"filled slots", 0};
  int in_it = 0;
};

Task<> produce_mutex_first(Context& c) {
  auto& buffer = c.world<Buffer>();
  for (int i = 0; i < 2; ++i) {
    const sync::Guard guard = co_await buffer.mutex.lock();
    co_await buffer.free_slots.acquire();
    ++buffer.in_it;
    co_await buffer.filled_slots.release();
  }
}

Task<> produce_slot_first(Context& c) {
  auto& buffer = c.world<Buffer>();
  for (int i = 0; i < 2; ++i) {
    co_await buffer.free_slots.acquire();
    const sync::Guard guard = co_await buffer.mutex.lock();
    ++buffer.in_it;
    co_await buffer.filled_slots.release();
  }
}

Task<> consume(Context& c) {
  auto& buffer = c.world<Buffer>();
  for (int i = 0; i < 2; ++i) {
    co_await buffer.filled_slots.acquire();
    const sync::Guard guard = co_await buffer.mutex.lock();
    --buffer.in_it;
    co_await buffer.free_slots.release();
  }
}

}  // namespace

Scenario threads_mutex_before_semaphore() {
  return scenario("The producer waits for room and holds the door shut")
      .story(
          "A buffer with one slot. The producer locks it and waits for a free slot; the consumer waits for the mutex "
          "to free one.")
      .with<Buffer>()

      .pattern("naive", "the mutex, then the semaphore")
      .actor("producer", produce_mutex_first)
      .actor("consumer", consume)
      .schedule("producer producer producer producer producer consumer consumer")
      .expect("none", "*: deadlock")
      .why(
          "The producer waits for a permit that only the consumer can give, and holds the mutex that the consumer "
          "needs for it.")
      .fix("wait for the permit first, then lock", "semaphore-first")

      .pattern("semaphore-first", "the semaphore, then the mutex")
      .actor("producer", produce_slot_first)
      .actor("consumer", consume)
      .schedule("producer producer producer producer producer consumer consumer")
      .expect("none", "*: clean")
      .why("The mutex is held only while nothing has to be waited for.")

      .holds("the buffer holds no more than one",
             [](const Final& end) { return end.world<Buffer>().in_it >= 0 && end.world<Buffer>().in_it <= 1; });
}

}  // namespace lockstep::scenarios
