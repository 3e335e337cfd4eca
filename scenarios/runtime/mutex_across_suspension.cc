// A thread's mutex held across a suspension. On one worker T1 locks, is suspended, and gives the worker to T2. T2
// blocks the worker itself in lock(), so nobody is left to resume T1. The worker is a resource as any other: it is a
// lock here, and the cycle shows in the wait-for graph. (cppcoreguidelines CP.52: "Do not hold locks or other
// synchronization primitives over suspension points".)
#include "engine/actor/pause.h"
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;

struct OneWorker {
  sync::Mutex worker{"worker 0"};  // held by the coroutine that runs
  sync::Mutex mutex{"the mutex"};
  int served = 0;
};

/// What `co_await reply` does: the worker goes to somebody else meanwhile, and is needed again afterwards.
Task<> wait_for_a_reply(OneWorker* world, sync::Guard* worker) {
  co_await worker->unlock();
  co_await pause(1ms);
  *worker = co_await world->worker.lock();
}

Task<> block_the_worker(Context& c) {
  auto& world = c.world<OneWorker>();
  sync::Guard worker = co_await world.worker.lock();
  const sync::Guard guard = co_await world.mutex.lock();  // a std::mutex: a coroutine that waits here keeps the worker
  co_await wait_for_a_reply(&world, &worker);
  ++world.served;
}

Task<> suspend_for_the_lock(Context& c) {
  auto& world = c.world<OneWorker>();
  sync::Guard worker = co_await world.worker.lock();
  sync::Guard guard = co_await world.mutex.try_lock();
  if (!guard) {
    co_await worker.unlock();  // an asynchronous mutex: a coroutine that waits gives the worker away first
    guard = co_await world.mutex.lock();
    worker = co_await world.worker.lock();
  }
  co_await wait_for_a_reply(&world, &worker);
  co_await guard.unlock();
  ++world.served;
}

}  // namespace

Scenario runtime_mutex_across_suspension() {
  return scenario("A coroutine is suspended and keeps a thread's mutex locked")
      .story(
          "Two requests share one worker and one mutex. Each locks the mutex, waits for a reply, and unlocks. While "
          "one "
          "waits, the worker serves the other.")
      .with<OneWorker>()

      .pattern("std-mutex", "a lock that blocks the thread, held while the coroutine is suspended")
      .actor("T1", block_the_worker)
      .actor("T2", block_the_worker)
      .schedule("T1 T1 T1 T2 T2")
      .expect("none", "*: deadlock")
      .why(
          "T2 blocks the worker because T1 has the mutex, and T1 cannot unlock before a worker resumes it. More "
          "workers "
          "only put it off until as many requests wait.")
      .fix("an asynchronous mutex suspends whoever waits, so the worker is free to resume the holder", "async-mutex")

      .pattern("async-mutex", "a lock that suspends the coroutine")
      .actor("T1", suspend_for_the_lock)
      .actor("T2", suspend_for_the_lock)
      .schedule("T1 T1 T1 T2 T2")
      .expect("none", "*: clean")
      .why("T2 gives the worker away before it waits for the mutex, so T1 is resumed and unlocks.")

      .holds("nobody is served twice", [](const Final& end) { return end.world<OneWorker>().served <= 2; });
}

}  // namespace lockstep::scenarios
