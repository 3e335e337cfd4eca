// version_collector.h: takes off versions that nobody can see any more, and rows that are gone for everybody.
//
// A committer that overwrites or erases a row queues it here. Later committers work the queue off, a little each. So
// the cost of an update does not depend on what happened before, and memory is bounded by what the oldest snapshot may
// still see.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/index/index.h"
#include "kv/versions/versions.h"

namespace lockstep::kv {

/// Thread-safe. Lock order: the mutex of a shard and the latch of a record are never held together.
class VersionCollector {
 public:
  /// `index` holds the records, and outlives this.
  explicit VersionCollector(Index<VersionedRecord>& index) : index_(index) {}

  /// Rows that were overwritten or erased at `when`; the caller has set their `is_queued`.
  void add(std::span<VersionedRecord* const> records, Stamp when);

  /// Works off up to `limit` rows that no snapshot at or after `horizon` needs as they are. Calls `give(chain)` for the
  /// versions that it takes off. The caller is pinned.
  template <class Give>
  void collect(Stamp horizon, std::size_t limit, Give give) {
    for (std::vector<Queued>& batch = due(horizon, limit); const Queued& queued : batch)
      if (Version* const unseen = work_off(*queued.record, horizon)) give(unseen);
  }

 private:
  struct Queued {
    VersionedRecord* record = nullptr;
    Stamp when = 0;  // of interest when the horizon has come so far
  };
  // By thread, so that a row is mostly worked off where it was written, and committers do not meet.
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kTurns = 32;  // every so often another shard is served: its threads may be gone
  struct alignas(64) Shard {
    Mutex mutex;
    std::vector<Queued> queue LOCKSTEP_GUARDED_BY(mutex);  // [first, end)
    std::size_t first LOCKSTEP_GUARDED_BY(mutex) = 0;
    std::size_t turn LOCKSTEP_GUARDED_BY(mutex) = 0;
  };

  static std::vector<Queued>& batch_of_this_thread();
  std::vector<Queued>& due(Stamp horizon, std::size_t limit);
  static void take_due(Shard& shard, Stamp horizon, std::size_t limit, std::vector<Queued>& batch)
      LOCKSTEP_REQUIRES(shard.mutex);
  Version* work_off(VersionedRecord& record, Stamp horizon);
  static bool leaves(VersionedRecord& record, Stamp horizon) noexcept;

  Index<VersionedRecord>& index_;
  std::array<Shard, kShards> shards_;
};

}  // namespace lockstep::kv
