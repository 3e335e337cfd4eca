// YCSB's shapes (Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010): reads and updates of single
// records, a transaction each. --read 50 is workload A, --read 95 is B, --read 100 is C; --theta 0.99 its Zipf. The
// pattern read-modify-write is workload F.
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kUpdates };

Task<> read_one(Context& c, std::string record) {
  const std::vector<std::string> claims{record};
  co_await c.db.begin(claims);
  (void)co_await c.db.read(record);
  co_await c.db.commit();
}

Task<> read_or_update(Context& c) {
  const std::string record = key_of("user", c.choose());
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

Task<> read_modify_write(Context& c) {
  const std::string record = key_of("user", c.choose());
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

Scenario ycsb_mixed() {
  return scenario("Reads and updates of single records, as in YCSB")
      .story("Clients read and update single records; a few of these are asked for far more often than the others.")
      .rows(10000, [](const Shape& shape) { return numbered("user", shape.rows, "0"); })
      .reads(50)
      .pattern("update", "an update is one statement (YCSB A, B, C)")
      .session(read_or_update)
      .why("An update in one statement leaves no time between what it reads and what it writes.")
      .pattern("read-modify-write", "an update reads for update, then writes (YCSB F)")
      .session(read_modify_write)
      .why("The read says that a write will follow, so no update is lost between the two.")
      .holds("every acknowledged update counts", [](const Final& end) {
        const std::int64_t updates = end.count(kUpdates);
        const std::int64_t total = end.total("user");
        return total == updates ? std::string() : fmt::format("{} acknowledged, {} found", updates, total);
      });
}

}  // namespace lockstep::scenarios
