// Circular information flow (G1c of Adya, 1999): w1[x] w2[y] r1[y] r2[x] c1 c2. If each read the other's write, each
// would come before the other. Every store here prevents that; what is left, each missing the other's write, is write
// skew's cousin.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"x", "y"};

struct Seen {
  std::int64_t by_T1 = 0;
  std::int64_t by_T2 = 0;
};

Task<> write_x_read_y(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.write("x", 11);
  const std::int64_t seen = co_await c.db.read("y");
  co_await c.db.commit();
  c.world<Seen>().by_T1 = seen;
}

Task<> write_y_read_x(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.write("y", 22);
  const std::int64_t seen = co_await c.db.read("x");
  co_await c.db.commit();
  c.world<Seen>().by_T2 = seen;
}

Task<> lock_x_first(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.read_for_update("x");
  co_await c.db.write("y", 22);
  const std::int64_t seen = co_await c.db.read("x");
  co_await c.db.commit();
  c.world<Seen>().by_T2 = seen;
}

}  // namespace

Scenario isolation_circular_flow() {
  return scenario("Two transactions each read what the other one writes")
      .story("T1 writes x and reads y, T2 writes y and reads x. Each could only come after the other.")
      .given({{"x", 1}, {"y", 2}})
      .with<Seen>()

      .pattern("plain", "write one row, read the other")
      .actor("T1", write_x_read_y)
      .actor("T2", write_y_read_x)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: clean")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "*: clean")
      .expect("postgres", "serializable: abort, *: clean")
      .expect("mariadb", "read-uncommitted: anomaly, serializable: deadlock, *: clean")
      .why(
          "Neither sees the other's uncommitted write: a snapshot shows the old values, a lock makes them wait in a "
          "circle.",
          "deadlock, clean")
      .fix("where reads lock, lock in one order", "ordered")

      .pattern("ordered", "both lock x first")
      .actor("T1", write_x_read_y)
      .actor("T2", lock_x_first)
      .schedule("T1 T1 T2 T2 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2 waits before it has written anything, and then comes after T1.")

      .holds("they did not each see the other",
             [](const Final& end) { return !(end.world<Seen>().by_T1 == 22 && end.world<Seen>().by_T2 == 11); });
}

}  // namespace lockstep::scenarios
