// Double booking of one seat: check, then act, on a row that is there. One conditional statement mends it: "update …
// set holder = me where seat = 12A and holder = 'free'" touches no row for the transaction that comes second.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kBooked, kGivenUp };

Task<> write_if_it_was_free(Context& c, std::string seat, std::string passenger, Value holder) {
  if (!(holder == "free")) {
    c.note("the seat is taken");
    co_return;
  }
  co_await c.db.write(seat, passenger);
  co_await c.db.commit();
  ++c.acknowledged[kBooked];
}

Task<> look_then_book(Context& c, std::string seat, std::string passenger) {
  const std::vector<std::string> claims{seat};
  co_await c.db.begin(claims);
  Value holder = co_await c.db.read(seat);
  co_await write_if_it_was_free(c, seat, passenger, std::move(holder));
}

Task<> lock_then_book(Context& c, std::string seat, std::string passenger) {
  const std::vector<std::string> claims{seat};
  co_await c.db.begin(claims);
  Value holder = co_await c.db.read_for_update(seat);
  co_await write_if_it_was_free(c, seat, passenger, std::move(holder));
}

/// update … set holder = me where holder = 'free'
Task<> book_if_free(Context& c, std::string seat, std::string passenger) {
  const std::vector<std::string> claims{seat};
  co_await c.db.begin(claims);
  const std::int64_t touched = co_await c.db.write_if(seat, "free", passenger);
  if (touched == 0) {
    c.note("the seat is taken");
    co_return;
  }
  co_await c.db.commit();
  ++c.acknowledged[kBooked];
}

/// The row is locked first, whatever the pattern: only bookings go wrong here.
Task<> give_up(Context& c, std::string seat) {
  const std::vector<std::string> claims{seat};
  co_await c.db.begin(claims);
  const Value holder = co_await c.db.read_for_update(seat);
  if (holder == "free") co_return;
  co_await c.db.write(seat, "free");
  co_await c.db.commit();
  ++c.acknowledged[kGivenUp];
}

/// Under load half of the transactions book a seat for a passenger of their own, the other half give up whatever
/// booking a seat has. So about half of the seats are free.
template <auto book>
Task<> book_or_give_up(Context& c) {
  const std::string seat = key_of("seat/", c.choose());
  const bool gives_up = c.random() % 2 == 0;
  return gives_up ? give_up(c, seat) : book(c, seat, fmt::format("P{}-{}", c.index, ++c.serial));
}

std::int64_t taken(const State& state) {
  return std::count_if(state.begin(), state.end(),
                       [](const auto& row) { return row.first.starts_with("seat/") && row.second != "free"; });
}

}  // namespace

Scenario booking_seat() {
  return scenario("Two passengers have the same seat")
      .story("Seat 12A is free. Two passengers look, book, and both get a ticket for it.")
      .given({{"seat/12A", "free"}})
      .rows(100, [](const Shape& shape) { return numbered("seat/", shape.rows, "free"); })

      .pattern("plain", "look whether it is free, then book")
      .actor("T1", look_then_book, "seat/12A", "T1")
      .actor("T2", look_then_book, "seat/12A", "T2")
      .session(book_or_give_up<look_then_book>)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why("Both saw a free seat; the second write replaced the first without looking again.")
      .fix("let one statement look and book", "conditional-update")

      .pattern("conditional-update", "book it if it is free, in one statement")
      .actor("T1", book_if_free, "seat/12A", "T1")
      .actor("T2", book_if_free, "seat/12A", "T2")
      .session(book_or_give_up<book_if_free>)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("The second statement finds the seat taken and touches no row.")

      .pattern("for-update", "the look locks the seat")
      .actor("T1", lock_then_book, "seat/12A", "T1")
      .actor("T2", lock_then_book, "seat/12A", "T2")
      .session(book_or_give_up<lock_then_book>)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2's look waits until T1 has committed, and then finds the seat taken.")

      .holds("one ticket for one seat", [](const Final& end) {
        const std::int64_t tickets = end.count(kBooked) - end.count(kGivenUp), seats = taken(end.state());
        return tickets == seats ? std::string()
                                : fmt::format("{} more tickets than seats that are taken, of {} bookings",
                                              tickets - seats, end.count(kBooked));
      });
}

}  // namespace lockstep::scenarios
