// Non-repeatable read (P2, "fuzzy read", of Berenson et al., 1995): r1[x] w2[x] c2 r1[x]. The same question gets two
// answers in one transaction.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"price"};

struct Quote {
  std::int64_t shown = 0;
  std::int64_t charged = 0;
};

Task<> show_then_charge(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t shown = co_await c.db.read("price");
  const std::int64_t charged = co_await c.db.read("price");
  co_await c.db.commit();
  c.world<Quote>() = {shown, charged};
}

Task<> lock_show_then_charge(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t shown = co_await c.db.read_for_update("price");
  const std::int64_t charged = co_await c.db.read("price");
  co_await c.db.commit();
  c.world<Quote>() = {shown, charged};
}

Task<> raise_the_price(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("price", 5);
  co_await c.db.commit();
}

}  // namespace

Scenario isolation_nonrepeatable_read() {
  return scenario("The price changes between showing and charging it")
      .story("T1 reads a price to show it and reads it again to charge it. T2 raises the price in between.")
      .given({{"price", 100}})
      .with<Quote>()

      .pattern("plain", "read the row twice")
      .actor("T1", show_then_charge)
      .actor("T2", raise_the_price)
      .schedule("T1 T1 T2 T2 T2 T1 T1")
      .expect("kv", "2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: anomaly, *: clean")
      .expect("mariadb", "read-uncommitted: anomaly, read-committed: anomaly, *: clean")
      .why("Below repeatable read every statement looks anew, so the second read sees T2's price.")
      .fix("lock the row at the first read (or use one snapshot for the whole transaction)", "for-update")

      .pattern("for-update", "the first read locks the row")
      .actor("T1", lock_show_then_charge)
      .actor("T2", raise_the_price)
      .schedule("T1 T1 T2 T2 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("T2 cannot change the row before T1 has ended.")

      .holds("what is shown is charged",
             [](const Final& end) { return end.world<Quote>().shown == end.world<Quote>().charged; });
}

}  // namespace lockstep::scenarios
