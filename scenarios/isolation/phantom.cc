// Phantom (P3 of Berenson et al., 1995; Eswaran et al., 1976): r1[P] insert2[y in P] c2 r1[P]. The rows that were read
// are unchanged; a row that was not there has come. Locks on rows cannot prevent it: it takes a lock on the range, or
// one snapshot.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Invoice {
  std::size_t lines = 0;
  std::size_t counted = 0;
};

Task<> print_then_count(Context& c) {
  co_await c.db.begin();
  const Table lines = co_await c.db.scan("order/", "order0");
  const Table again = co_await c.db.scan("order/", "order0");
  co_await c.db.commit();
  c.world<Invoice>() = {lines.size(), again.size()};
}

Task<> print_and_count(Context& c) {
  co_await c.db.begin();
  const Table lines = co_await c.db.scan("order/", "order0");
  co_await c.db.commit();
  c.world<Invoice>() = {lines.size(), lines.size()};
}

Task<> add_an_order(Context& c) {
  co_await c.db.begin();
  co_await c.db.insert("order/2", "ink");
  co_await c.db.commit();
}

}  // namespace

Scenario isolation_phantom() {
  return scenario("An invoice lists two orders and counts three")
      .story("T1 lists the orders and then counts them. T2 adds one in between.")
      .given({{"order/1", "pen"}, {"order/3", "paper"}})
      .with<Invoice>()

      .pattern("plain", "scan the range twice")
      .actor("T1", print_then_count)
      .actor("T2", add_an_order)
      .schedule("T1 T1 T2 T2 T2 T1 T1")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: clean")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: anomaly, *: clean")
      .expect("mariadb", "read-uncommitted: anomaly, read-committed: anomaly, *: clean")
      .why("T2's row was not there to be locked, and below repeatable read the second scan looks anew.")
      .fix("ask once (or use one snapshot for the whole transaction)", "one-scan")

      .pattern("one-scan", "scan once and use the answer twice")
      .actor("T1", print_and_count)
      .actor("T2", add_an_order)
      .schedule("T1 T1 T2 T2 T2 T1")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: clean")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("One statement sees one state.")

      .holds("the invoice counts what it lists",
             [](const Final& end) { return end.world<Invoice>().lines == end.world<Invoice>().counted; });
}

}  // namespace lockstep::scenarios
