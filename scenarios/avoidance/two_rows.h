// two_rows.h: the bodies of the scenarios that avoid a deadlock over the rows A and B.
#pragma once

#include <string>
#include <vector>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios::two_rows {

inline const std::vector<std::string> claims{"A", "B"};

/// Adds one to both rows, in the order given.
inline Task<> add_to_both(Context& c, std::string first, std::string second) {
  co_await c.db.begin(claims);
  co_await c.db.add(first, 1);
  co_await c.db.add(second, 1);
  co_await c.db.commit();
}

inline Task<> add_to_one(Context& c, std::string row) {
  co_await c.db.begin(claims);
  co_await c.db.add(row, 1);
  co_await c.db.commit();
}

}  // namespace lockstep::scenarios::two_rows
