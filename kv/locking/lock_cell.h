// lock_cell.h: the lock of a record, inside the record: one word.
//
// While one transaction holds the lock and nobody waits, the word is the address of its request. Taking and giving back
// is one atomic operation each, on a cache line that the row needs anyway. When a second transaction comes, the lock
// table puts a LockHead in its place, with the list of holders and the queue. The thin lock is inflated (Bacon, Konuru,
// Murthy, Serrano, "Thin locks", 1998).
#pragma once

#include <atomic>
#include <cstdint>

namespace lockstep::kv {

struct LockHead;
struct LockRequest;

/// Free --CAS--> thin --CAS--> free, by anybody. Free or thin --> fat, fat --> free: only with the mutex of the cell's
/// shard held, so a fat cell changes only under that mutex. A free cell of a vacant row --> gone, for ever: the entry
/// is about to leave its index; look for its key again.
struct LockCell {
  static constexpr std::uintptr_t kFat = 1;
  static constexpr std::uintptr_t kVacant = 2;  ///< there is no row: not yet inserted, or erased
  static constexpr std::uintptr_t kGone = 4;
  static constexpr std::uintptr_t kFlags = kFat | kVacant | kGone;

  std::atomic<std::uintptr_t> word{kVacant};

  bool is_vacant() const noexcept { return (word.load(std::memory_order_acquire) & kVacant) != 0; }
  /// Called by the transaction that has the row exclusively.
  void set_vacant(bool vacant) noexcept {
    if (vacant == is_vacant()) return;
    vacant ? word.fetch_or(kVacant, std::memory_order_acq_rel) : word.fetch_and(~kVacant, std::memory_order_acq_rel);
  }

  static bool is_free(std::uintptr_t word) noexcept { return (word & ~kVacant) == 0; }
  /// The only holder of a lock that nobody else has or wants; nullptr otherwise.
  static LockRequest* only_holder(std::uintptr_t word) noexcept {
    return (word & (kFat | kGone)) != 0 ? nullptr : reinterpret_cast<LockRequest*>(word & ~kFlags);
  }
  static LockHead* head_in(std::uintptr_t word) noexcept {
    return (word & kFat) == 0 ? nullptr : reinterpret_cast<LockHead*>(word & ~kFlags);
  }
};

}  // namespace lockstep::kv
