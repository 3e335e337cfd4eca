// run_summary.h: a run of millions of events in numbers: made in one pass over the file, in memory that does not grow
// with it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/record/reader.h"
#include "kv/base/histogram.h"

namespace lockstep::reports {

struct RunSummary {
  struct Slice {
    std::uint64_t operations = 0, commits = 0, faults = 0, waits = 0;
  };
  struct ActorCounts {
    std::uint64_t operations = 0, commits = 0, faults = 0, waits = 0, retries = 0;
    std::int64_t waited_ns = 0;
  };
  struct ObjectCounts {
    std::uint64_t waits = 0;
    std::int64_t waited_ns = 0;
  };
  struct LongWait {
    std::int64_t waited_ns = 0, since_ns = 0;
    int actor = record::kNobody;
    std::string object;
    std::vector<int> others;
    std::string ended;  ///< "granted", or the fault
  };

  std::uint64_t events = 0;
  std::int64_t end_ns = 0;
  std::vector<Slice> slices;  ///< of equal length, from 0 to end_ns
  std::vector<ActorCounts> actors;
  std::unordered_map<std::string, ObjectCounts> objects;  ///< those waited for; "" once there are too many
  std::map<std::string, std::uint64_t> faults;
  std::uint64_t cycles = 0;
  Histogram waits;
  std::vector<LongWait> longest;  ///< longest first

  std::vector<std::pair<std::string, ObjectCounts>> busiest(std::size_t most) const;
};

inline constexpr std::size_t kSlices = 120;
inline constexpr std::size_t kLongestKept = 20;
inline constexpr std::size_t kObjectsMost = 20'000;

/// Reads all events once. An error when the file gives out on the way: `summary` has what came before.
Result<void> summary_of(record::Reader& reader, RunSummary& summary);

}  // namespace lockstep::reports
