// A queue in a table: two workers take the first job that is ready (PostgreSQL manual, SELECT, "The Locking Clause":
// SKIP LOCKED "can be used to avoid lock contention with multiple consumers accessing a queue-like table").
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

/// Takes the job off the queue and notes the worker that did it.
Task<> note_done(Context& c, std::string job) {
  co_await c.db.erase(job);
  co_await c.db.insert("done/" + c.name, job);
  co_await c.db.commit();
}

/// Takes the job off and puts a new one at the end. So under load the queue keeps its length.
Task<> put_next(Context& c, std::string job) {
  // By age, then by session: later than every job that is there, and no other session's.
  const std::string next = fmt::format("ready/{:010}-{:05}", ++c.serial + 1, c.index);
  co_await c.db.erase(job);
  co_await c.db.insert(next, "job");
  co_await c.db.commit();
}

template <auto finish>
Task<> take(Context& c, Table job) {
  if (job.empty()) {
    c.note("the queue is empty");
    co_return;
  }
  co_await finish(c, *job[0][0]);
}

template <auto finish>
Task<> naive(Context& c) {
  co_await c.db.begin();
  Table job = co_await c.db.scan("ready/", "ready0", 1);
  co_await take<finish>(c, std::move(job));
}

template <auto finish>
Task<> for_update(Context& c) {
  co_await c.db.begin();
  Table job = co_await c.db.scan_for_update("ready/", "ready0", 1);
  co_await take<finish>(c, std::move(job));
}

template <auto finish>
Task<> skip_locked(Context& c) {
  co_await c.db.begin();
  Table job = co_await c.db.execute(
      "select k from kv where k >= 'ready/' and k < 'ready0' order by k limit 1 for update skip locked");
  co_await take<finish>(c, std::move(job));
}

State jobs(const Shape& shape) {
  State state;
  for (std::uint64_t i = 0; i < shape.rows; ++i) state.emplace_back(fmt::format("ready/{:010}-{:05}", 1, i), "job");
  return state;
}

/// A job that is done has left the queue, and stands among those that are done or has a successor.
std::string jobs_differ(const Final& end) {
  const std::int64_t wanted = end.rows_at_start(), rows = end.rows();
  if (rows == wanted) return {};
  return rows > wanted ? fmt::format("{} rows instead of {}: {} done twice", rows, wanted, rows - wanted)
                       : fmt::format("{} rows instead of {}: {} lost", rows, wanted, wanted - rows);
}

}  // namespace

Scenario queue_work_queue() {
  return scenario("Two workers take the same job")
      .story("Three jobs are ready. Two workers each look for the first one, take it off the queue and do it.")
      .given({{"ready/1", "print"}, {"ready/2", "mail"}, {"ready/3", "archive"}})
      .rows(500, jobs)
      .takes_rows_in_order()

      .pattern("naive", "select the first job, then delete it")
      .actor("T1", naive<note_done>)
      .actor("T2", naive<note_done>)
      .session(naive<put_next>)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why(
          "Both found job 1. T2's delete touched no row, since T1 had deleted it; nobody looked, and the job was done "
          "twice.")
      .fix("lock the job with the read that finds it", "for-update")

      .pattern("for-update", "select the first job for update")
      .actor("T1", for_update<note_done>)
      .actor("T2", for_update<note_done>)
      .session(for_update<put_next>)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "read-uncommitted: clean, read-committed: clean, *: deadlock")
      .why("T2 waits for the job that T1 is doing, although others are ready: right, but one job at a time.", "clean")
      .why("T2 waits for job 1 and for the gap before it; T1 then inserts into that gap, and waits for T2.",
           "mariadb deadlock")
      .fix("pass over the jobs that others have", "skip-locked")

      .pattern("skip-locked", "select the first job that nobody has")
      .actor("T1", skip_locked<note_done>)
      .actor("T2", skip_locked<note_done>)
      .session(skip_locked<put_next>)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("postgres", "serializable: abort, *: clean")
      .expect("mariadb", "*: clean")
      .why(
          "T2 passes over job 1, which T1 has, and takes job 2: no wait. (Serializable still counts two scans of one "
          "index page "
          "as a conflict: a false alarm that costs a retry.)",
          "clean, abort")

      .holds("no job is done twice",
             [](const Final& end) { return end["done/T1"] != end["done/T2"] || !end.exists("done/T1"); })
      .holds("no job is lost, and none is there twice", jobs_differ);
}

}  // namespace lockstep::scenarios
