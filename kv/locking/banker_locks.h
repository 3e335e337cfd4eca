// banker_locks.h: the banker's algorithm over keys: locks that are granted only while everybody can still finish.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/locking/lock_table.h"

namespace lockstep::kv {

/// Every key is a resource with one unit: one holder, for reading or writing. A transaction says at begin which keys it
/// may lock (its claims). A request for a key that is held waits. So does a request for a free key when the grant would
/// lead to an unsafe state. A state is safe when in some order each transaction in turn can get all that it has
/// claimed, and finish. Hence no deadlock can form (Dijkstra 1965; Habermann 1969; Silberschatz et al., "Operating
/// System Concepts", 8.6).
///
/// The end of the key space is a resource too: the membership of the store, held by a transaction that scans, inserts
/// or erases. Every transaction has claimed it; while nobody holds it that makes no state unsafe.
///
/// When something is given back, the waiting requests are looked at first come, first served. One that still must wait
/// does not hold up those behind it, for they may be what it needs.
///
/// Thread-safe. One mutex guards everything, a leaf: safety is a property of all transactions together.
class BankerLocks final : public LockManager {
 public:
  struct Config {
    Nanos lock_timeout = kNever;
    const Clock* clock = nullptr;  ///< outlives the banker
  };
  explicit BankerLocks(Config config) : config_(config) {}

  /// Fault::claim_exceeded for a key outside the claims.
  Locked lock(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) override;
  LockRequest* find(LockOwner& owner, const LockTarget& target) override;
  void weaken(LockRequest& request, LockSpec kept) noexcept override;
  void release_all(LockOwner& owner) noexcept override;
  bool cancel(LockOwner& owner, Fault why) noexcept override;

  std::vector<LockInfo> locks() const override;
  std::vector<WaitEdge> waits() const override;
  /// For a request that waits although its key is free: the transactions that could not all finish after the grant.
  std::vector<WaitEdge> waits_of(const LockOwner& owner) const override;

 private:
  /// A key that somebody holds or waits for.
  struct Resource {
    LockHead head;  // for its key
    LockRequest* holder = nullptr;
    int waiting = 0;
  };
  using Owners = std::vector<const LockOwner*>;

  LockRequest* find_request(LockOwner& owner, KeyView key) const;
  Resource& resource_of(KeyView key) LOCKSTEP_REQUIRES(all_.mutex);
  Resource& resource_of(const LockRequest& request) LOCKSTEP_REQUIRES(all_.mutex);
  void forget_if_idle(const LockHead& head) LOCKSTEP_REQUIRES(all_.mutex);
  void grant(Resource& resource, LockRequest& request) LOCKSTEP_REQUIRES(all_.mutex);
  void give_back(LockRequest& request) noexcept LOCKSTEP_REQUIRES(all_.mutex);
  void grant_waiters() noexcept LOCKSTEP_REQUIRES(all_.mutex);
  void dequeue(LockOwner& owner) noexcept LOCKSTEP_REQUIRES(all_.mutex);

  /// The transactions that could not finish if `requester` held `key` too, the oldest first; empty when the grant is
  /// safe.
  Owners stuck_if_granted(const LockOwner& requester, KeyView key) const LOCKSTEP_REQUIRES(all_.mutex);
  /// Its holder, or the transactions that make the grant unsafe.
  Owners blockers_of(const LockRequest& request) const LOCKSTEP_REQUIRES(all_.mutex);
  std::vector<WaitEdge> edges_of(const LockRequest& request) const LOCKSTEP_REQUIRES(all_.mutex);

  const Config config_;
  LockShard all_;  // only its mutex is used
  std::map<std::string, Resource, std::less<>> resources_ LOCKSTEP_GUARDED_BY(all_.mutex);
  /// How many resources each transaction holds, if it holds any.
  std::map<const LockOwner*, std::size_t> units_ LOCKSTEP_GUARDED_BY(all_.mutex);
  std::vector<LockRequest*> queue_ LOCKSTEP_GUARDED_BY(all_.mutex);
};

}  // namespace lockstep::kv
