// registry.h: how a run stands, as plain data at a fixed place, for debuggers. They read it on a live process, an
// attached one and a core file alike.
//
// The conductor writes it before every step while a debugger is awaited; coroutines write all the time (coroutines.h).
// engine/gdb/lockstep.py reads it as bytes: no debug information, no call into the program, no frame of libc. The
// layout is versioned; a change of it is a change of kVersion and of the script.
#pragma once

#include <cstdint>

#include "engine/actor/run_observer.h"

namespace lockstep::debugging {

inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint32_t kActors = 32;
inline constexpr std::uint32_t kLocks = 64;
inline constexpr std::uint32_t kEdges = 128;
inline constexpr std::uint32_t kLines = 512;

/// Texts end with a zero byte; what does not fit is cut.
struct ActorEntry {
  char name[32];
  char state[16];   ///< "ready", "waits", "finished", "not started"
  char doing[112];  ///< its next operation, or the one it waits in: "lock B"
  char waits[112];  ///< "T2 (exclusive lock)"; empty when it does not wait
};

struct LockEntry {
  char name[48];
  char how[48];     ///< "T1 exclusive"
  char where[112];  ///< file:line that took it; empty for a lock of a store
};

struct EdgeEntry {
  char from[32];
  char to[32];
  char object[64];
};

struct LineEntry {
  char text[160];
};

struct Registry {
  char magic[16];         ///< "LOCKSTEP-RUN"
  std::uint32_t version;  ///< kVersion
  std::uint32_t size;     ///< of this structure, in bytes
  std::uint32_t step;     ///< how many steps of the schedule have been taken
  std::uint32_t stop_at;  ///< lockstep_stop() is called when so many have been; written by the debugger too
  std::int32_t forced;    ///< the actor that goes next whatever the schedule says, -1 for none; written by the debugger
  std::int32_t next;      ///< the actor that is about to go, -1 when nobody can
  std::uint32_t actors;
  std::uint32_t locks;
  std::uint32_t edges;
  std::uint32_t lines;  ///< of the history, at most kLines: the latest
  char run[128];        ///< scenario, store, protocol, pattern
  ActorEntry actor[kActors];
  LockEntry lock[kLocks];
  EdgeEntry edge[kEdges];
  LineEntry line[kLines];
};

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
