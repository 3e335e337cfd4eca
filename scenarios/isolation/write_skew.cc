// Write skew (A5B of Berenson et al., 1995): two doctors go off call at once. Each checks that the other one is on
// call; the rows that they write differ, so only a serializable store sees the conflict.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kSeenNobody };

Task<> go_off_call(Context& c, std::string me, std::string colleague) {
  const std::vector<std::string> claims{std::min(me, colleague), std::max(me, colleague)};
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
  const std::vector<std::string> claims{std::min(me, colleague), std::max(me, colleague)};
  co_await c.db.begin(claims);
  const Value first = co_await c.db.read_for_update(claims[0]);
  const Value second = co_await c.db.read_for_update(claims[1]);
  if (first == "off" || second == "off") {
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.write(me, "off");
  co_await c.db.commit();
}

/// Locks both rows first, whatever the pattern: it only looks whether the others have broken the rule.
Task<> come_on_call(Context& c, std::string me, std::string colleague) {
  const std::vector<std::string> claims{std::min(me, colleague), std::max(me, colleague)};
  co_await c.db.begin(claims);
  const Value first = co_await c.db.read_for_update(claims[0]);
  const Value second = co_await c.db.read_for_update(claims[1]);
  co_await c.db.write(me, "on");
  co_await c.db.commit();
  c.acknowledged[kSeenNobody] += first == "off" && second == "off" ? 1 : 0;
}

/// Under load there are many shifts of two doctors. Half of the transactions take one of them off call in the manner of
/// `go_off`, the other half bring one back.
template <auto go_off>
Task<> come_and_go(Context& c) {
  const std::uint64_t shift = c.choose();
  const std::string alice = key_of("shift/", shift) + "/alice", bob = key_of("shift/", shift) + "/bob";
  const bool comes = c.random() % 2 == 0, is_alice = c.random() % 2 == 0;
  const std::string &me = is_alice ? alice : bob, &colleague = is_alice ? bob : alice;
  return comes ? come_on_call(c, me, colleague) : go_off(c, me, colleague);
}

State shifts(const Shape& shape) {
  State state;
  for (std::uint64_t i = 0; i < shape.rows; ++i) {
    for (const char* doctor : {"/alice", "/bob"}) state.emplace_back(key_of("shift/", i) + doctor, "on");
  }
  return state;
}

/// The two doctors of a shift stand one after the other.
std::string nobody_on_call(const Final& end) {
  std::int64_t empty = 0;
  for (std::size_t i = 0; i + 1 < end.state().size(); i += 2)
    empty += end.state()[i].second == "off" && end.state()[i + 1].second == "off" ? 1 : 0;
  if (empty == 0 && end.count(kSeenNobody) == 0) return {};
  return fmt::format("nobody is, in {} of {} shifts at the end; {} were seen so before", empty, end.rows() / 2,
                     end.count(kSeenNobody));
}

}  // namespace

Scenario isolation_write_skew() {
  return scenario("Two doctors go off call at once")
      .story(
          "Alice and Bob are on call. Each may leave while the other one stays. Both look at the same time, and both "
          "leave.")
      .given({{"alice", "on"}, {"bob", "on"}})
      .rows(10, shifts)

      .pattern("plain", "read the colleague's row, write one's own")
      .actor("T1", go_off_call, "alice", "bob")
      .actor("T2", go_off_call, "bob", "alice")
      .session(come_and_go<go_off_call>)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .expect("postgres-2", "*: anomaly")
      .expect("mariadb", "serializable: deadlock, *: anomaly")
      .why(
          "Each decides on a row that the other one is about to change, and writes a different row: no write "
          "conflicts.")
      .fix("lock every row that the decision rests on", "for-update")

      .pattern("for-update", "lock both rows, then decide")
      .actor("T1", lock_all_rows_read, "alice", "bob")
      .actor("T2", lock_all_rows_read, "bob", "alice")
      .session(come_and_go<lock_all_rows_read>)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("Locking what was read makes the read a conflict: T2 waits, then sees that Alice has left, and stays.")

      .holds("somebody is on call", nobody_on_call);
}

}  // namespace lockstep::scenarios
