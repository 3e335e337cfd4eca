// Lock time-out (PostgreSQL manual, 20.11, lock_timeout; SQLite, sqlite3_busy_timeout): a transaction holds a row while
// its user thinks. A limit on the wait keeps the others from piling up behind it, at the price of giving up work.
#include "engine/actor/pause.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using std::chrono::milliseconds;

enum : std::size_t { kChanges };

const std::vector<std::string> claims{"page"};

/// Opens the page for editing, thinks, and saves it.
Task<> edit_with_the_row_locked(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t version = co_await c.db.read_for_update("page");
  co_await pause(milliseconds(400));
  co_await c.db.write("page", version + 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

/// Thinks first and locks the row only to save.
Task<> edit_then_lock(Context& c) {
  co_await pause(milliseconds(400));
  co_await c.db.begin(claims);
  co_await c.db.add("page", 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

Task<> count_a_visit(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t version = co_await c.db.read_for_update("page");
  co_await c.db.write("page", version + 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

}  // namespace

Scenario timeout_lock_timeout() {
  return scenario("A user thinks while holding a row that another one needs")
      .story(
          "T1 locks a row and thinks about it for 400 ms. T2 needs the same row and waits at most 50 ms at a time. It "
          "gives "
          "up, starts again, and gets the row once T1 is done.")
      .given({{"page", 1}})

      .pattern("plain", "T1 thinks with the row locked; T2 waits at most 50 ms")
      .actor("T1", edit_with_the_row_locked)
      .actor("T2", count_a_visit)
      .schedule("T1 T1 T1 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("kv", "2pl-no-wait: starved, occ: abort, 2pl-wait-die: starved, *: timeout")
      .expect("sqlite", "deferred-wal: abort, *: timeout")
      .expect("postgres", "*: timeout")
      .expect("mariadb", "*: timeout")
      .why(
          "T2 gave its transaction up because it had waited for longer than its limit, not because anything was wrong.")
      .fix("do not think while holding a lock", "short-hold")

      .pattern("patient", "the limit is longer than the longest wait")
      .actor("T1", edit_with_the_row_locked)
      .actor("T2", count_a_visit)
      .schedule("T1 T1 T1 T2 T2")
      .tune("lock-timeout-ms", 2000)
      .expect("kv", "2pl-no-wait: starved, occ: abort, snapshot: abort, 2pl-wait-die: starved, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2 stands still for as long as T1 thinks, and so does everybody who needs what T2 holds.")
      .fix("do not think while holding a lock", "short-hold")

      .pattern("short-hold", "T1 thinks first and locks the row only to save")
      .actor("T1", edit_then_lock)
      .actor("T2", count_a_visit)
      .schedule("T1 T2 T2 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("Nothing is locked while T1 thinks, so nobody waits for it.")

      .holds("every acknowledged change counts",
             [](const Final& end) { return end.number("page") == 1 + end.count(kChanges); });
}

}  // namespace lockstep::scenarios
