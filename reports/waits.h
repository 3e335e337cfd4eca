// waits.h: the waits between actors when the cycle closed (or, without a cycle, when the run got stuck).
#pragma once

#include <string>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::reports {

/// One wait: `from` wants `object`, which `to` holds. Names as in the run; not yet clean.
struct Want {
  std::string from, object, to;
  bool event = false;  ///< what is waited for is no thing but something to happen
  std::string wants_at = {},
              held_at = {};  ///< lines of the source, "file.cc:33": asked for it, took it; empty: not known
  bool says_all = false;     ///< `object` is the whole label: what is drawn are no waits
};

/// What stood when the first cycle closed; the edges of the cycle in its order, then other waits.
struct Waits {
  std::vector<Want> cycle;
  std::vector<Want> others;
  std::size_t more_cycles = 0;  ///< distinct ones that closed later
};

Waits waits_of(const record::Run& run);

}  // namespace lockstep::reports
