// Seat booking under load. Half of the transactions book a seat for their own passenger if it is free, the other half
// give up whatever booking a seat has. So about half of the seats are free. A transaction that books after an
// unprotected look prints a second ticket for a seat that another one has taken in the meantime.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kBooked, kGivenUp };

using Book = Task<> (*)(load::LoadContext&, std::string seat, std::string passenger);

/// The row is locked first, whatever the pattern: only bookings go wrong here.
Task<> give_up(load::LoadContext& c, std::string seat) {
  const Value holder = co_await c.db.read_for_update(seat);
  if (holder == "free") co_await fail(Fault::refused, "nobody has the seat");
  co_await c.db.write(seat, "free");
  co_await c.db.commit();
  ++c.acknowledged[kGivenUp];
}

/// One transaction: books a seat in the manner of `book`, or gives one up.
template <Book book>
Task<> book_or_give_up(load::LoadContext& c) {
  const std::string seat = load::key_of("seat/", c.choose());
  const std::string passenger = fmt::format("P{}-{}", c.session, ++c.serial);
  const std::vector<std::string> claims{seat};
  const bool gives_up = c.random() % 2 == 0;
  co_await c.db.begin(claims);
  if (gives_up) {
    co_await give_up(c, seat);
  } else {
    co_await book(c, seat, passenger);
    ++c.acknowledged[kBooked];
  }
}

Task<> write_if_it_was_free(load::LoadContext& c, std::string seat, std::string passenger, Value holder) {
  if (!(holder == "free")) co_await fail(Fault::refused, "the seat is taken");
  co_await c.db.write(seat, passenger);
  co_await c.db.commit();
}

Task<> look_then_book(load::LoadContext& c, std::string seat, std::string passenger) {
  Value holder = co_await c.db.read(seat);
  co_await write_if_it_was_free(c, seat, passenger, std::move(holder));
}

Task<> lock_then_book(load::LoadContext& c, std::string seat, std::string passenger) {
  Value holder = co_await c.db.read_for_update(seat);
  co_await write_if_it_was_free(c, seat, passenger, std::move(holder));
}

/// update … set holder = me where holder = 'free'
Task<> book_if_free(load::LoadContext& c, std::string seat, std::string passenger) {
  const std::int64_t touched = co_await c.db.write_if(seat, "free", passenger);
  if (touched == 0) co_await fail(Fault::refused, "the seat is taken");
  co_await c.db.commit();
}

std::int64_t taken(const State& state) {
  return std::count_if(state.begin(), state.end(),
                       [](const auto& row) { return row.first.starts_with("seat/") && row.second != "free"; });
}

}  // namespace

load::Workload booking_seat() {
  return load::workload("Passengers book seats and give them up")
      .rows(100, [](const load::Shape& shape) { return load::numbered("seat/", shape.rows, "free"); })
      .pattern("plain", "look whether it is free, then book", book_or_give_up<look_then_book>)
      .unsafe_at({"postgres/read-committed"})
      .pattern("for-update", "the look locks the seat", book_or_give_up<lock_then_book>)
      .pattern("conditional-update", "book it if it is free, in one statement", book_or_give_up<book_if_free>)
      .holds("one ticket for one seat", [](const load::Settled& end) {
        const std::int64_t tickets = end.counts[kBooked] - end.counts[kGivenUp];
        const std::int64_t seats = taken(end.state);
        return tickets == seats ? std::string()
                                : fmt::format("{} more tickets than seats that are taken, of {} bookings",
                                              tickets - seats, end.counts[kBooked]);
      });
}

}  // namespace lockstep::scenarios::under_load
