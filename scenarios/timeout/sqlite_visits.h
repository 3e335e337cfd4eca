// sqlite_visits.h: a counter of visits, raised by a transaction that reads first and by one that writes first.
#pragma once

#include "scenarios/catalogue.h"

namespace lockstep::scenarios::sqlite_visits {

enum : std::size_t { kChanges };

inline Task<> read_then_write(Context& c) {
  co_await c.db.begin();
  const std::int64_t visits = co_await c.db.read("visits");
  co_await c.db.write("visits", visits + 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

inline Task<> write_first(Context& c) {
  co_await c.db.begin();
  co_await c.db.add("visits", 1);
  co_await c.db.commit();
  ++c.acknowledged[kChanges];
}

}  // namespace lockstep::scenarios::sqlite_visits
