// Double booking of one seat: check, then act, on a row that is there. One conditional statement mends it: "update …
// set holder = me where seat = 12A and holder = 'free'" touches no row for the transaction that comes second.
#include <atomic>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"seat/12A"};

struct Tickets {
  std::atomic<int> printed = 0;
};

Task<> look_then_book(Context& c) {
  co_await c.db.begin(claims);
  const Value seat = co_await c.db.read("seat/12A");
  if (!(seat == "free")) {
    c.note("the seat is taken");
    co_return;
  }
  co_await c.db.write("seat/12A", c.name);
  co_await c.db.commit();
  ++c.world<Tickets>().printed;
}

Task<> book_if_free(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t touched = co_await c.db.write_if("seat/12A", "free", c.name);
  if (touched == 0) {
    c.note("the seat is taken");
    co_return;
  }
  co_await c.db.commit();
  ++c.world<Tickets>().printed;
}

}  // namespace

Scenario booking_seat() {
  return scenario("Two passengers have the same seat")
      .story("Seat 12A is free. Two passengers look, book, and both get a ticket for it.")
      .given({{"seat/12A", "free"}})
      .with<Tickets>()

      .pattern("plain", "look whether it is free, then book")
      .actor("T1", look_then_book)
      .actor("T2", look_then_book)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .why("Both saw a free seat; the second write replaced the first without looking again.")
      .fix("let one statement look and book", "conditional-update")

      .pattern("conditional-update", "book it if it is free, in one statement")
      .actor("T1", book_if_free)
      .actor("T2", book_if_free)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("The second statement finds the seat taken and touches no row.")

      .holds("one ticket for one seat", [](const Final& end) { return end.world<Tickets>().printed <= 1; });
}

}  // namespace lockstep::scenarios
