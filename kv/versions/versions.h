// versions.h: rows with several versions, so that a reader sees one moment of the store without waiting for writers.
//
// Multi-version concurrency control (Bernstein and Goodman 1983; snapshots as in Berenson et al. 1995): a version is
// stamped with the time of its commit. A snapshot of time S sees of each row the newest version with a stamp <= S.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string_view>
#include <thread>
#include <utility>

#include "kv/base/spin.h"
#include "kv/locking/lock_cell.h"
#include "kv/memory/value_cell.h"
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
/// The stamp is drawn in "drawing", so a reader with a snapshot at or after it sees at least that state. The reader
/// looks again until the commit is decided: a few instructions of the committer, or its validation.
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
  /// `earliest_out`: see Version::earliest_out().
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

/// One version of a row: in its record while it is the newest, in the chain behind it afterwards. A version is of an
/// active transaction (it has a writer) until it gets its stamp.
class Version : public ValueCell {
  std::uint32_t out_before_ = 0;  // the stamp less earliest_out; 0 = kNoStamp. Here it fills the value's last word

 public:
  Version* older = nullptr;

  /// True in a record that has no version.
  bool is_none() const noexcept { return word_ == 0; }
  const CommitCell* writer() const noexcept {
    return word_ & kHasWriter ? reinterpret_cast<const CommitCell*>(word_ & ~kFlags) : nullptr;
  }
  /// 0 while it has a writer.
  Stamp stamp() const noexcept { return word_ & kHasWriter ? 0 : word_ & ~kFlags; }
  /// False: a tombstone.
  bool exists() const noexcept { return (word_ & kExists) != 0; }
  /// Serializable stores: the first commit among the transactions that overwrote what the writer had read, if it came
  /// before the writer's own; otherwise kNoStamp. Never later than it was; earlier only when it was ages before.
  Stamp earliest_out() const noexcept {
    if (out_before_ == 0) return kNoStamp;
    return out_before_ == kAges ? 0 : stamp() - out_before_;
  }
  CommitCell::Look look() const noexcept {
    const CommitCell* const cell = writer();
    return cell ? cell->look() : CommitCell::Look{CommitCell::State::committed, stamp()};
  }

  void begin(const CommitCell& writer, bool exists) noexcept {
    word_ = reinterpret_cast<std::uintptr_t>(&writer) | kHasWriter | (exists ? kExists : 0);
    out_before_ = 0;
  }
  void commit(Stamp stamp, Stamp earliest_out) noexcept {
    word_ = stamp | (word_ & kExists);
    out_before_ = earliest_out == kNoStamp ? 0 : static_cast<std::uint32_t>(std::min(stamp - earliest_out, kAges));
  }
  /// Takes what `other` is, and gives it this one's memory for values.
  void take(Version& other) {
    take_from(other);
    word_ = std::exchange(other.word_, 0);
    out_before_ = other.out_before_;
    older = std::exchange(other.older, nullptr);
  }

 private:
  static constexpr std::uint64_t kHasWriter = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kExists = std::uint64_t{1} << 62;
  static constexpr std::uint64_t kFlags = kHasWriter | kExists;
  static constexpr Stamp kAges = std::numeric_limits<std::uint32_t>::max();

  std::uint64_t word_ = 0;  // the stamp, or the address of the writer's cell
};
static_assert(sizeof(Version) == 32, "a row and the version in it are read together: one cache line");

/// A row. Every field is guarded by `latch`.
///
/// Rules:
///  1. The newest version is in the record itself, so that a read touches one place. Those behind it are there only for
///     snapshots that were taken before the newest was committed. The transaction that overwrites a version queues the
///     record for VersionCollector, which takes them off again.
///  2. A vacant record has no version, and no transaction that has or wants its lock will give it one.
///  3. `latest_reader` counts for a transaction that overwrites the row. A record with neither version nor lock may
///     leave the index only when every reader of it was over before the oldest snapshot was taken.
struct VersionedRecord : LockCell {
  /// A leaf, held for a few instructions; nobody holds two.
  class Latch {
   public:
    void lock() noexcept {
      while (taken_.exchange(true, std::memory_order_acquire)) {
        for (int i = 0; i < 64 && taken_.load(std::memory_order_relaxed); ++i) spin_pause();
        if (taken_.load(std::memory_order_relaxed)) std::this_thread::yield();
      }
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

   private:
    std::atomic<bool> taken_{false};
  };

  Version newest;
  /// Serializable stores: the latest of the commits of writing transactions that have read the row and the snapshots of
  /// all that have. What a version committed later must know of any of its readers is in this.
  Stamp latest_reader = 0;
  bool is_queued = false;  ///< for Collector
  Latch latch;

  VersionedRecord() = default;
  VersionedRecord(const VersionedRecord&) = delete;
  VersionedRecord& operator=(const VersionedRecord&) = delete;
  ~VersionedRecord();

  /// What a snapshot sees.
  struct Sight {
    const Version* version = nullptr;  ///< nullptr: the row did not exist yet. A tombstone does not exist() either
    const Version* next = nullptr;     ///< the version that follows it, which the snapshot does not see
    /// False: a commit that the snapshot may have to see is not decided. Give the latch back, then look again.
    bool settled = true;
  };
  Sight at(Stamp snapshot) const noexcept;
  /// The stamp of the newest version that is committed; 0 when there is none. Not while somebody else may commit one.
  Stamp changed_at() const noexcept { return newest.stamp(); }
  /// Puts a version of an active transaction in front. `spare` takes the one that was the newest; false: there was
  /// none, and `spare` is still the caller's.
  bool push(Version& spare, const CommitCell& writer, bool exists, std::string_view value);
  /// Takes off the newest version, which its writer withdraws. Gives the memory of one that is not used any more, or
  /// nullptr.
  Version* pop() noexcept;
  static constexpr std::size_t room_for(std::size_t bytes) noexcept { return ValueCell::room_for(bytes); }
  /// For the newest version, whichever that is.
  void use_room(void* memory, std::size_t room) noexcept { newest.use_room(memory, room); }
  /// Of the newest version. Needs no latch.
  void prefetch_value() const noexcept { newest.prefetch_value(); }
  /// Takes off what no snapshot at or after `horizon` can see: a chain of versions that is now the caller's.
  Version* collect(Stamp horizon) noexcept;
};

/// Deletes a chain.
void free_versions(Version* chain) noexcept;

}  // namespace lockstep::kv
