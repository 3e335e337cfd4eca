// deadlock.h: finds cycles of waiting transactions and breaks them.
#pragma once

#include <vector>

#include "kv/base/mutex.h"
#include "kv/lock_table.h"

namespace lockstep::kv {

/// Looks for a cycle each time that somebody has to wait, starting from whoever waits now: a cycle is complete when its
/// last edge appears, so this finds every one at once and needs no timer. The look is at the whole table at one moment,
/// hence no false deadlocks. The victim is the youngest of the cycle (the highest age): it has lost the least work, and
/// a retry that names its first attempt cannot stay the youngest for ever.
///
/// Thread-safe. Lock order: `mutex_`, then the shards of the lock table. The observer is called with `mutex_` held.
class DeadlockDetector final : public ConflictPolicy {
 public:
  /// `observer` may be nullptr; it outlives the detector.
  explicit DeadlockDetector(Observer* observer) : observer_(observer) {}

  std::optional<Error> queued(LockTable& table, LockOwner& owner) override;

 private:
  struct Found {
    DeadlockReport report;
    LockOwner* victim = nullptr;
    LockShard* where = nullptr;
    std::uint64_t wait_number = 0;
    Error error;
  };
  /// Only while the table is frozen.
  static std::optional<Found> find_cycle(LockOwner& start);

  Mutex mutex_;  // one detection at a time: nobody reports or breaks a cycle twice
  Observer* const observer_;
};

}  // namespace lockstep::kv
