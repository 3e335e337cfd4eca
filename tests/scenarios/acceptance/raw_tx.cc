// What somebody pastes from a psql session: begin and commit as SQL; an error caught, the transaction used on. Whether
// a transaction is open is what the session says, so a retry begins outside of one.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> pasted(Context& c, std::string first, std::string second) {
  const std::string one = "update accounts set n = n + 1 where id = " + first;
  const std::string two = "update accounts set n = n + 1 where id = " + second;
  co_await c.db.execute("begin isolation level repeatable read");
  co_await c.db.execute(one);
  co_await c.db.execute(two);
  co_await c.db.execute("commit");
}

Task<> bad(Context& c) { co_await c.db.execute("insert into accounts values (1, 0)"); }

Task<> goes_on(Context& c) {
  co_await c.db.begin();
  (void)co_await tried(bad(c));
  co_await c.db.execute("update accounts set n = n + 1 where id = 2");
  co_await c.db.commit();
}

const std::vector<std::string> tables{
    "create table accounts (id int primary key, n int)",
    "insert into accounts values (1, 0), (2, 0)",
};

}  // namespace

Scenario cases_raw_tx() {
  return scenario("SQL as it was pasted")
      .pattern("ordered", "begin and commit as SQL, one order")
      .ddl(tables)
      .actor("T1", pasted, "1", "2")
      .actor("T2", pasted, "1", "2")
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("postgres", "*: abort")
      .pattern("crossed", "begin and commit as SQL, opposite order")
      .ddl(tables)
      .actor("T1", pasted, "1", "2")
      .actor("T2", pasted, "2", "1")
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("postgres", "*: deadlock")
      .pattern("goes-on", "an error is caught and the transaction goes on")
      .ddl(tables)
      .actor("T1", goes_on)
      .expect("postgres", "*: abort");
}

}  // namespace lockstep::scenarios
