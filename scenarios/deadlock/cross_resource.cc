// A deadlock across a mutex and a row: the database sees one lock of the cycle, the program the other one. Neither can
// find it; it takes a wait-for graph over both. Only a time-out on the row would end it without one.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"price"};

struct Cache {
  sync::Mutex mutex{"cache"};
  std::int64_t price = 100;
};

/// Locks the row, then the cache, to write through.
Task<> row_then_cache(Context& c) {
  auto& cache = c.world<Cache>();
  co_await c.db.begin(claims);
  const std::int64_t price = co_await c.db.add("price", 5);
  const sync::Guard guard = co_await cache.mutex.lock();
  co_await c.db.commit();
  cache.price = price;
}

/// Locks the cache, then the row, to refresh it.
Task<> cache_then_row(Context& c) {
  auto& cache = c.world<Cache>();
  const sync::Guard guard = co_await cache.mutex.lock();
  co_await c.db.begin(claims);
  const std::int64_t price = co_await c.db.add("price", 1);
  co_await c.db.commit();
  cache.price = price;
}

}  // namespace

Scenario deadlock_cross_resource() {
  return scenario("One lock of the cycle is a row, the other one a mutex")
      .story("T1 changes a row and then locks the cache's mutex. T2 holds the mutex and then changes the row.")
      .given({{"price", 100}})
      .with<Cache>()

      .pattern("plain", "row then mutex against mutex then row")
      .actor("T1", row_then_cache)
      .actor("T2", cache_then_row)
      .schedule("T1 T1 T2 T2 T2 T1")
      .expect("kv", "2pl-timeout: timeout, 2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, *: deadlock")
      .expect("sqlite", "*: timeout")
      .expect("postgres", "*: deadlock")
      .expect("mariadb", "*: deadlock")
      .why(
          "T1 holds the row and waits for the mutex, T2 holds the mutex and waits for the row. The store sees a single "
          "wait.")
      .fix("one order over all kinds of locks: the mutex before the transaction", "ordered")

      .pattern("ordered", "the mutex, then the row, in both")
      .actor("T1", cache_then_row)
      .actor("T2", cache_then_row)
      .schedule("T1 T2 T1 T1 T1 T2")
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("T2 waits for the mutex before its transaction begins.")

      .holds("the cache is not ahead of the row",
             [](const Final& end) { return end.world<Cache>().price <= end.number("price"); });
}

}  // namespace lockstep::scenarios
