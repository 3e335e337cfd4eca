// Write skew (A5B of Berenson et al., 1995): two doctors go off call at once. Each checks that the other one is on
// call; the rows that they write differ, so only a serializable store sees the conflict.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"alice", "bob"};

Task<> go_off_call(Context& c, std::string me, std::string colleague) {
  co_await c.db.begin(claims);
  const Value other = co_await c.db.read(colleague);
  if (other == "off") {
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.write(me, "off");
  co_await c.db.commit();
}

/// Locks every row that the decision rests on, in one order.
Task<> lock_all_rows_read(Context& c, std::string me, std::string colleague) {
  co_await c.db.begin(claims);
  const Value first = co_await c.db.read_for_update(std::min(me, colleague));
  const Value second = co_await c.db.read_for_update(std::max(me, colleague));
  if (first == "off" || second == "off") {
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.write(me, "off");
  co_await c.db.commit();
}

}  // namespace

Scenario isolation_write_skew() {
  return scenario("Two doctors go off call at once")
      .story(
          "Alice and Bob are on call. Each may leave while the other one stays. Both look at the same time, and both "
          "leave.")
      .given({{"alice", "on"}, {"bob", "on"}})

      .pattern("plain", "read the colleague's row, write one's own")
      .actor("T1", go_off_call, "alice", "bob")
      .actor("T2", go_off_call, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .why(
          "Each decides on a row that the other one is about to change, and writes a different row: no write "
          "conflicts.")
      .fix("lock every row that the decision rests on", "for-update")

      .pattern("for-update", "lock both rows, then decide")
      .actor("T1", lock_all_rows_read, "alice", "bob")
      .actor("T2", lock_all_rows_read, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("Locking what was read makes the read a conflict: T2 waits, then sees that Alice has left, and stays.")

      .holds("somebody is on call", [](const Final& end) { return end["alice"] == "on" || end["bob"] == "on"; });
}

}  // namespace lockstep::scenarios
