// signals.h: ^C and its kin end a run in order: the first asks it to stop, the second ends the program at once. A
// private PostgreSQL server goes with the program either way (engine/stores/postgres/supervisor.h).
#pragma once

#include "engine/actor/run_state.h"

namespace lockstep::cli {

/// Set by SIGINT, SIGTERM and SIGHUP once install_signals() was called.
StopSource& stop_source() noexcept;

/// Also makes a reader that has gone an error of write() instead of a death by SIGPIPE.
void install_signals();

}  // namespace lockstep::cli
