// A cup of coffee: two people look at the last cup and both take it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> take(Context& c) {
  co_await c.db.begin();
  const std::int64_t cups = co_await c.db.read("cups");
  if (cups < 1) {
    c.note("no coffee left");
    co_return;
  }
  co_await c.db.write("cups", cups - 1);
  co_await c.db.add("drunk", 1);
  co_await c.db.commit();
}

}  // namespace

Scenario stock_last_cup() {
  return scenario("Two people take the last cup")
      .given({{"cups", 1}, {"drunk", 0}})
      .pattern("plain", "look, then take")
      .actor("T1", take)
      .actor("T2", take)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, snapshot: abort")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .holds("nobody drinks from an empty pot", [](const Final& end) { return end.number("drunk") <= 1; });
}

}  // namespace lockstep::scenarios
