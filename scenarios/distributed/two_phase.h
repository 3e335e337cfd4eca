// two_phase.h: two-phase commit over two servers, step by step, as a coordinator does it. Keys whose last letter is odd
// (A, C) lie on server 1, the others (B, D) on server 2.
#pragma once

#include <array>
#include <string>

#include "engine/scenario/scenario.h"

namespace lockstep::scenarios::distributed {

/// Both servers promise to commit: what they have prepared outlives the session, and keeps its locks.
inline Task<> prepare_both(Context& c, std::string name) {
  const std::string first = "@1 prepare transaction '" + name + "'", second = "@2 prepare transaction '" + name + "'";
  co_await c.db.execute(first);
  co_await c.db.execute(second);
}

/// From here on the transaction is committed, whatever happens to the coordinator.
inline Task<> decide(Context& c, std::string name) {
  const std::string decision = "@1 insert into coordinator_log (name) values ('" + name + "')";
  co_await c.db.execute(decision);
}

inline Task<> end_both(Context& c, std::string name, bool commits) {
  const std::string verb = commits ? "commit" : "rollback";
  const std::string first = "@1 " + verb + " prepared '" + name + "'",
                    second = "@2 " + verb + " prepared '" + name + "'";
  co_await c.db.execute(first);
  co_await c.db.execute(second);
}

}  // namespace lockstep::scenarios::distributed
