// The shared lock of a duplicate key (MySQL manual, "Locks Set by Different SQL Statements in InnoDB"): an insert that
// finds its key taken by an open transaction asks for a shared lock on it. When that transaction rolls back, all who
// wait get the lock at once; each then wants to insert, and the others' shared locks forbid it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> reserve_and_think_again(Context& c) {
  co_await c.db.begin();
  co_await c.db.insert("room/7", c.name);
  co_await c.db.abort();
}

Task<> insert_it(Context& c) {
  co_await c.db.begin();
  co_await c.db.insert("room/7", c.name);
  co_await c.db.commit();
}

/// A room that is taken is what a reservation has to expect.
Task<> reserve(Context& c) { co_await handled(c, insert_it(c)); }

Task<> lock_then_think_again(Context& c) {
  co_await c.db.begin();
  co_await c.db.read_for_update("hotel");
  co_await c.db.insert("room/7", c.name);
  co_await c.db.abort();
}

Task<> lock_then_insert(Context& c) {
  co_await c.db.begin();
  co_await c.db.read_for_update("hotel");
  co_await c.db.insert("room/7", c.name);
  co_await c.db.commit();
}

Task<> lock_then_reserve(Context& c) { co_await handled(c, lock_then_insert(c)); }

}  // namespace

Scenario innodb_duplicate_key() {
  return scenario("Two wait to insert one key, and its owner rolls back")
      .story("T1 reserves room 7 and thinks again. T2 and T3 want it too, and wait to learn whether T1 keeps it.")
      .given({{"hotel", "open"}})

      .pattern("plain", "insert the key")
      .actor("T1", reserve_and_think_again)
      .actor("T2", reserve)
      .actor("T3", reserve)
      .schedule("T1 T1 T2 T2 T3 T3 T1")
      .expect("mariadb", "*: deadlock")
      .why(
          "With T1's rollback both have a shared lock on the place of the key, which they asked for to see whether it "
          "is a duplicate. Each insert now waits for the other one's shared lock.")
      .fix("lock a row that is there before the insert, so that one goes first", "lock-first")

      .pattern("lock-first", "lock the hotel, then insert")
      .actor("T1", lock_then_think_again)
      .actor("T2", lock_then_reserve)
      .actor("T3", lock_then_reserve)
      .schedule("T1 T1 T1 T2 T2 T3 T3 T1")
      .expect("mariadb", "*: clean")
      .why("Only one at a time has the hotel, and only that one inserts. The last one is told that the room is taken.")

      .holds("the room is reserved", [](const Final& end) { return end.exists("room/7"); });
}

}  // namespace lockstep::scenarios
