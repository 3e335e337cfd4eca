// sqlite_visits.h: a counter of visits, raised by a transaction that reads first and by one that writes first.
#pragma once

#include <atomic>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios::sqlite_visits {

struct Acknowledged {
  std::atomic<int> changes = 0;
};

inline Task<> read_then_write(Context& c) {
  co_await c.db.begin();
  const std::int64_t visits = co_await c.db.read("visits");
  co_await c.db.write("visits", visits + 1);
  co_await c.db.commit();
  ++c.world<Acknowledged>().changes;
}

inline Task<> write_first(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("visits", 1);
  co_await c.db.commit();
  ++c.world<Acknowledged>().changes;
}

}  // namespace lockstep::scenarios::sqlite_visits
