// A metadata lock behind an open transaction (MariaDB manual, "Metadata Locking"): a transaction keeps the definition
// of every table that it has used until it ends. An ALTER TABLE waits for that, and everybody who comes after the ALTER
// waits for the ALTER: readers too, who need no lock of a row.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> tables{"create table guest (id int primary key, name varchar(40)) engine=innodb",
                                      "insert into guest values (1, 'Anna')"};

Task<> read_and_dawdle(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select name from guest where id = 1");
  co_await c.db.commit();
}

Task<> read_then_write(Context& c) {
  co_await c.db.begin();
  co_await c.db.execute("select name from guest where id = 1");
  co_await c.db.execute("update guest set name = 'Anna B.' where id = 1");
  co_await c.db.commit();
}

Task<> alter(Context& c) { co_await c.db.execute("alter table guest add column room int"); }

Task<> alter_without_waiting(Context& c) { co_await c.db.execute("alter table guest nowait add column room int"); }

Task<> read(Context& c) { co_await c.db.execute("select name from guest where id = 1"); }

}  // namespace

Scenario innodb_metadata_lock() {
  return scenario("An ALTER TABLE waits for a reader, and the next reader for the ALTER")
      .story("T1 reads a row and leaves its transaction open. T2 adds a column. T3 only wants to read.")

      .pattern("plain", "alter table while a transaction is open")
      .ddl(tables)
      .actor("T1", read_and_dawdle)
      .actor("T2", alter)
      .actor("T3", read)
      .schedule("T1 T1 T2 T3 T1 T2 T3")
      .expect("mariadb", "*: clean")
      .why("T3 stood behind T2, and T2 behind T1: one open transaction held everybody up.")
      .fix("alter table … nowait: try again later rather than be in the way", "nowait")

      .pattern("reader-writes", "the reader writes below the waiting alter")
      .ddl(tables)
      .actor("T1", read_then_write)
      .actor("T2", alter)
      .schedule("T1 T1 T2 T1 T1 T2")
      .expect("mariadb", "*: deadlock")
      .why("T1 has the definition to read, and needs it to write; T2 stands before it in the queue and waits for T1.")
      .fix("alter table … nowait", "nowait")

      .pattern("nowait", "alter table … nowait")
      .ddl(tables)
      .actor("T1", read_and_dawdle)
      .actor("T2", alter_without_waiting)
      .actor("T3", read)
      .schedule("T1 T1 T2 T3 T1 T2 T3")
      .expect("mariadb", "*: timeout")
      .why("T2 gave up at once and came back later; T3 was not held up.")

      .holds("Anna is there", [](const Final& end) { return end.ask("select count(*) from guest") == 1; });
}

}  // namespace lockstep::scenarios
