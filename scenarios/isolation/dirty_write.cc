// Dirty write (P0 of Berenson et al., 1995; G0 of Adya, 1999): w1[x] w2[x] w2[y] c2 w1[y] c1. Without a lock on x, the
// two rows end up from different transactions. Every store here prevents it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"buyer", "invoice"};

Task<> sell_to(Context& c, std::string name) {
  co_await c.db.begin(claims);
  co_await c.db.write("buyer", name);
  co_await c.db.write("invoice", name);
  co_await c.db.commit();
}

}  // namespace

Scenario isolation_dirty_write() {
  return scenario("The car goes to one buyer and the invoice to the other")
      .story("Alice and Bob buy the same car. A sale writes two rows: the buyer and the receiver of the invoice.")
      .given({{"buyer", "nobody"}, {"invoice", "nobody"}})
      .repeats()

      .pattern("plain", "write both rows")
      .actor("T1", sell_to, "alice")
      .actor("T2", sell_to, "bob")
      .schedule("T1 T1 T2 T2 T2 T1 T1")
      .expect("kv", "2pl-no-wait: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why(
          "A write is locked until its transaction ends, so T2 waits before its first write and then overwrites both "
          "rows.")

      .holds("buyer and invoice agree", [](const Final& end) { return end["buyer"] == end["invoice"]; });
}

}  // namespace lockstep::scenarios
