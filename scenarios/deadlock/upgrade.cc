// Upgrade deadlock (Gray and Reuter, 1993, 7.8.3): two transactions read the same row under a shared lock, then both
// want to write it. Each waits for the other's shared lock. An update lock, or FOR UPDATE at once, lets only one of
// them start.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"counter"};

enum : std::size_t { kIncrements };

Task<> read_then_write(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read("counter");
  co_await c.db.write("counter", seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kIncrements];
}

/// read_then_write() for a store with plain reads that take no lock.
Task<> for_share_then_update(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select v from kv where k = 'counter' for share");
  co_await c.db.execute("update kv set v = (v::bigint + 1)::text where k = 'counter'");
  co_await c.db.commit();
  ++c.acknowledged[kIncrements];
}

Task<> for_update(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read_for_update("counter");
  co_await c.db.write("counter", seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kIncrements];
}

}  // namespace

Scenario deadlock_upgrade() {
  return scenario("Two readers of one row both want to write it")
      .story("Two transactions read the same counter under a shared lock and then add one to it. One row is enough.")
      .given({{"counter", 0}})
      .repeats()

      .pattern("plain", "read under a shared lock, then write")
      .actor("T1", read_then_write)
      .actor("T2", read_then_write)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .why("Both hold the shared lock, and each needs the other to give it back before it can write.")
      .fix("say at the read that a write will follow", "for-update")

      .pattern("for-share", "select … for share, then update: the same where plain reads take no lock")
      .actor("T1", for_share_then_update)
      .actor("T2", for_share_then_update)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: deadlock")
      .why("FOR SHARE lets both in; the update of each then waits for the other's share to end.")
      .fix("say at the read that a write will follow", "for-update")

      .pattern("for-update", "read for update, then write")
      .actor("T1", for_update)
      .actor("T2", for_update)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("Only one of them can mean to write; the other one waits at its first step and holds nothing.")

      .holds("every acknowledged increment counts",
             [](const Final& end) { return end.number("counter") == end.count(kIncrements); });
}

}  // namespace lockstep::scenarios
