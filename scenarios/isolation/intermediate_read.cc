// Intermediate read (G1b of Adya, 1999): w1[x] r2[x] w1[x] c1. T2 sees a state that T1 only passed through. Every store
// here prevents it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"price"};

struct Report {
  std::int64_t price = 100;
};

/// Takes the discount off, then adds the tax.
Task<> new_price(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.write("price", 80);
  co_await c.db.write("price", 95);
  co_await c.db.commit();
}

/// Locks the row that it reads.
Task<> report_for_update(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t price = co_await c.db.read_for_update("price");
  co_await c.db.commit();
  c.world<Report>().price = price;
}

Task<> report(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t price = co_await c.db.read("price");
  co_await c.db.commit();
  c.world<Report>().price = price;
}

}  // namespace

Scenario isolation_intermediate_read() {
  return scenario("A customer sees a price that was never meant for him")
      .story("T1 computes a new price in two steps, 80 and then 95. T2 reads the price between the two.")
      .given({{"price", 100}})
      .with<Report>()

      .pattern("plain", "read between two writes of one transaction")
      .actor("T1", new_price)
      .actor("T2", report)
      .schedule("T1 T1 T2 T2 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "read-uncommitted: anomaly, *: clean")
      .why("T2 reads the price before T1 or after it, never on its way.", "clean")
      .why("T2 read 80, which T1 had written on its way to 95.", "mariadb anomaly")
      .fix("lock the row that is read, or read at a higher level", "for-update")

      .pattern("for-update", "the customer's read locks the row")
      .actor("T1", new_price)
      .actor("T2", report_for_update)
      .schedule("T1 T1 T2 T2 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2 cannot lock the row before T1 has ended, and then reads the price that T1 has left.")

      .holds("the price seen is the old or the new one",
             [](const Final& end) { return end.world<Report>().price == 100 || end.world<Report>().price == 95; });
}

}  // namespace lockstep::scenarios
