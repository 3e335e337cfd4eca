// YCSB's workload D (Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010): 95 % of the
// transactions read one of the newest records, the others insert one more. --theta 0.99 is YCSB's choice among the
// newest; with 0 all of the latest --rows are alike.
//
// As in YCSB the clients tell each other what has been inserted (Context::board). A number is drawn anew for every
// attempt, so there may be holes where one was given up.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kInserted, kMissed, kWrong };

Task<> insert_one(Context& c) {
  const std::uint64_t number = c.shape().rows + c.board().draw();
  const std::string record = key_of("user", number);
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  co_await c.db.insert(record, number);
  co_await c.db.commit();
  ++c.acknowledged[kInserted];
  c.board().publish(number);
}

Task<> read_latest(Context& c) {
  const std::uint64_t newest =
      std::max(c.board().newest(), c.shape().rows - 1);  // acknowledged before this read begins
  const std::uint64_t number = newest - c.choices->zipf(c.random);
  const std::string record = key_of("user", number);
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  const Value value = co_await c.db.read(record);
  co_await c.db.commit();
  const bool must_be_there = number == newest || number < c.shape().rows;
  c.acknowledged[kMissed] += must_be_there && !value.exists() ? 1 : 0;
  c.acknowledged[kWrong] += value.exists() && value.number() != static_cast<std::int64_t>(number) ? 1 : 0;
}

Task<> read_or_insert(Context& c) {
  if (c.reads()) {
    co_await read_latest(c);
  } else {
    co_await insert_one(c);
  }
}

State records(const Shape& shape) {
  State state;
  for (std::uint64_t i = 0; i < shape.rows; ++i) state.emplace_back(key_of("user", i), std::to_string(i));
  return state;
}

}  // namespace

Scenario ycsb_latest() {
  return scenario("Reads of the newest records, and inserts, as in YCSB D")
      .story("Clients read the newest records while others insert more. What has been acknowledged must be found.")
      .rows(1000, records)
      .reads(95)
      .takes_rows_in_order()
      .pattern("insert", "read one of the newest, or insert")
      .session(read_or_insert)
      .why("A reader looks for a record whose insert was acknowledged before it began, and must find it.")
      .holds("the newest acknowledged record is found",
             [](const Final& end) {
               const std::int64_t missed = end.count(kMissed), wrong = end.count(kWrong);
               return missed == 0 && wrong == 0
                          ? std::string()
                          : fmt::format("{} reads did not find it, {} found what belongs elsewhere", missed, wrong);
             })
      .holds("every acknowledged record is there", [](const Final& end) {
        const std::int64_t wanted = static_cast<std::int64_t>(end.shape().rows) + end.count(kInserted);
        const std::int64_t rows = end.rows("user");
        return rows == wanted ? std::string() : fmt::format("{} records instead of {}", rows, wanted);
      });
}

}  // namespace lockstep::scenarios
