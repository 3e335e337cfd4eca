// NOWAIT (PostgreSQL manual, SELECT, "The Locking Clause"): rather than wait for a row that somebody holds, fail at
// once with 55P03 and do something better meanwhile. Nobody waits, so no cycle of waiters can form.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kChanges };

Task<> wait_for_it(Context& c) {
  co_await c.db.begin();
  const std::int64_t visits = co_await c.db.read_for_update("visits");
  co_await c.db.write("visits", visits + 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

Task<> do_not_wait(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select v from kv where k = 'visits' for update nowait");
  co_await c.db.add("visits", 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

}  // namespace

Scenario timeout_nowait() {
  return scenario("Ask for a row and take no for an answer")
      .story("T1 holds a row. T2 asks for it: once by waiting, once with NOWAIT and a retry from its begin.")
      .given({{"visits", 0}})
      .repeats()

      .pattern("wait", "for update: the second one waits")
      .actor("T1", wait_for_it)
      .actor("T2", wait_for_it)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("T2 stands still until T1 has committed.")

      .pattern("nowait", "for update nowait: the second one is refused at once")
      .actor("T1", do_not_wait)
      .actor("T2", do_not_wait)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2 T2 T2")
      .expect("postgres", "*: timeout")
      .why("The limit of T2's wait is zero: it gives up at once, holding nothing, and comes back later.")
      .fix("wait when there is nothing better to do", "wait")

      .holds("every acknowledged visit counts",
             [](const Final& end) { return end.number("visits") == end.count(kChanges); });
}

}  // namespace lockstep::scenarios
