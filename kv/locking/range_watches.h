// range_watches.h: tells a transaction that a row has appeared in a range which it has scanned.
//
// A scan that is validated by looking again does not see a row that came and went in between. So a scan announces its
// range before it looks, and a commit that adds rows tells every range that it enters, before any of its rows can be
// seen. This is precision locking with the announcement on the reader's side (Jordan, Banerjee, Batman, "Precision
// locks", 1981): exact to the key, where a version of each index node would also fail for a neighbour's insertion.
//
// Price: a scan takes one mutex two or three times, and a commit that adds a row looks at every range of others that is
// open. A commit that only changes rows pays nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "kv/base/mutex.h"
#include "kv/store.h"

namespace lockstep::kv {

/// Thread-safe; `mutex_` is a leaf.
class RangeWatches {
 public:
  /// One range of one transaction. Stays where it is from add() to remove(). Used by one thread at a time.
  class RangeWatch {
   public:
    KeyView from() const noexcept { return from_; }
    /// True when `key` is behind the range. The key is not before it.
    bool ends_before(KeyView key) const noexcept { return includes_to_ ? key > to_ : !to_.empty() && key >= to_; }
    /// A commit of another transaction has added a row to the range since add().
    bool was_entered() const noexcept { return entered_.load(std::memory_order_acquire); }

   private:
    friend class RangeWatches;
    bool contains(KeyView key) const noexcept { return key >= from_ && !ends_before(key); }

    // Written with the mutex held, by the thread of the transaction only.
    std::string from_;
    std::string to_;  // empty, unless it is included: no upper end
    bool includes_to_ = false;
    const void* owner_ = nullptr;
    std::atomic<bool> entered_{false};
    RangeWatch* previous_ = nullptr;
    RangeWatch* next_ = nullptr;
  };

  /// From here on `watch` hears of rows that appear in `[from, to)`; an empty `to` means no upper end. Before the scan
  /// looks at the first row: a commit that does not see the watch has locked its rows before, and the scan meets them.
  void add(RangeWatch& watch, const void* owner, KeyView from, KeyView to);
  /// The scan did not get further than `last`.
  void narrow(RangeWatch& watch, KeyView last);
  void remove(RangeWatch& watch) noexcept;

  /// True when a transaction watches some range. The calling commit has locked, and put into the index, what it adds.
  bool is_anybody_watching() noexcept {
    // A write too, so that it is ordered with the one in add(): this commit sees the watch, or the scan its locks.
    return watches_.fetch_add(0, std::memory_order_acq_rel) != 0;
  }
  /// `owner` is about to add a row with this key. Before it can be seen.
  void tell(KeyView key, const void* owner);

 private:
  alignas(64) std::atomic<std::size_t> watches_{0};
  Mutex mutex_;
  RangeWatch* first_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace lockstep::kv
