// lock_table.h: the holders and the waiters of each key.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "kv/base/mutex.h"
#include "kv/locking/locks.h"

namespace lockstep::kv {

class LockTable;

/// What a protocol does with a request that cannot be granted at once.
class ConflictPolicy {
 public:
  virtual ~ConflictPolicy() = default;
  /// False: nobody ever waits; the request is answered with Fault::no_wait_conflict.
  virtual bool may_wait() const noexcept { return true; }
  /// `owner` has just been queued, and no mutex is held. Answers an error when it must not wait: it has then been taken
  /// out of the queue with LockTable::withdraw(), which has not woken it.
  virtual std::optional<Error> queued(LockTable& table, LockOwner& owner) = 0;
  /// The latest that it has broken; the latest comes last.
  virtual std::vector<DeadlockReport> deadlocks() const { return {}; }
  /// `owner` has just strengthened the lock `request` past requests that wait for its key: some of them may wait for it
  /// only since then. It was granted at once, or after queued() was too late to see it wait. No mutex is held. Answers
  /// an error when it must give up.
  virtual std::optional<Error> overtook(LockTable&, LockOwner&, const LockRequest&) { return std::nullopt; }
};

/// How many requests of each strength there are: a conflict is found without walking a list.
class SpecCounts {
 public:
  void add(LockSpec spec, int by) noexcept {
    row_[index(spec.row)] += by;
    gap_[index(spec.gap)] += by;
  }
  bool conflicts_with(LockSpec spec) const noexcept { return conflicts(row_, spec.row) || conflicts(gap_, spec.gap); }
  int with_row(Strength strength) const noexcept { return row_[index(strength)]; }

 private:
  using Counts = std::array<int, kStrengths>;
  static std::size_t index(Strength s) noexcept { return static_cast<std::size_t>(s); }
  static bool conflicts(const Counts& counts, Strength wanted) noexcept {
    for (std::size_t i = 1; i < kStrengths; ++i)
      if (counts[i] > 0 && kv::conflicts(static_cast<Strength>(i), wanted)) return true;
    return false;
  }
  Counts row_{};
  Counts gap_{};
};

/// One cell that several transactions hold or wait for. Guarded by the mutex of its shard; `key` and `cell` do not
/// change while it is in a cell. What every request looks at is in one cache line.
struct alignas(64) LockHead {
  LockRequest* first_holder = nullptr;  // in the order of the grants
  LockRequest* last_holder = nullptr;
  LockRequest* first_waiter = nullptr;  // conversions, then the others; each first come, first served
  LockRequest* last_waiter = nullptr;
  SpecCounts held;
  SpecCounts waiting;
  KeyView key;
  LockCell* cell = nullptr;  // nullptr: in no cell
  LockHead* next_idle = nullptr;
};

/// A part of the table. Its mutex is a leaf.
struct alignas(64) LockShard {
  mutable Mutex mutex;
  LockHead* first_idle LOCKSTEP_GUARDED_BY(mutex) = nullptr;
  std::vector<std::unique_ptr<LockHead>> heads LOCKSTEP_GUARDED_BY(mutex);
};

/// The holders and the waiters of each key, first come, first served. A request waits when it conflicts with a holder
/// or with a request in front of it. So a reader queues behind a waiting writer, and writers cannot starve. A request
/// to strengthen a lock goes in front of the queue and waits for the holders only.
///
/// Numbered rules:
///  1. A request is in the list of holders if and only if `held` is not empty. It is in the list of waiters if and only
///     if its owner's `waiting` is this request.
///  2. Holders do not conflict with each other.
///  3. A waiting request conflicts with a holder, or (unless it is a conversion) with a request in front of it.
///  4. A lock with one holder and no waiter may be in its cell only, without a head. Then no rule but 1 says anything,
///     and its holder is not in a list.
///  5. A thread that takes a request out of the list of waiters wakes its waiter under the shard's mutex, or is the
///     owner's own. So a waiter is woken exactly once, and never after cancel() or withdraw().
///
/// Thread-safe. Lock order: `owners_mutex_`, then a shard's; only the detector holds more than one shard's mutex, and
/// takes them in the order of the table.
class LockTable final : public LockManager {
 public:
  struct Config {
    std::unique_ptr<ConflictPolicy> policy = nullptr;  ///< nullptr = everybody waits
    Nanos lock_timeout = kNever;
    const Clock* clock = nullptr;  ///< outlives the table
  };
  /// A transaction whose wait is to end, and why.
  struct Victim {
    LockOwner* owner;
    TxnId id;
    Error why;
  };
  explicit LockTable(Config config);
  ~LockTable() override;

  void when_gone(std::function<void(LockCell&)> gone) override { when_gone_ = std::move(gone); }
  void forget(LockOwner& owner) noexcept override;

  Locked lock(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) override;
  LockRequest* find(LockOwner& owner, const LockTarget& target) override;
  void weaken(LockRequest& request, LockSpec kept) noexcept override;
  void release_all(LockOwner& owner) noexcept override;
  bool cancel(LockOwner& owner, Fault why) noexcept override;

