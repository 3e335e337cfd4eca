// Sync over async: a request on the only worker calls `future.get()`. The work that would fill the future is queued for
// the same worker (S. Toub, "Should I expose synchronous wrappers for asynchronous methods?", 2012). As in
// mutex-across-suspension the worker is a lock here, so the cycle shows.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct OneWorker {
  sync::Mutex worker{"worker 0"};
  sync::Mutex reply{"the reply"};  // the work has it until it is done
  int answered = 0;
};

Task<> do_the_work(Context& c) {
  auto& world = c.world<OneWorker>();
  sync::Guard reply = co_await world.reply.lock();
  const sync::Guard worker = co_await world.worker.lock();
  co_await reply.unlock();
}

Task<> get(Context& c) {
  auto& world = c.world<OneWorker>();
  const sync::Guard worker = co_await world.worker.lock();
  const sync::Guard reply = co_await world.reply.lock();
  ++world.answered;
}

Task<> await(Context& c) {
  auto& world = c.world<OneWorker>();
  sync::Guard worker = co_await world.worker.lock();
  co_await worker.unlock();  // suspended: the worker is somebody else's
  const sync::Guard reply = co_await world.reply.lock();
  worker = co_await world.worker.lock();
  ++world.answered;
}

}  // namespace

Scenario runtime_sync_over_async() {
  return scenario("A request waits on its thread for work that needs the same thread")
      .story("A request starts some work and waits for its reply. Both are to run on the one worker that there is.")
      .with<OneWorker>()

      .pattern("get", "future.get(): the request blocks the worker until the reply is there")
      .actor("work", do_the_work)
      .actor("request", get)
      .schedule("work request work request")
      .expect("none", "*: deadlock")
      .why("The request has the worker and waits for the reply; the work has the reply to give and waits for a worker.")
      .fix("co_await the reply: the request gives the worker away while it waits", "await")

      .pattern("await", "co_await: the request is suspended until the reply is there")
      .actor("work", do_the_work)
      .actor("request", await)
      .schedule("work request work request")
      .expect("none", "*: clean")
      .why("While the request is suspended the worker is free for the work.")

      .holds("the request is answered once at most",
             [](const Final& end) { return end.world<OneWorker>().answered <= 1; });
}

}  // namespace lockstep::scenarios
