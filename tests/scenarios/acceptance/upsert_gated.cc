// Two upserts with a gate inside the statement (an advisory lock that a third actor holds), since a schedule has no
// step within a statement.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> upsert(Context& c, std::string first, std::string second) {
  const std::string sql = "insert into accounts (account_id, amount) values (" + first + ", 0), (" + second +
                          ", gate()) on conflict (account_id) do update set amount = accounts.amount + 1";
  co_await c.db.begin();
  co_await c.db.execute(sql);
  co_await c.db.commit();
}

Task<> gate(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select pg_advisory_xact_lock('kv'::regclass::int, 9)");
  co_await c.db.commit();
}

const std::vector<std::string> tables{
    "create table accounts (account_id int primary key, amount int not null)",
    "insert into accounts values (1, 0), (2, 0)",
    "create function gate() returns int language plpgsql volatile as $$ begin perform "
    "pg_advisory_xact_lock_shared('kv'::regclass::int, 9); return 0; end $$",
};

}  // namespace

Scenario cases_upsert_gated() {
  return scenario("Two multi-row upserts name the same rows in opposite order; a gate holds both after their first row")
      .pattern("plain", "each in an order of its own")
      .ddl(tables)
      .actor("gate", gate)
      .actor("A", upsert, "1", "2")
      .actor("B", upsert, "2", "1")
      .schedule("gate gate A A B B gate")
      .expect("postgres", "*: deadlock")
      .pattern("sorted", "both in one order")
      .ddl(tables)
      .actor("gate", gate)
      .actor("A", upsert, "1", "2")
      .actor("B", upsert, "1", "2")
      .schedule("gate gate A A B B gate")
      .expect("postgres", "read-committed: clean, *: abort")
      .holds("every upsert counts", [](const Final& end) { return end.ask("select sum(amount) from accounts") == 4; });
}

}  // namespace lockstep::scenarios
