// registry.h: how a run stands, as plain data at a fixed place, for debuggers. They read it on a live process, an
// attached one and a core file alike.
//
// The conductor writes it before every step while a debugger is awaited; coroutines write all the time (coroutines.h).
// Its layout: layout/registry_layout.h.
#pragma once

#include "engine/actor/run_observer.h"
#include "engine/gdb/layout/registry_layout.h"

namespace lockstep::debugging {

/// The observer that writes how a run stands into the registry. There is one once this process was asked to be
/// debugged: LOCKSTEP_DEBUG=STEP in the environment (STEP is where to stop first), or hold_at_cycles(). Else nullptr.
/// It stops where that was asked for, and answers with `forced`.
RunObserver* awaited() noexcept;

/// Makes every run of this process stand still at its first cycle of waits, so that a debugger can be attached
/// (PR_SET_PTRACER_ANY), until ^C. `script`: where lockstep.py lies, for the command that is printed.
void hold_at_cycles(const char* script);

}  // namespace lockstep::debugging

extern "C" {
/// How the run stands.
extern lockstep::debugging::Registry lockstep_registry;
/// Does nothing: the place for a breakpoint.
void lockstep_stop();
}
