// measured.h: what the measuring scenarios of this theme share: clocks, memory, lateness.
#pragma once

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <vector>

#include "kv/base/clock.h"

namespace lockstep::scenarios {

inline Nanos now() { return RealClock().now(); }

/// Processor time of the whole process so far, in seconds.
inline double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Gives back what earlier parts of a run have freed, so that it is not taken for memory of the next parts. Takes a
/// second for a heap of half a gigabyte.
inline void give_back_memory() { ::malloc_trim(0); }

/// Memory of this process that is resident, in bytes.
inline double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// Nanoseconds, several; percentiles in microseconds.
class Latenesses {
 public:
  explicit Latenesses(std::vector<std::int64_t> ns) : ns_(std::move(ns)) { std::sort(ns_.begin(), ns_.end()); }
  /// `per_mille` 990: the 99th percentile.
  double us(std::size_t per_mille) const {
    if (ns_.empty()) return 0;
    return static_cast<double>(ns_[std::min(ns_.size() - 1, ns_.size() * per_mille / 1000)]) / 1e3;
  }

 private:
  std::vector<std::int64_t> ns_;
};

}  // namespace lockstep::scenarios
