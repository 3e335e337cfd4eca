// Statement time-out (PostgreSQL manual, 20.11, statement_timeout): a limit on the whole statement, whatever it spends
// its time on. It ends a slow statement and a wait for a lock alike, with 57014, and cannot tell the two apart.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> slow_statement(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("report", 1);
  co_await c.db.execute("select pg_sleep(2)");
  co_await c.db.commit();
}

Task<> short_statements(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("report", 1);
  co_await c.db.execute("select pg_sleep(0.005)");
  co_await c.db.execute("select pg_sleep(0.005)");
  co_await c.db.commit();
}

}  // namespace

Scenario timeout_statement_timeout() {
  return scenario("A statement takes longer than it may")
      .story("A report takes two seconds in one statement; the session allows 250 ms for each. Nobody else is there.")
      .given({{"report", 0}})

      .pattern("plain", "everything in one long statement")
      .actor("T1", slow_statement)
      .tune("statement-timeout-ms", 250)
      .tune("retries", 0)
      .expect("postgres", "*: timeout")
      .why("The server cancelled the statement after 250 ms, and with it the transaction: nothing of it is left.")
      .fix("do the work in statements that fit the limit", "in-parts")

      .pattern("in-parts", "the same work in short statements")
      .actor("T1", short_statements)
      .tune("statement-timeout-ms", 250)
      .tune("retries", 0)
      .expect("postgres", "*: clean")
      .why("The limit is on one statement, not on the transaction.")

      .holds("the report is whole or not there", [](const Final& end) { return end.number("report") <= 1; });
}

}  // namespace lockstep::scenarios
