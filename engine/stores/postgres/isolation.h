// isolation.h: PostgreSQL's isolation specs, with the text of its own tool (src/test/isolation/README in its sources).
//
// A step is launched by itself and then tried: until its results are there, or until the server says that its session
// waits for a lock of another session of the spec. Then all that wait are tried once, in the order in which they began
// to wait. Of one run with the same answers there is one text.
#pragma once

#include "engine/store/isolation.h"

namespace lockstep::postgres {

/// See RunIsolationSpec.
Result<int> run_isolation_spec(const IsolationSpec& spec, const IsolationOptions& options);

}  // namespace lockstep::postgres
