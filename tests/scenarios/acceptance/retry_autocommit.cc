// A statement outside a transaction has committed; the body then loses a deadlock. It must not be run again from its
// begin: somebody would be charged twice.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> charge_then_move(Context& c, std::string first, std::string second) {
  const std::string charge = "insert into charges values ('" + c.name + "')";
  const std::string one = "update accounts set n = n + 1 where id = " + first;
  const std::string two = "update accounts set n = n + 1 where id = " + second;
  co_await c.db.execute(charge);  // autocommit
  co_await c.db.begin();
  co_await c.db.execute(one);
  co_await c.db.execute(two);
  co_await c.db.commit();
}

const std::vector<std::string> tables{
    "create table charges (who text)",
    "create table accounts (id int primary key, n int)",
    "insert into accounts values (1, 0), (2, 0)",
};

}  // namespace

Scenario cases_retry_autocommit() {
  return scenario("A charge is committed alone, then a deadlock, then a retry")
      .pattern("plain", "autocommit, then a transaction")
      .ddl(tables)
      .actor("T1", charge_then_move, "1", "2")
      .actor("T2", charge_then_move, "2", "1")
      .schedule("T1 T2 T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: deadlock")
      .holds("everybody is charged once",
             [](const Final& end) { return end.ask("select count(*) from charges") == 2; });
}

}  // namespace lockstep::scenarios
