// Booking overlap: a phantom (Eswaran et al., 1976) with a business rule, and two mends that look right and are not. A
// lock taken inside a transaction comes after its snapshot when the isolation level keeps one snapshot for all of it.
// (PostgreSQL manual, 13.4.1 and 13.4.2 "Enforcing Consistency".) T2 waits, gets the lock, and still does not see T1's
// booking.
#include <algorithm>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

/// A booking is a row booking/FROM with the value TO; this body wants no other one between them.
Task<> look_and_book(Context& c, std::string from, std::string to) {
  const Table taken = co_await c.db.scan("booking/", "booking0");
  for (const auto& row : taken)
    if (row[0]->substr(8) < to && from < *row[1]) co_await fail(Fault::refused, "the room is taken from " + *row[0]);
  co_await c.db.insert("booking/" + from, to);
  co_await c.db.commit();
}

Task<> book(Context& c, std::string from, std::string to) { co_await handled(c, look_and_book(c, from, to)); }

Task<> plain(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await book(c, from, to);
}

Task<> parent_lock(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.read_for_update("room");
  co_await book(c, from, to);
}

/// Changes the row instead of only locking it: then a snapshot that is older than the change is an error.
Task<> touch_parent(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.add("room", 1);
  co_await book(c, from, to);
}

Task<> advisory_inside(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.execute("select pg_advisory_xact_lock('kv'::regclass::int, 7)");
  co_await book(c, from, to);
}

Task<> advisory_before(Context& c, std::string from, std::string to) {
  co_await c.db.execute("select pg_advisory_lock('kv'::regclass::int, 7)");
  co_await c.db.begin();
  const auto booked = co_await tried(look_and_book(c, from, to));
  if (!booked) co_await c.db.abort();
  co_await c.db.execute("select pg_advisory_unlock('kv'::regclass::int, 7)");
  if (!booked && booked.fault() != Fault::refused) co_await fail(booked.error());
}

Task<> lock_table_first(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.execute("lock table kv in share row exclusive mode");
  co_await book(c, from, to);
}

bool no_two_overlap(const Final& end) {
  std::string taken_to;
  for (const auto& [key, to] : end.state()) {
    if (!key.starts_with("booking/")) continue;
    if (key.substr(8) < taken_to) return false;
    taken_to = std::max(taken_to, to);
  }
  return true;
}

}  // namespace

Scenario booking_overlap() {
  return scenario("Two bookings of one room overlap")
      .story("T1 books a room from 09 to 11, T2 from 10 to 12. Each looks whether the room is free, and books.")
      .given({{"room", 0}})

      .pattern("plain", "look for overlapping bookings, then insert one's own")
      .actor("T1", plain, "09", "11")
      .actor("T2", plain, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .expect("mariadb", "serializable: deadlock, *: anomaly")
      .why("Each finds no booking: there is no row that the look could lock.")
      .fix("let both change one row first; on PostgreSQL, let an exclusion constraint forbid it", "touch-parent")

      .pattern("parent-lock", "lock the row of the room first (a trap)")
      .actor("T1", parent_lock, "09", "11")
      .actor("T2", parent_lock, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: clean, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, repeatable-read: anomaly, serializable: abort")
      .expect("mariadb", "*: clean")
      .why("T2 waits for the room, but its snapshot is older than the wait: it does not see T1's booking.")
      .fix("change the row instead of only locking it, or lock before the snapshot (advisory-before)", "touch-parent")

      .pattern("touch-parent", "change the row of the room first")
      .actor("T1", touch_parent, "09", "11")
      .actor("T2", touch_parent, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: clean, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: abort")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2 waits for the room; if its snapshot is older than T1's change, it starts again.",
           "clean, serialization_failure")

      .pattern("advisory-inside", "an advisory lock inside the transaction (a trap)")
      .actor("T1", advisory_inside, "09", "11")
      .actor("T2", advisory_inside, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("postgres", "read-committed: clean, repeatable-read: anomaly, serializable: abort")
      .why("The statement that waits for the advisory lock has taken the snapshot first: the same trap.")
      .fix("take the lock before the transaction takes its snapshot", "advisory-before")

      .pattern("advisory-before", "the advisory lock before BEGIN")
      .actor("T1", advisory_before, "09", "11")
      .actor("T2", advisory_before, "10", "12")
      .schedule("T1 T2 T1 T1 T1 T1 T1 T2")
      .expect("postgres", "*: clean")
      .why("T2 begins, and takes its snapshot, after T1 has committed: it sees the booking and refuses.")

      .pattern("lock-table", "LOCK TABLE is the first statement")
      .actor("T1", lock_table_first, "09", "11")
      .actor("T2", lock_table_first, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("postgres", "*: clean")
      .why("LOCK TABLE takes no snapshot: T2's comes after the wait. The price: one booking at a time in the house.")

      .pattern("exclusion-constraint", "the table forbids two overlapping ranges")
      .ddl({"alter table kv add exclude using gist (int4range(substr(k, 9)::int, v::int) with &&) where (k like "
            "'booking/%')"})
      .actor("T1", plain, "09", "11")
      .actor("T2", plain, "10", "12")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: clean")
      .why("T2's insert waits for T1 and is refused with 23P01: the constraint sees what no snapshot shows.")

      .holds("no two bookings overlap", no_two_overlap);
}

}  // namespace lockstep::scenarios
