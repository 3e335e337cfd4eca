// A cycle through foreign tables: each session speaks to one server, and that server to the other one on its behalf.
// The session of T1 on server 1 waits for an answer of server 2, which is no lock. The session that server 1 has opened
// there waits for a lock, and server 2 does not know for whom it works. So no server sees a cycle.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

/// On each server the rows of the other one as the table `far`. All of it goes with the schema of the run, where the
/// extension is.
const std::vector<std::string> foreign_tables{
    "create extension postgres_fdw", "create server other foreign data wrapper postgres_fdw options ($other_server)",
    "create user mapping for current_user server other options ($other_user)",
    "create foreign table far (k text, v text) server other options (schema_name '$other_schema', table_name 'kv')"};

Task<> pay_from_server_1(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("@1 update kv set v = v::int - 10 where k = 'A'");
  co_await c.db.execute("@1 update far set v = v::int + 10 where k = 'B'");
  co_await c.db.commit();
}

Task<> pay_from_server_2(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("@2 update kv set v = v::int - 20 where k = 'B'");
  co_await c.db.execute("@2 update far set v = v::int + 20 where k = 'A'");
  co_await c.db.commit();
}

/// A on server 1 first, as the other one does.
Task<> pay_from_server_2_in_order(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("@2 update far set v = v::int + 20 where k = 'A'");
  co_await c.db.execute("@2 update kv set v = v::int - 20 where k = 'B'");
  co_await c.db.commit();
}

}  // namespace

Scenario distributed_foreign_cycle() {
  return scenario("Two servers wait for each other through foreign tables")
      .story(
          "T1 works on server 1 and reaches B through a foreign table, T2 works on server 2 and reaches A so. Each has "
          "its own row and wants the other one.")
      .given({{"A", 100}, {"B", 100}})

      .pattern("plain", "each server looks at its own waits alone")
      .ddl(foreign_tables)
      .tune("joint-graph", "off")
      .actor("T1", pay_from_server_1)
      .actor("T2", pay_from_server_2)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "*: deadlock")
      .why(
          "Server 1 waits for an answer of server 2, which waits for a lock of T2, which waits for server 1 in the "
          "same "
          "way. A wait for an answer is no wait for a lock: nobody breaks it.")
      .fix("the rows in one order over both servers", "ordered")

      .pattern("joint-graph", "sessions that a server has opened on the other one count for whom they work")
      .ddl(foreign_tables)
      .actor("T1", pay_from_server_1)
      .actor("T2", pay_from_server_2)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres-2", "*: deadlock")
      .why(
          "The sessions between the servers bear the processes that they work for, so the graph over both has the "
          "cycle "
          "and T2 gives up.")
      .fix("the rows in one order over both servers", "ordered")

      .pattern("ordered", "the row on server 1 first, in both")
      .ddl(foreign_tables)
      .actor("T1", pay_from_server_1)
      .actor("T2", pay_from_server_2_in_order)
      .schedule("T1 T1 T2 T2 T1 T1 T2")
      .expect("postgres-2", "*: abort")
      .why(
          "T2 waits for T1 before it has locked anything. A foreign table is read at repeatable read at least, so what "
          "T2 then finds is newer than its snapshot, and it begins again.")

      .holds("no money comes or goes", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
