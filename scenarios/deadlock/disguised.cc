// A deadlock disguised as a time-out (PostgreSQL manual, 20.11 lock_timeout and 20.12 deadlock_timeout). When
// lock_timeout is the shorter one, it ends the wait before the server looks for a cycle. The log says 55P03, "lock
// timeout", and never "deadlock".
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> source_first(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.add(from, -10);
  co_await c.db.add(to, 10);
  co_await c.db.commit();
}

Task<> smaller_name_first(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.read_for_update(std::min(from, to));
  co_await c.db.read_for_update(std::max(from, to));
  co_await c.db.add(from, -10);
  co_await c.db.add(to, 10);
  co_await c.db.commit();
}

}  // namespace

Scenario deadlock_disguised() {
  return scenario("A deadlock that the log calls a lock time-out")
      .story("Two transfers lock the same rows in opposite order. lock_timeout is 20 ms, deadlock_timeout is 1 s.")
      .given({{"A", 100}, {"B", 100}})
      .repeats()

      .pattern("plain", "opposite orders, and a lock time-out that comes first")
      .actor("T1", source_first, "A", "B")
      .actor("T2", source_first, "B", "A")
      .schedule("T1 T1 T2 T2 T1 T2")
      .tune("lock-timeout-ms", 20)
      .tune("deadlock-timeout-ms", 1000)
      .expect("kv", "2pl-timeout: timeout")
      .expect("postgres", "*: timeout")
      .why(
          "The wait is ended before anybody has looked for the cycle: the time-out breaks it, and nobody learns that "
          "it was one.")
      .fix("one order for all locks; and a lock_timeout longer than deadlock_timeout, so that the log tells the truth",
           "ordered")

      .pattern("ordered", "both lock A, then B")
      .actor("T1", smaller_name_first, "A", "B")
      .actor("T2", smaller_name_first, "B", "A")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T1")
      .tune("lock-timeout-ms", 1000)
      .expect("kv", "2pl-timeout: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("There is a wait, but no cycle.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
