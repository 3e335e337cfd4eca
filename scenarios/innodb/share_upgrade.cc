// From a shared to an exclusive lock: two transactions read a row IN SHARE MODE and then change it. Each waits for the
// shared lock of the other one. FOR UPDATE asks for the lock that the change will need.
#include <atomic>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Sold {
  std::atomic<int> tickets = 0;
};

Task<> share_then_sell(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select v from kv where k = 'tickets' lock in share mode");
  co_await c.db.add("tickets", -1);
  co_await c.db.commit();
  ++c.world<Sold>().tickets;
}

Task<> lock_then_sell(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select v from kv where k = 'tickets' for update");
  co_await c.db.add("tickets", -1);
  co_await c.db.commit();
  ++c.world<Sold>().tickets;
}

}  // namespace

Scenario innodb_share_upgrade() {
  return scenario("Two read a row in share mode and both change it")
      .story("Two sellers read how many tickets are left, under a shared lock, and then sell one.")
      .given({{"tickets", 9}})
      .with<Sold>()

      .pattern("plain", "lock in share mode, then update")
      .actor("T1", share_then_sell)
      .actor("T2", share_then_sell)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("mariadb", "*: deadlock")
      .why("Both have the shared lock, and neither can have the exclusive one while the other one has it.")
      .fix("for update, where a change may follow", "for-update")

      .pattern("for-update", "lock for update, then update")
      .actor("T1", lock_then_sell)
      .actor("T2", lock_then_sell)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("mariadb", "snapshot: clean, *: clean")
      .why("The second one waits before it has anything that the first one needs.")

      .holds("every ticket that was sold is gone",
             [](const Final& end) { return end.number("tickets") == 9 - end.world<Sold>().tickets; });
}

}  // namespace lockstep::scenarios
