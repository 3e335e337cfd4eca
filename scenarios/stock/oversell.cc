// Overselling: check, then act (time of check to time of use; Fowler, "Patterns of Enterprise Application
// Architecture", 2002, ch. 5 and 16). One piece is left and two customers order it at once. Four ways to mend it, from
// the dearest to the cheapest.
#include "scenarios/stock/order_or_return.h"

namespace lockstep::scenarios {
namespace {

Task<> take_after_check(Context& c, std::string item, std::int64_t left) {
  if (left < 1) {
    c.note("none is left");
    co_return;
  }
  const std::int64_t now = co_await c.db.add(item, -1);
  co_await c.db.commit();
  ++c.acknowledged[kSold];
  c.acknowledged[kOversold] += now < 0 ? 1 : 0;
}

Task<> check_then_act(Context& c, std::string item) {
  const std::vector<std::string> claims{item};
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read(item);
  co_await take_after_check(c, item, left);
}

Task<> lock_then_check(Context& c, std::string item) {
  const std::vector<std::string> claims{item};
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read_for_update(item);
  co_await take_after_check(c, item, left);
}

Task<> act_if_unchanged(Context& c, std::string item) {
  const std::vector<std::string> claims{item};
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read(item);
  if (left < 1) {
    c.note("none is left");
    co_return;
  }
  const std::int64_t touched = co_await c.db.write_if(item, left, left - 1);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else took one");
  co_await c.db.commit();
  ++c.acknowledged[kSold];
}

/// update … set left = left - 1 where left >= 1
Task<> check_in_the_statement(Context& c, std::string item) {
  const std::vector<std::string> claims{item};
  co_await c.db.begin(claims);
  const std::int64_t touched = co_await c.db.add_if(item, -1, 0);
  if (touched == 0) {
    c.note("none is left");
    co_return;
  }
  co_await c.db.commit();
  ++c.acknowledged[kSold];
}

Task<> take_one(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("update stock set pieces = pieces - 1 where item = 'widget'");
  co_await c.db.commit();
}

Task<> let_the_constraint_decide(Context& c) { co_await handled(c, take_one(c)); }

}  // namespace

Scenario stock_oversell() {
  return scenario("The last piece is sold twice")
      .story("One widget is left. Two customers check that there is one, and both take it.")
      .given({{"stock/widget", 1}})
      .rows(100, [](const Shape& shape) { return numbered("stock/", shape.rows, "5"); })

      .pattern("plain", "check that there is one, then take it")
      .actor("T1", check_then_act, "stock/widget")
      .actor("T2", check_then_act, "stock/widget")
      .session(order_or_return<check_then_act>)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why(
          "Between the check and the act of T2, T1 took the last one. The check was right when it was made, not when "
          "it was used.")
      .fix("let one statement check and act", "conditional-update")

      .pattern("for-update", "the check locks the row")
      .actor("T1", lock_then_check, "stock/widget")
      .actor("T2", lock_then_check, "stock/widget")
      .session(order_or_return<lock_then_check>)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2's check waits until T1 has committed, and then says: none left.")

      .pattern("version-check", "take it only if the number is still the one that was read")
      .actor("T1", act_if_unchanged, "stock/widget")
      .actor("T2", act_if_unchanged, "stock/widget")
      .session(order_or_return<act_if_unchanged>)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: abort")
      .expect("mariadb", "serializable: deadlock, *: abort")
      .why("T2's write touches no row, because the number has changed; it reads again, and none is left.",
           "version_changed")
      .fix("where reads lock, let one statement check and act", "conditional-update")

      .pattern("conditional-update", "one statement checks and takes")
      .actor("T1", check_in_the_statement, "stock/widget")
      .actor("T2", check_in_the_statement, "stock/widget")
      .session(order_or_return<check_in_the_statement>)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("The store checks the row that it changes, with the row locked: T2's statement touches no row.")

      .pattern("check-constraint", "the table itself forbids less than none")
      .ddl({"create table stock (item text primary key, pieces bigint not null check (pieces >= 0))",
            "insert into stock values ('widget', 1)"})
      .actor("T1", let_the_constraint_decide)
      .actor("T2", let_the_constraint_decide)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("The second update is refused by the CHECK constraint, whatever the application thought.")

      .holds("stock never below zero", oversold)
      .holds("no piece appears or vanishes", pieces_differ);
}

}  // namespace lockstep::scenarios
