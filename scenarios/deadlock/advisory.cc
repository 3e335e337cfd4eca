// Advisory locks (PostgreSQL manual, 13.3.5): locks on numbers that mean what the application says. They deadlock as
// rows do, and the server finds the cycle, since it keeps them in the same lock table. They belong to the whole
// database: the first of two numbers, here that of the table, keeps other applications (and other runs) apart.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kChanges };

Task<> lock_both(Context& c, std::string first, std::string second) {
  const std::string lock_first = "select pg_advisory_xact_lock('kv'::regclass::int, " + first + ")";
  const std::string lock_second = "select pg_advisory_xact_lock('kv'::regclass::int, " + second + ")";
  co_await c.db.begin();
  co_await c.db.execute(lock_first);
  co_await c.db.execute(lock_second);
  co_await c.db.add("runs", 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

}  // namespace

Scenario deadlock_advisory() {
  return scenario("Two jobs take the same two advisory locks in opposite order")
      .story("The nightly jobs each need the report (1) and the archive (2). No row is touched before both are locked.")
      .given({{"runs", 0}})

      .pattern("plain", "each in an order of its own")
      .actor("T1", lock_both, "1", "2")
      .actor("T2", lock_both, "2", "1")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: deadlock")
      .why("T1 has 1 and wants 2, T2 has 2 and wants 1.")
      .fix("take them in the order of their numbers", "ordered")

      .pattern("ordered", "1, then 2")
      .actor("T1", lock_both, "1", "2")
      .actor("T2", lock_both, "1", "2")
      .schedule("T1 T1 T2 T2 T1 T1 T1")
      .expect("postgres", "read-committed: clean, *: abort")
      .why(
          "T2 waits for 1 with empty hands. (At repeatable-read its snapshot is older than the wait, so its update "
          "fails.)",
          "clean, abort")

      .holds("every acknowledged run counts",
             [](const Final& end) { return end.number("runs") == end.count(kChanges); });
}

}  // namespace lockstep::scenarios
