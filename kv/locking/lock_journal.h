// lock_journal.h: which locks a transaction has taken since a savepoint, so that a rollback to it can give them back.
#pragma once

#include <string>

#include "kv/locking/locks.h"
#include "kv/memory/recycled.h"

namespace lockstep::kv {

/// Not thread-safe.
class LockJournal {
 public:
  /// Locks as LockManager::lock does, and remembers what the transaction had before.
  Locked lock(LockManager& locks, LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) {
    const LockRequest* const mine = locks.find(owner, target);
    const LockSpec before = mine ? mine->held : LockSpec{};
    if (before.covers(wanted)) return Locked::granted;
    // Before the attempt: when it waits, the grant comes without us. Remembered twice does no harm.
    Change& change = changes_.take();
    change.cell = target.cell;
    change.key.assign(target.key);
    change.before = before;
    return locks.lock(owner, target, wanted, waiter);
  }

  std::size_t mark() const noexcept { return changes_.size(); }
  void clear() noexcept { changes_.clear(); }

  /// Puts every lock back to what it was at `mark`, or to what `keep(request, before)` wants to keep of it.
  template <class Keep>
  void undo_to(std::size_t mark, LockManager& locks, LockOwner& owner, Keep keep) {
    // The latest change first, so that the oldest one has the last word.
    while (changes_.size() > mark) {
      const Change& change = changes_.back();
      if (LockRequest* const request = locks.find(owner, {change.cell, change.key})) {
        const LockSpec kept = keep(*request, change.before);
        if (request->held.covers(kept)) locks.weaken(*request, kept);
      }
      changes_.shrink_to(changes_.size() - 1);
    }
  }

 private:
  struct Change {
    LockCell* cell = nullptr;  // of a record that was found by this transaction, which is pinned
    std::string key;
    LockSpec before;
  };
  Recycled<Change> changes_;
};

}  // namespace lockstep::kv
