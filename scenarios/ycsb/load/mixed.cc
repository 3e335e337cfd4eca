// YCSB's shapes (Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010): reads and updates of single
// records, a transaction each. --read 50 is workload A, --read 95 is B, --read 100 is C; --theta 0.99 its Zipf. The
// pattern read-modify-write is workload F.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kUpdates };

Task<> read_one(load::LoadContext& c, std::string record) {
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  (void)co_await c.db.read(record);
  co_await c.db.commit();
}

Task<> read_or_update(load::LoadContext& c) {
  const std::string record = load::key_of("user", c.choose());
  if (c.reads()) {
    co_await read_one(c, record);
    co_return;
  }
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  co_await c.db.add(record, 1);
  co_await c.db.commit();
  ++c.acknowledged[kUpdates];
}

Task<> read_modify_write(load::LoadContext& c) {
  const std::string record = load::key_of("user", c.choose());
  if (c.reads()) {
    co_await read_one(c, record);
    co_return;
  }
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  const std::int64_t version = co_await c.db.read_for_update(record);
  co_await c.db.write(record, version + 1);
  co_await c.db.commit();
  ++c.acknowledged[kUpdates];
}

}  // namespace

load::Workload ycsb_mixed() {
  return load::workload("Reads and updates of single records, as in YCSB")
      .rows(10000, [](const load::Shape& shape) { return load::numbered("user", shape.rows, "0"); })
      .reads(50)
      .pattern("update", "an update is one statement (YCSB A, B, C)", read_or_update)
      .pattern("read-modify-write", "an update reads for update, then writes (YCSB F)", read_modify_write)
      .holds("every acknowledged update counts", [](const load::Settled& end) {
        const std::int64_t updates = end.counts[kUpdates];
        const std::int64_t total = end.total("user");
        return total == updates ? std::string() : fmt::format("{} acknowledged, {} found", updates, total);
      });
}

}  // namespace lockstep::scenarios::under_load
