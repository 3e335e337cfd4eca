// versions.h: rows with several versions, so that a reader sees one moment of the store without waiting for writers.
//
// Multi-version concurrency control (Bernstein and Goodman 1983; snapshots as in Berenson et al. 1995): a version is
// stamped with the time of its commit; a snapshot of time S sees of each row the newest version with a stamp <= S.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>

#include "kv/lock_cell.h"
#include "kv/store.h"

namespace lockstep::kv {

/// A moment of the store: how many commits there have been.
using Stamp = std::uint64_t;

/// Later than every moment.
inline constexpr Stamp kNoStamp = std::numeric_limits<Stamp>::max();

/// Where a transaction's commit becomes visible, all its versions at once.
///
///   active --begin_commit()--> drawing --announce()--> undecided --decide()--> committed --reset()--> active
///                                 |                        `------withdraw()------------------------> active
///                                 `------------------decide()-------------> committed
///
/// The stamp is drawn in "drawing", so whoever takes a snapshot at or after it sees at least that, and looks again
/// until the commit is decided: a few instructions of the committer, or its validation.
class CommitCell {
 public:
  enum class State : std::uint8_t { active, drawing, undecided, committed };
  struct Look {
    State state = State::active;
    Stamp stamp = 0;  // when undecided or committed
  };

  /// Sequentially consistent, as is the clock: the marker must not be seen after the stamp that follows it is drawn.
  void begin_commit() noexcept { value_.store(kDrawing); }
  void announce(Stamp stamp) noexcept { value_.store(stamp | kUndecided); }
  /// `earliest_out`: see Version.
  void decide(Stamp stamp, Stamp earliest_out = kNoStamp) noexcept {
    earliest_out_.store(earliest_out, std::memory_order_relaxed);
    value_.store(stamp);
  }
  void withdraw() noexcept { value_.store(kActive); }
  void reset() noexcept { value_.store(kActive, std::memory_order_relaxed); }

  Look look() const noexcept {
    const Stamp value = value_.load();
    if (value == kActive) return {};
    if (value == kDrawing) return {State::drawing, 0};
    if (value & kUndecided) return {State::undecided, value & ~kUndecided};
    return {State::committed, value};
  }
  /// After look() has said "committed".
  Stamp earliest_out() const noexcept { return earliest_out_.load(std::memory_order_relaxed); }

 private:
  static constexpr Stamp kActive = 0;
  static constexpr Stamp kUndecided = Stamp{1} << 63;
  static constexpr Stamp kDrawing = kUndecided;
  std::atomic<Stamp> value_{kActive};
  std::atomic<Stamp> earliest_out_{kNoStamp};
};

struct Version {
  const CommitCell* writer = nullptr;  // until the version has its stamp
  Stamp stamp = 0;
  /// Serializable stores: the first commit among the transactions that overwrote what the writer had read, if it came
  /// before the writer's own; otherwise kNoStamp.
  Stamp earliest_out = kNoStamp;
  Version* older = nullptr;
  bool exists = false;
  std::string value;
};

/// A row. Every field is guarded by `latch`. Vacant: it has no version, and no transaction that has or wants its lock
/// will give it one.
struct VersionedRecord : LockCell {
  /// A leaf, held for a few instructions; nobody holds two.
  class Latch {
   public:
    void lock() noexcept {
      while (taken_.exchange(true, std::memory_order_acquire)) {
        for (int i = 0; i < 64 && taken_.load(std::memory_order_relaxed); ++i) __builtin_ia32_pause();
        if (taken_.load(std::memory_order_relaxed)) std::this_thread::yield();
      }
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

   private:
    std::atomic<bool> taken_{false};
  };

  Version* newest = nullptr;
  /// Serializable stores: the latest commit of a writing transaction that has read the row, and the latest snapshot of
  /// any that has. What a version committed later must know of its readers is in these two, whoever they were.
  Stamp reader_commit = 0;
  Stamp reader_snapshot = 0;
  std::uint32_t versions = 0;
  std::uint32_t collect_at = 3;  // how many versions are worth a look for ones that nobody can see any more
  Latch latch;

  VersionedRecord() = default;
  VersionedRecord(const VersionedRecord&) = delete;
  VersionedRecord& operator=(const VersionedRecord&) = delete;
  ~VersionedRecord();

  /// What a snapshot sees.
  struct Sight {
    const Version* version = nullptr;  ///< nullptr: the row did not exist yet. A tombstone has `exists` false
    const Version* next = nullptr;     ///< the version that follows it, which the snapshot does not see
    /// False: a commit that the snapshot may have to see is not decided. Give the latch back, then look again.
    bool settled = true;
  };
  Sight at(Stamp snapshot) const noexcept;
  /// The stamp of the newest version that is committed; 0 when there is none. Not while somebody else may commit one.
  Stamp changed_at() const noexcept { return newest ? newest->stamp : 0; }
  void push(Version& version) noexcept;
  /// Takes off the newest version, which its writer withdraws.
  Version& pop() noexcept;
  /// Takes off what no snapshot at or after `horizon` can see: a chain of versions that is now the caller's.
  Version* collect(Stamp horizon) noexcept;
};

/// Deletes a chain.
void free_versions(Version* chain) noexcept;

}  // namespace lockstep::kv
