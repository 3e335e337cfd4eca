// A task waits for a task that it has submitted to its own pool of one thread: hung, whatever the invariant says.
#include <deque>

#include "engine/sync/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Pool {
  sync::Mutex mutex{"queue mutex"};
  sync::CondVar changed{"task queued or done"};
  std::deque<int> queue{1};  // 1 = outer, 2 = inner
  bool inner_done = false;
  bool outer_done = false;
};

Task<> inner(Context& c) {
  auto& p = c.world<Pool>();
  const sync::Guard g = co_await p.mutex.lock();
  p.inner_done = true;
  co_await p.changed.notify_all();
}

Task<> outer(Context& c, bool helps) {
  auto& p = c.world<Pool>();
  sync::Guard g = co_await p.mutex.lock();
  p.queue.push_back(2);
  co_await p.changed.notify_all();
  while (!p.inner_done) {
    const bool mine = helps && !p.queue.empty();
    if (mine) {
      p.queue.pop_front();
      co_await g.unlock();
      co_await inner(c);
      g = co_await p.mutex.lock();
    } else {
      co_await p.changed.wait(g);
    }
  }
  p.outer_done = true;
}

Task<> worker(Context& c, bool helps) {
  auto& p = c.world<Pool>();
  while (true) {
    int task = 0;
    {
      sync::Guard g = co_await p.mutex.lock();
      while (p.queue.empty() && !p.outer_done) co_await p.changed.wait(g);
      if (p.queue.empty()) co_return;
      task = p.queue.front();
      p.queue.pop_front();
    }
    if (task == 1) {
      co_await outer(c, helps);
    } else {
      co_await inner(c);
    }
  }
}

}  // namespace

Scenario cases_nested_pool() {
  return scenario("The only worker waits for a task in its own queue")
      .story("outer_task runs on the one thread of the pool, enqueues inner_task and waits for it.")
      .with<Pool>()

      .pattern("plain", "block")
      .actor("worker", worker, false)
      .expect("none", "*: hung")
      .why("Nobody is left to run inner_task.")
      .fix("run queued tasks while waiting", "helps")

      .pattern("helps", "work while waiting")
      .actor("worker", worker, true)
      .expect("none", "*: clean")

      .holds("inner ran", [](const Final& end) { return end.world<Pool>().outer_done; });
}

}  // namespace lockstep::scenarios
