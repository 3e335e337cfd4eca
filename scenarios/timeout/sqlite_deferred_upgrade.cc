// SQLite's deferred upgrade (SQLite manual, "BEGIN TRANSACTION" 2.2 and sqlite3_busy_handler): two deferred
// transactions have read, both want to write. The second one gets SQLITE_BUSY at once, however long its busy time-out
// is. It holds a read snapshot that the first one's commit would make stale (or waits for), so waiting could not help.
#include "scenarios/catalogue.h"
#include "scenarios/timeout/sqlite_visits.h"

namespace lockstep::scenarios {
namespace {

using sqlite_visits::kChanges;
using sqlite_visits::read_then_write;
using sqlite_visits::write_first;

}  // namespace

Scenario timeout_sqlite_deferred_upgrade() {
  return scenario("SQLite answers BUSY at once, although it was told to wait")
      .story(
          "Both connections may wait for two seconds. T1 and T2 read, T1 writes, and T2's write fails without any "
          "wait.")
      .given({{"visits", 0}})

      .pattern("plain", "read, then write, in one transaction")
      .actor("T1", read_then_write)
      .actor("T2", read_then_write)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2 T2 T2 T2")
      .tune("lock-timeout-ms", 2000)
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .why(
          "A reader that becomes a writer while another one writes would wait for ever or write on stale data: BUSY at "
          "once.",
          "abort")
      .fix("write first, or BEGIN IMMEDIATE: both wait for the write lock with nothing in hand", "write-first")

      .pattern("write-first", "the first statement writes")
      .actor("T1", write_first)
      .actor("T2", write_first)
      .schedule("T1 T1 T2 T2 T1 T2")
      .tune("lock-timeout-ms", 2000)
      .expect("sqlite", "*: clean")
      .why("T2 asks for the write lock before it has read anything: it waits for T1 and then reads what T1 wrote.")

      .holds("every acknowledged visit counts",
             [](const Final& end) { return end.number("visits") == end.count(kChanges); });
}

}  // namespace lockstep::scenarios
