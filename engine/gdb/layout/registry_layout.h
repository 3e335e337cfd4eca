// registry_layout.h: how a run stands, as bytes for debuggers: what lockstep_registry is, in this program
// (engine/gdb/registry.h) and in a program under control (engine/foreign/preload/debugged.cc).
//
// engine/gdb/lockstep.py reads it: no debug information, no call into the program, no frame of libc. A change of the
// layout is a change of kVersion and of the script.
#pragma once

#include <cstdint>

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

}  // namespace lockstep::debugging
