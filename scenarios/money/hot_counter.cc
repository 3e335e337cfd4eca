// A hot row (Gray and Reuter, 1993, 7.12, "hot spots"): every actor adds one to the same counter. All ways here are
// right. They differ in which actors wait and which start again. With the counter spread over several rows none waits.
#include <atomic>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Acknowledged {
  std::atomic<int> changes = 0;
};

const std::vector<std::string> claims{"visits"};

Task<> one_statement(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("visits", 1);
  co_await c.db.commit();
  ++c.world<Acknowledged>().changes;
}

Task<> version_check(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read("visits");
  const std::int64_t touched = co_await c.db.write_if("visits", seen, seen + 1);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else was faster");
  co_await c.db.commit();
  ++c.world<Acknowledged>().changes;
}

/// A row for each actor; a reader of the number adds them up.
Task<> own_row(Context& c) {
  const std::string row = "visits/" + c.name;
  const std::vector<std::string> own_claims{row};
  co_await c.db.begin(own_claims);
  co_await c.db.add(row, 1);
  co_await c.db.commit();
  ++c.world<Acknowledged>().changes;
}

}  // namespace

Scenario money_hot_counter() {
  return scenario("Three visitors are counted in one row")
      .story("Three transactions add one to the same counter at the same time.")
      .given({{"visits", 0}, {"visits/T1", 0}, {"visits/T2", 0}, {"visits/T3", 0}})
      .with<Acknowledged>()

      .pattern("plain", "visits = visits + 1")
      .actor("T1", one_statement)
      .actor("T2", one_statement)
      .actor("T3", one_statement)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("One adds, the others wait for its commit: nobody is wrong, and only one works at a time.")

      .pattern("version-check", "read, then write if unchanged")
      .actor("T1", version_check)
      .actor("T2", version_check)
      .actor("T3", version_check)
      .schedule("T1 T2 T3 T1 T2 T3 T1 T1 T2 T3")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: abort")
      .why("Everybody reads the same value, one write succeeds, and all the others start again.", "abort")
      .fix("spread the counter over several rows", "sharded")

      .pattern("sharded", "a row for each actor")
      .actor("T1", own_row)
      .actor("T2", own_row)
      .actor("T3", own_row)
      .schedule("T1 T2 T3 T1 T2 T3")
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .why("No two of them touch the same row; the price is paid by whoever reads the sum.")

      .holds("every acknowledged visit counts",
             [](const Final& end) { return end.total() == end.world<Acknowledged>().changes; });
}

}  // namespace lockstep::scenarios