  /// Takes `owner` out of the queue without waking it. False when it does not wait any more: it has been woken then.
  bool withdraw(LockOwner& owner) noexcept;

  /// Calls `look` while nothing in the table changes. Takes every shard's mutex: for the rare look at everything at
  /// once.
  void frozen(const std::function<void()>& look) const;
  /// Calls `look` with what `owner` waits for; nothing changes on that key meanwhile. Not when it waits no more. Only
  /// in the owner's own thread.
  void at_wait(const LockOwner& owner, const std::function<void(const LockRequest&)>& look) const;
  /// Calls `look` while nothing changes on the key of a lock that the calling transaction holds.
  void at_key(const LockRequest& request, const std::function<void()>& look) const;
  /// Ends the wait of another owner, if it is the transaction `id` and waits, with `why`, and wakes it.
  void kill(LockOwner& victim, TxnId id, Error why) noexcept;
  /// The same for each of `victims`. Their addresses are from a look at the table that is over by now.
  void kill(std::vector<Victim> victims) noexcept;
  /// Ends the wait of another owner with `why` and wakes it, if it is still the wait with that number.
  bool kill(LockOwner& victim, LockShard& where, std::uint64_t wait_number, Error why) noexcept;

  /// Only inside frozen(), at_wait() or at_key(): calls `visit` for each request that `request` waits for, in the order
  /// of the queue.
  static void for_each_blocker(const LockRequest& request, const std::function<void(const LockRequest&)>& visit);
  /// As for_each_blocker(), for each request that waits for `request`.
  static void for_each_blocked(const LockRequest& request, const std::function<void(const LockRequest&)>& visit);
  /// As for_each_blocker(), for each other waiting conversion that excludes `request`, a conversion too. Whichever of
  /// the two is granted first, the other one waits for it from then on.
  static void for_each_rival(const LockRequest& request, const std::function<void(const LockRequest&)>& visit);
  /// The edge from a waiting request to one that it waits for.
  static WaitEdge edge(const LockRequest& waiter, const LockRequest& blocker);

  std::vector<LockInfo> locks() const override;
  std::vector<WaitEdge> waits() const override;
  std::vector<WaitEdge> waits_of(const LockOwner& owner) const override;
  std::vector<DeadlockReport> deadlocks() const override {
    return config_.policy ? config_.policy->deadlocks() : std::vector<DeadlockReport>{};
  }

 private:
  // Fewer than the 64 mutexes of one thread that ThreadSanitizer can follow: frozen() takes all of them.
  static constexpr std::size_t kShards = 32;

  static std::size_t shard_number(const LockCell& cell) noexcept {
    return (reinterpret_cast<std::uintptr_t>(&cell) * 0x9e37'79b9'7f4a'7c15) >> 32 & (kShards - 1);
  }
  LockShard& shard_of(const LockCell& cell) { return shards_[shard_number(cell)]; }
  const LockShard& shard_of(const LockCell& cell) const { return shards_[shard_number(cell)]; }

  void attach(LockOwner& owner);
  static LockRequest* find_without_mutex(LockOwner& owner, const LockCell& cell, std::uintptr_t word) noexcept;
  Locked lock_slowly(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter);
  void release(LockRequest& request) noexcept;
  void tell_gone(LockCell* cell) const noexcept {
    if (cell) when_gone_(*cell);
  }
  /// The waiting owner is taken out of its queue with the verdict `why`, and woken.
  LockCell* end_wait(LockShard& where, LockOwner& victim, Error why) const noexcept LOCKSTEP_REQUIRES(where.mutex);

  /// The head of the cell, put into it when it has none; nullptr when the cell is gone.
  static LockHead* inflate(LockShard& shard, LockCell& cell, KeyView key) LOCKSTEP_REQUIRES(shard.mutex);
  /// The cell, when it is gone with this: tell_gone() once the mutex is free.
  LockCell* unlink_if_idle(LockShard& shard, LockHead& head) const LOCKSTEP_REQUIRES(shard.mutex);
  static LockRequest* holder_of(const LockHead& head, const LockOwner& owner) noexcept;
  /// Gives every cell with a holder a head, so that all locks are in the lists.
  void inflate_all();
  static bool is_free(const LockHead& head, LockSpec wanted, const LockRequest* mine) noexcept;
  static void grant(LockHead& head, LockRequest& request) noexcept;
  static void grant_waiters(LockHead& head) noexcept;
  /// Takes the waiting request of `owner` out of its queue and grants to those behind it.
  LockCell* dequeue(LockShard& shard, LockOwner& owner) const noexcept LOCKSTEP_REQUIRES(shard.mutex);
  void enqueue(LockShard& shard, LockHead& head, LockRequest& request, LockSpec wanted, Waiter& waiter)
      LOCKSTEP_REQUIRES(shard.mutex);

  const Config config_;
  std::function<void(LockCell&)> when_gone_;  // constant after the first lock
  std::array<LockShard, kShards> shards_;
  mutable Mutex owners_mutex_;
  std::vector<LockOwner*> owners_ LOCKSTEP_GUARDED_BY(owners_mutex_);
};

}  // namespace lockstep::kv
