// A hot row (Gray and Reuter, 1993, 7.12, "hot spots"): every actor adds one to the same counter. All ways here but the
// last are right. They differ in which actors wait and which start again. With the counter spread over several rows
// none waits.
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kVisits };

constexpr std::uint64_t kShards = 64;

Task<> one_statement(Context& c, std::string row) {
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  co_await c.db.add(row, 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

Task<> lock_then_write(Context& c, std::string row) {
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read_for_update(row);
  co_await c.db.write(row, seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

Task<> version_check(Context& c, std::string row) {
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read(row);
  const std::int64_t touched = co_await c.db.write_if(row, seen, seen + 1);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else was faster");
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

/// Read, add one, write: the update is lost where nobody looks whether somebody else wrote in between.
Task<> read_then_write(Context& c, std::string row) {
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read(row);
  co_await c.db.write(row, seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

/// In the manner of `count`, in one of the rows that all share.
template <auto count>
Task<> in_any_row(Context& c) {
  return count(c, key_of("visits/", c.choose()));
}

/// In a row of the session's own; a reader of the number adds them up.
Task<> in_own_row(Context& c) { return one_statement(c, key_of("visits/of/", c.index % kShards)); }

State counters(const Shape& shape) {
  State state = numbered("visits/", shape.rows, "0");
  for (auto& row : numbered("visits/of/", kShards, "0")) state.push_back(std::move(row));
  return state;
}

}  // namespace

Scenario money_hot_counter() {
  return scenario("Three visitors are counted in one row")
      .story("Three transactions add one to the same counter at the same time.")
      .given({{"visits", 0}, {"visits/T1", 0}, {"visits/T2", 0}, {"visits/T3", 0}})
      .rows(1, counters)

      .pattern("plain", "visits = visits + 1")
      .actor("T1", one_statement, "visits")
      .actor("T2", one_statement, "visits")
      .actor("T3", one_statement, "visits")
      .session(in_any_row<one_statement>)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("One adds, the others wait for its commit: nobody is wrong, and only one works at a time.")

      .pattern("for-update", "read for update, then write")
      .actor("T1", lock_then_write, "visits")
      .actor("T2", lock_then_write, "visits")
      .actor("T3", lock_then_write, "visits")
      .session(in_any_row<lock_then_write>)
      .schedule("T1 T2 T3 T1 T2 T3 T1 T1 T2 T3")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("The read locks the row: the others wait before they have seen a number that is about to change.")

      .pattern("version-check", "read, then write if unchanged")
      .actor("T1", version_check, "visits")
      .actor("T2", version_check, "visits")
      .actor("T3", version_check, "visits")
      .session(in_any_row<version_check>)
      .schedule("T1 T2 T3 T1 T2 T3 T1 T1 T2 T3")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: abort")
      .expect("mariadb", "serializable: deadlock, *: abort")
      .why("Everybody reads the same value, one write succeeds, and all the others start again.", "abort")
      .fix("spread the counter over several rows", "sharded")

      .pattern("sharded", "a row for each actor")
      .actor("T1", one_statement, "visits/T1")
      .actor("T2", one_statement, "visits/T2")
      .actor("T3", one_statement, "visits/T3")
      .session(in_own_row)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("No two of them touch the same row; the price is paid by whoever reads the sum.")

      .pattern("read-then-write", "read, then write what was read plus one")
      .actor("T1", read_then_write, "visits")
      .actor("T2", read_then_write, "visits")
      .actor("T3", read_then_write, "visits")
      .session(in_any_row<read_then_write>)
      .schedule("T1 T2 T3 T1 T2 T3 T1 T1 T2 T3")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why("All read the same number, and each writes that number plus one: the later writes undo the earlier ones.")
      .fix("let one statement read and write", "plain")

      .holds("every acknowledged visit counts", [](const Final& end) {
        const std::int64_t visits = end.count(kVisits), total = end.total();
        return total == visits ? std::string()
                               : fmt::format("{} acknowledged, {} counted: {} lost", visits, total, visits - total);
      });
}

}  // namespace lockstep::scenarios
