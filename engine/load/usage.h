// usage.h: processor time and memory, of this process and of a database server on this machine.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/store/backend.h"

namespace lockstep::load {

/// User and system time of this process so far, in seconds.
double own_cpu_s();
/// The most memory that this process has had resident so far.
std::uint64_t own_peak_rss_bytes();

struct ServerUsage {
  double cpu_s = 0;
  std::uint64_t rss_bytes = 0;  ///< proportional: shared pages are counted once
};
/// What the server's sessions and helpers have used by now. nullopt without a server, and where its processes cannot be
/// seen from here.
std::optional<ServerUsage> server_usage(Backend& backend);

}  // namespace lockstep::load
