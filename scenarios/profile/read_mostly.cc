// A page that is read far more often than it is changed: a user's profile in three rows that belong together. Each row
// has the version of the last change. A change writes all three; a reader must see all of one version.
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kChanges, kTornPages };

using Read = Task<bool> (*)(Context&, std::string user);  // whether all was of one version

std::vector<std::string> rows_of(const std::string& user) { return {user + "/about", user + "/name", user + "/photo"}; }

Task<> change(Context& c, std::string user) {
  const std::vector<std::string> rows = rows_of(user);
  for (const std::string& row : rows) co_await c.db.add(row, 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

/// One transaction: reads a page in the manner of `read`, or changes one.
template <Read read>
Task<> read_or_change(Context& c) {
  const std::string user = key_of("user/", c.choose());
  const std::vector<std::string> claims = rows_of(user);
  const bool reads = c.reads();
  co_await c.db.begin(claims);
  if (!reads) {
    co_await change(c, user);
    co_return;
  }
  const bool whole = co_await read(c, user);
  co_await c.db.commit();  // what an optimistic store has shown counts only now
  c.acknowledged[kTornPages] += whole ? 0 : 1;
}

Task<bool> row_by_row(Context& c, std::string user) {
  const std::vector<std::string> rows = rows_of(user);
  const std::int64_t first = co_await c.db.read(rows[0]);
  const std::int64_t second = co_await c.db.read(rows[1]);
  const std::int64_t third = co_await c.db.read(rows[2]);
  co_return first == second&& second == third;
}

Task<bool> in_one_statement(Context& c, std::string user) {
  const std::string from = user + "/", to = user + "0";
  const Table rows = co_await c.db.scan(from, to);
  co_return rows.size() == 3 && rows[0][1] == rows[1][1] && rows[1][1] == rows[2][1];
}

/// The first row is the page's lock: every change of the page writes it first.
Task<bool> locked(Context& c, std::string user) {
  const std::vector<std::string> rows = rows_of(user);
  const std::int64_t first = co_await c.db.read_for_update(rows[0]);
  const std::int64_t second = co_await c.db.read(rows[1]);
  const std::int64_t third = co_await c.db.read(rows[2]);
  co_return first == second&& second == third;
}

State pages(const Shape& shape) {
  State state;
  for (std::uint64_t i = 0; i < shape.rows; ++i) {
    for (const std::string& row : rows_of(key_of("user/", i))) state.emplace_back(row, "0");
  }
  return state;
}

}  // namespace

Scenario profile_read_mostly() {
  return scenario("Profiles in three rows, read far more often than changed")
      .story(
          "A profile is three rows that belong together. Readers must see all three of one version while others change "
          "them.")
      .rows(1000, pages)
      .reads(95)
      .pattern("plain", "read the three rows one by one")
      .session(read_or_change<row_by_row>)
      .why("Where no level forbids it, another transaction changes the page between two reads: rows of two versions.")
      .unsafe_at({"postgres/read-committed"})
      .pattern("one-statement", "read them in one statement")
      .session(read_or_change<in_one_statement>)
      .why("One statement sees the rows of one moment, also where every statement has a snapshot of its own.")
      .pattern("for-update", "lock the first row, then read")
      .session(read_or_change<locked>)
      .why("The first row is the lock of the page: every change of the page writes it first.")
      .holds("nobody sees half of a change",
             [](const Final& end) {
               const std::int64_t torn = end.count(kTornPages);
               return torn == 0 ? std::string() : fmt::format("{} pages were of two versions", torn);
             })
      .holds("every acknowledged change is in all three rows", [](const Final& end) {
        const std::int64_t wanted = 3 * end.count(kChanges);
        const std::int64_t total = end.total("user/");
        return total == wanted ? std::string() : fmt::format("{} rows changed instead of {}", total, wanted);
      });
}

}  // namespace lockstep::scenarios
