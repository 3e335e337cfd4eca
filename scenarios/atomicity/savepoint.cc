// Savepoints (SQL:1999; PostgreSQL manual, 3.4 "Transactions"): take back a part and keep the rest. PostgreSQL gives up
// the whole transaction after any error; a savepoint before the risky part saves what came before it.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"order/7", "voucher/X"};

Task<> use_voucher(Context& c) { co_await c.db.insert("voucher/X", "order/7"); }

Task<> place(Context& c, bool at_the_full_price) {
  if (at_the_full_price) co_await c.db.write("order/7", "pen, at the full price");
  co_await c.db.commit();
}

Task<> hope(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.insert("order/7", "pen");
  const auto used = co_await tried(use_voucher(c));
  const auto placed = co_await tried(place(c, !used.ok()));
  if (!placed) c.note("tells the customer to try again: " + placed.error().message);
}

Task<> with_savepoint(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.insert("order/7", "pen");
  co_await c.db.savepoint("before_voucher");
  const auto used = co_await tried(use_voucher(c));
  if (!used) {
    co_await c.db.rollback_to("before_voucher");
    co_await c.db.write("order/7", "pen, at the full price");
  }
  co_await c.db.commit();
}

}  // namespace

Scenario atomicity_savepoint() {
  return scenario("A voucher is refused, and the order shall stay")
      .story("An order is placed with a voucher that was used before. The order shall stay, at the full price.")
      .given({{"voucher/X", "order/3"}})

      .pattern("plain", "go on after the failed statement")
      .actor("T1", hope)
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: anomaly")
      .expect("mariadb", "*: clean")
      .why(
          "PostgreSQL refuses every statement after an error (25P02): the order is gone. kv and SQLite undo only the "
          "statement.")
      .fix("set a savepoint before what may fail", "savepoint")

      .pattern("savepoint", "roll back to the savepoint, then go on")
      .actor("T1", with_savepoint)
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("Rolling back to the savepoint undoes the failed part alone and lets the transaction go on.")

      .holds("the order is placed", [](const Final& end) { return end.exists("order/7"); });
}

}  // namespace lockstep::scenarios
