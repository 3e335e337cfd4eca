// deadlock.h: finds cycles of waiting transactions and breaks them.
#pragma once

#include <array>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/locking/lock_table.h"

namespace lockstep::kv {

/// Looks for a cycle each time that a transaction has to wait, starting from that one. A cycle is complete when its
/// last edge appears, so this finds every one at once and needs no timer. The look is at the whole table at one moment,
/// hence no false deadlocks. The policy chooses the victim; nobody is chosen for ever (VictimPolicy).
///
/// Thread-safe. Lock order: `mutex_`, then the shards of the lock table. The observer is called with `mutex_` held.
class DeadlockDetector final : public ConflictPolicy {
 public:
  /// `observer` may be nullptr; it outlives the detector.
  explicit DeadlockDetector(Observer* observer, VictimPolicy victim = VictimPolicy::youngest)
      : observer_(observer), policy_(victim) {}

  std::optional<Error> queued(LockTable& table, LockOwner& owner) override;
  std::vector<DeadlockReport> deadlocks() const override;

 private:
  struct Found {
    DeadlockReport report;
    LockOwner* victim = nullptr;
    LockShard* where = nullptr;
    std::uint64_t wait_number = 0;
    Error error;
  };
  /// Only while the table is frozen.
  std::optional<Found> find_cycle(LockOwner& start) const;

  static constexpr std::size_t kRing = 16;

  Mutex mutex_;  // one detection at a time: nobody reports or breaks a cycle twice
  Observer* const observer_;
  const VictimPolicy policy_;

  mutable Mutex latest_mutex_;  // a leaf, so that a look does not wait for a detection
  std::array<DeadlockReport, kRing> latest_ LOCKSTEP_GUARDED_BY(latest_mutex_);
  std::uint64_t found_ LOCKSTEP_GUARDED_BY(latest_mutex_) = 0;  // report number n is in latest_[n % kRing]
};

}  // namespace lockstep::kv
