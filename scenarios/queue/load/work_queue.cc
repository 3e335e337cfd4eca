// A queue in a table under load. Every transaction takes the first ready job off the queue and puts a new one at its
// end. So the queue keeps its length.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kDone };

/// Takes the job off, puts a new one at the end.
Task<> take(load::LoadContext& c, Table job) {
  if (job.empty()) co_await fail(Fault::refused);
  const std::string key = *job[0][0];
  // By age, then by session: later than every job that is there, and no other session's.
  const std::string next = fmt::format("ready/{:010}-{:05}", ++c.serial + 1, c.session);
  co_await c.db.erase(key);
  co_await c.db.insert(next, "job");
  co_await c.db.commit();
  ++c.acknowledged[kDone];
}

Task<> naive(load::LoadContext& c) {
  co_await c.db.begin();
  Table job = co_await c.db.scan("ready/", "ready0", 1);
  co_await take(c, std::move(job));
}

Task<> for_update(load::LoadContext& c) {
  co_await c.db.begin();
  Table job = co_await c.db.scan_for_update("ready/", "ready0", 1);
  co_await take(c, std::move(job));
}

Task<> skip_locked(load::LoadContext& c) {
  co_await c.db.begin();
  Table job = co_await c.db.execute(
      "select k from kv where k >= 'ready/' and k < 'ready0' order by k limit 1 for update skip locked");
  co_await take(c, std::move(job));
}

State jobs(const load::Shape& shape) {
  State state;
  for (std::uint64_t i = 0; i < shape.rows; ++i) state.emplace_back(fmt::format("ready/{:010}-{:05}", 1, i), "job");
  return state;
}

}  // namespace

load::Workload queue_work_queue() {
  return load::workload("Workers take jobs off a queue")
      .rows(500, jobs)
      .takes_rows_in_order()
      .pattern("skip-locked", "select the first job that nobody has", skip_locked)
      .only_on({"postgres"})
      .pattern("for-update", "select the first job for update", for_update)
      .pattern("naive", "select the first job, then delete it", naive)
      .unsafe_at({"postgres/read-committed"})
      .holds("no job is done twice, none is lost", [](const load::Settled& end) {
        const std::int64_t ready = end.rows("ready/");
        const auto wanted = static_cast<std::int64_t>(end.shape.rows);
        return ready == wanted
                   ? std::string()
                   : fmt::format("{} jobs are ready instead of {}: {} done twice", ready, wanted, ready - wanted);
      });
}

}  // namespace lockstep::scenarios::under_load
