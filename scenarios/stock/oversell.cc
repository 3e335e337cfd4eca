// Overselling: check, then act (time of check to time of use; Fowler, "Patterns of Enterprise Application
// Architecture", 2002, ch. 5 and 16). One piece is left and two customers order it at once. Four ways to mend it, from
// the dearest to the cheapest.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"stock/widget"};

Task<> check_then_act(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read("stock/widget");
  if (left < 1) {
    c.note("no widget left");
    co_return;
  }
  co_await c.db.add("stock/widget", -1);
  co_await c.db.commit();
}

Task<> lock_then_check(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read_for_update("stock/widget");
  if (left < 1) {
    c.note("no widget left");
    co_return;
  }
  co_await c.db.add("stock/widget", -1);
  co_await c.db.commit();
}

Task<> act_if_unchanged(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t left = co_await c.db.read("stock/widget");
  if (left < 1) {
    c.note("no widget left");
    co_return;
  }
  const std::int64_t touched = co_await c.db.write_if("stock/widget", left, left - 1);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else took one");
  co_await c.db.commit();
}

/// update … set left = left - 1 where left >= 1
Task<> check_in_the_statement(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t touched = co_await c.db.add_if("stock/widget", -1, 0);
  if (touched == 0) {
    c.note("no widget left");
    co_return;
  }
  co_await c.db.commit();
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

      .pattern("plain", "check that there is one, then take it")
      .actor("T1", check_then_act)
      .actor("T2", check_then_act)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .why(
          "Between the check and the act of T2, T1 took the last one. The check was right when it was made, not when "
          "it was used.")
      .fix("let one statement check and act", "conditional-update")

      .pattern("for-update", "the check locks the row")
      .actor("T1", lock_then_check)
      .actor("T2", lock_then_check)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("T2's check waits until T1 has committed, and then says: none left.")

      .pattern("version-check", "take it only if the number is still the one that was read")
      .actor("T1", act_if_unchanged)
      .actor("T2", act_if_unchanged)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: abort")
      .why("T2's write touches no row, because the number has changed; it reads again, and none is left.",
           "version_changed")
      .fix("where reads lock, let one statement check and act", "conditional-update")

      .pattern("conditional-update", "one statement checks and takes")
      .actor("T1", check_in_the_statement)
      .actor("T2", check_in_the_statement)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
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

      .holds("stock never below zero", [](const Final& end) {
        return end.number("stock/widget") >= 0 && end.ask("select count(*) from stock where pieces < 0") <= 0;
      });
}

}  // namespace lockstep::scenarios
