// A hot row under load: every transaction adds one to one of a few counters. With one row (the default) they all meet.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kVisits };

Task<> one_statement(load::LoadContext& c) {
  const std::string row = load::key_of("visits/", c.choose());
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  co_await c.db.add(row, 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

/// Read, add one, write: the update is lost where nobody looks whether somebody else wrote in between.
Task<> read_then_write(load::LoadContext& c) {
  const std::string row = load::key_of("visits/", c.choose());
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read(row);
  co_await c.db.write(row, seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

Task<> lock_then_write(load::LoadContext& c) {
  const std::string row = load::key_of("visits/", c.choose());
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read_for_update(row);
  co_await c.db.write(row, seen + 1);
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

Task<> version_check(load::LoadContext& c) {
  const std::string row = load::key_of("visits/", c.choose());
  const std::vector<std::string> claims{row};
  co_await c.db.begin(claims);
  const std::int64_t seen = co_await c.db.read(row);
  const std::int64_t touched = co_await c.db.write_if(row, seen, seen + 1);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else was faster");
  co_await c.db.commit();
  ++c.acknowledged[kVisits];
}

}  // namespace

load::Workload money_hot_counter() {
  return load::workload("Everybody is counted in one row")
      .rows(1, [](const load::Shape& shape) { return load::numbered("visits/", shape.rows, "0"); })
      .pattern("plain", "visits = visits + 1", one_statement)
      .pattern("for-update", "read for update, then write", lock_then_write)
      .pattern("version-check", "read, then write if unchanged", version_check)
      .pattern("read-then-write", "read, then write what was read plus one", read_then_write)
      .unsafe_at({"postgres/read-committed"})
      .holds("every acknowledged visit counts", [](const load::Settled& end) {
        const std::int64_t visits = end.counts[kVisits];
        const std::int64_t total = end.total("visits/");
        return total == visits ? std::string()
                               : fmt::format("{} acknowledged, {} counted: {} lost", visits, total, visits - total);
      });
}

}  // namespace lockstep::scenarios::under_load
