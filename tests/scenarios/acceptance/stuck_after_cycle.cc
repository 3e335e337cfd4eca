// The store breaks a deadlock, both get done, and later somebody waits for ever for something else: hung, no deadlock.
#include "engine/sync/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct W {
  sync::Semaphore never{"never given", 0};
};

Task<> move(Context& c, std::string a, std::string b, bool then_wait) {
  const std::vector<std::string> claims{a, b};
  co_await c.db.begin(claims);
  co_await c.db.write(a, 1);
  co_await c.db.write(b, 1);
  co_await c.db.commit();
  if (then_wait) co_await c.world<W>().never.acquire();
}

}  // namespace

Scenario cases_stuck_after_cycle() {
  return scenario("A deadlock is broken; afterwards one actor waits for a signal that never comes")
      .given({{"A", 0}, {"B", 0}})
      .with<W>()
      .pattern("plain", "a broken deadlock, then a hang")
      .actor("T1", move, "A", "B", true)
      .actor("T2", move, "B", "A", false)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: hung");
}

}  // namespace lockstep::scenarios
