// SQLite's stale snapshot (SQLite manual, "Isolation In SQLite" and SQLITE_BUSY_SNAPSHOT): in WAL mode a reader keeps
// its snapshot while others commit. When it then wants to write, its snapshot is no longer the newest, and no waiting
// will make it so.
#include "scenarios/catalogue.h"
#include "scenarios/timeout/sqlite_visits.h"

namespace lockstep::scenarios {
namespace {

using sqlite_visits::kChanges;
using sqlite_visits::read_then_write;
using sqlite_visits::write_first;

}  // namespace

Scenario timeout_sqlite_stale_snapshot() {
  return scenario("SQLite refuses to write on an old snapshot")
      .story("T1 reads. T2 begins, writes and commits. T1 then writes what it computed from the value before.")
      .given({{"visits", 0}})

      .pattern("plain", "T1 reads, T2 commits, T1 writes")
      .actor("T1", read_then_write)
      .actor("T2", write_first)
      .schedule("T1 T1 T2 T2 T2 T1")
      .tune("lock-timeout-ms", 2000)
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .why(
          "T1's snapshot is from before T2's commit: with a WAL it gets BUSY_SNAPSHOT, with a rollback journal BUSY, "
          "both at once.",
          "abort")
      .fix("write first, or BEGIN IMMEDIATE", "write-first")

      .pattern("write-first", "T1 reads and writes in one statement")
      .actor("T1", write_first)
      .actor("T2", write_first)
      .schedule("T1 T1 T2 T2 T2 T1")
      .tune("lock-timeout-ms", 2000)
      .expect("sqlite", "*: clean")
      .why("The write lock comes before the snapshot, so the snapshot is the newest.")

      .holds("every acknowledged visit counts",
             [](const Final& end) { return end.number("visits") == end.count(kChanges); });
}

}  // namespace lockstep::scenarios
