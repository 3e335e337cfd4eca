// Dirty read (G1a of Adya, 1999, "aborted read"): w1[x] r2[x] a1. T2 acts on a value that never existed. Every store
// here prevents it, PostgreSQL also at READ UNCOMMITTED, which it treats as READ COMMITTED.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"balance"};

struct Report {
  std::int64_t balance = 100;
};

Task<> deposit_and_think_better_of_it(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.write("balance", 900);
  co_await c.db.abort();
}

/// Locks the row that it reads.
Task<> report_for_update(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t balance = co_await c.db.read_for_update("balance");
  co_await c.db.commit();
  c.world<Report>().balance = balance;
}

Task<> report(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t balance = co_await c.db.read("balance");
  co_await c.db.commit();
  c.world<Report>().balance = balance;
}

}  // namespace

Scenario isolation_dirty_read() {
  return scenario("A report shows a deposit that was rolled back")
      .story("T1 writes a balance of 900 and rolls back. T2 reads the balance in between.")
      .given({{"balance", 100}})
      .with<Report>()

      .pattern("plain", "read while the other one has written but not committed")
      .actor("T1", deposit_and_think_better_of_it)
      .actor("T2", report)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "read-uncommitted: anomaly, *: clean")
      .why("T2 reads what was committed before T1 (a snapshot), or waits until T1 has ended (a lock).", "clean")
      .why("T2 read 900, which T1 had not committed, and took back.", "mariadb anomaly")
      .fix("lock the row that is read, or read at a higher level", "for-update")

      .pattern("for-update", "the report locks the row")
      .actor("T1", deposit_and_think_better_of_it)
      .actor("T2", report_for_update)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("T2 cannot lock the row before T1 has ended, and then reads what is there.")

      .holds("nobody saw what was rolled back", [](const Final& end) { return end.world<Report>().balance == 100; });
}

}  // namespace lockstep::scenarios
