// SQLite's rollback journal (SQLite manual, "File Locking And Concurrency", 3): COMMIT needs the file for itself. So a
// reader that takes its time makes a writer's COMMIT fail with SQLITE_BUSY. With a WAL, readers and the writer do not
// meet.
#include "engine/actor/pause.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using std::chrono::milliseconds;

Task<> long_report(Context& c) {
  co_await c.db.begin();
  co_await c.db.read("visits");
  co_await pause(milliseconds(120));
  co_await c.db.commit();
}

Task<> short_report(Context& c) {
  co_await c.db.begin();
  co_await c.db.read("visits");
  co_await c.db.commit();
  co_await pause(milliseconds(120));
}

Task<> count_a_visit(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("visits", 1);
  co_await c.db.commit();
}

}  // namespace

Scenario timeout_sqlite_reader_blocks_commit() {
  return scenario("A reader makes a writer's COMMIT fail")
      .story("T1 reads and keeps its transaction open for 120 ms. T2 writes and commits, and waits at most 50 ms.")
      .given({{"visits", 0}})

      .pattern("plain", "the report keeps its transaction open while it is printed")
      .actor("T1", long_report)
      .actor("T2", count_a_visit)
      .schedule("T1 T1 T1 T2 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("sqlite", "deferred-wal: clean, *: timeout")
      .why(
          "The reader's SHARED lock keeps the writer from EXCLUSIVE, or its IMMEDIATE lock keeps the writer from "
          "beginning.")
      .fix("end the reading transaction before doing something slow, or use a WAL", "short-report")

      .pattern("short-report", "the report ends its transaction, then it is printed")
      .actor("T1", short_report)
      .actor("T2", count_a_visit)
      .schedule("T1 T1 T1 T1 T2 T2 T2")
      .tune("lock-timeout-ms", 50)
      .expect("sqlite", "*: clean")
      .why("The lock is held for as long as the data are read, and no longer.")

      .holds("the visit counts", [](const Final& end) { return end.number("visits") == 1; });
}

}  // namespace lockstep::scenarios
