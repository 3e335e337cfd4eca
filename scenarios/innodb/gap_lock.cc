// Gap locks (MariaDB manual, "InnoDB Lock Modes"): at REPEATABLE READ, FOR UPDATE on a key that is not there locks the
// gap in which it would stand. Gap locks of two transactions do not conflict; an insert into the gap waits for both. So
// each can have the gap and wait for the other one to leave it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> look_then_book(Context& c, std::string seat) {
  co_await c.db.begin();
  const Value taken = co_await c.db.read_for_update(seat);
  if (taken.exists()) {
    c.note("the seat is taken");
    co_return;
  }
  co_await c.db.insert(seat, c.name);
  co_await c.db.commit();
}

Task<> book(Context& c, std::string seat) {
  co_await c.db.begin();
  co_await c.db.insert(seat, c.name);
  co_await c.db.commit();
}

/// A seat that is taken is what a booking has to expect.
Task<> just_book(Context& c, std::string seat) { co_await handled(c, book(c, seat)); }

}  // namespace

Scenario innodb_gap_lock() {
  return scenario("Two look for a seat that is free, and deadlock over seats that differ")
      .story("T1 wants seat 12, T2 seat 14. Each looks with FOR UPDATE whether it is taken, and books it.")
      .given({{"seat/10", "anna"}, {"seat/20", "ben"}})

      .pattern("plain", "look with for update, then insert")
      .actor("T1", look_then_book, "seat/12")
      .actor("T2", look_then_book, "seat/14")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("mariadb", "read-uncommitted: clean, read-committed: clean, *: deadlock")
      .why(
          "Neither seat is there to be locked, so both have locked the gap from seat 10 to seat 20, together. Each "
          "insert waits for the other one's lock on the gap.",
          "deadlock")
      .why("At this level no gaps are locked: looking for a row that is not there locks nothing.", "clean")
      .fix("insert at once, and let the key say that the seat is taken", "insert-first")

      .pattern("insert-first", "insert without looking")
      .actor("T1", just_book, "seat/12")
      .actor("T2", just_book, "seat/14")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("mariadb", "*: clean")
      .why("An insert marks its place in the gap, and such marks do not stand in each other's way.")

      .holds("both have their seats",
             [](const Final& end) { return end["seat/12"] == "T1" && end["seat/14"] == "T2"; });
}

}  // namespace lockstep::scenarios
