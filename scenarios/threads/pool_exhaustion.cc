// A pool that every request needs twice: two connections, two requests, and each request opens a second connection
// while it holds the first. (The "pool locking" of HikariCP's documentation, "About Pool Sizing".) Hold and wait,
// without any mutex.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Pool {
  sync::Semaphore connections{"connections", 2, sync::Semaphore::Permits::owned};
};

Task<> one_by_one(Context& c) {
  auto& pool = c.world<Pool>();
  co_await pool.connections.acquire();
  co_await pool.connections.acquire();
  co_await pool.connections.release(2);
}

Task<> both_at_once(Context& c) {
  auto& pool = c.world<Pool>();
  co_await pool.connections.acquire(2);
  co_await pool.connections.release(2);
}

}  // namespace

Scenario threads_pool_exhaustion() {
  return scenario("Every request holds one connection and waits for another")
      .story("A pool has two connections. Each of two requests takes one, and then needs a second one to go on.")
      .with<Pool>()

      .pattern("naive", "take one connection, then another")
      .actor("T1", one_by_one)
      .actor("T2", one_by_one)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .why("All connections are held by requests that wait for a connection.")
      .fix("take all that one needs at once (or make the pool larger than the number of requests)", "at-once")

      .pattern("at-once", "take both connections in one step")
      .actor("T1", both_at_once)
      .actor("T2", both_at_once)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("T2 waits with empty hands.")

      .holds("no connection is made up",
             [](const Final& end) { return end.world<Pool>().connections.available() <= 2; });
}

}  // namespace lockstep::scenarios
