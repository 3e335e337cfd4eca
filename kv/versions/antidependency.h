// antidependency.h: finds the dangerous structures of serializable snapshot isolation.
//
// Papers: Cahill, Röhm, Fekete, "Serializable isolation for snapshot databases", SIGMOD 2008; Ports and Grittner,
// "Serializable snapshot isolation in PostgreSQL", VLDB 2012.
//
// T1 -rw-> T2: T1 has read a version of a row (or a range) that T2, which ran at the same time, has overwritten. In a
// serial order T1 comes first. Under snapshot isolation every cycle of transactions contains T1 -rw-> T2 -rw-> T3 where
// T3 was the first of the cycle to commit. T1 and T3 may be the same. When T1 only reads, T3 committed before T1's
// snapshot. So it suffices that no such structure commits.
//
// How it is found here: by whichever of T1 and T2 commits last, at its commit. What it must know of the others is in
// the rows. A version carries the first commit among those that overwrote what its writer had read (earliest_out). A
// row carries the latest moment up to which a reader of it matters. So a committed transaction leaves nothing behind
// but these numbers, and ranges until no concurrent transaction is left. A retry is safe: the others have committed, so
// they do not overlap with it.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/index/index.h"
#include "kv/memory/recycled.h"
#include "kv/versions/versions.h"

namespace lockstep::kv {

/// The ranges that transactions have read, for a transaction that adds a key that was in none of the rows. A key that
/// was looked for in vain is a range too. Thread-safe; `mutex_` is a leaf.
class RangeReads {
 public:
  using Ticket = std::size_t;

  /// `[from, to)`, with `to` when `includes_to`; an empty `to` without it means no upper end.
  Ticket add(TxnId reader, Stamp snapshot, KeyView from, KeyView to, bool includes_to);
  /// The scan did not get further than `last`.
  void narrow(Ticket ticket, KeyView last);
  void set_commit(Ticket ticket, Stamp commit);
  /// The reader is over. What it has read counts on when it has committed.
  void end(Ticket ticket, bool committed) noexcept;

  /// Of `key`, other than `writer` itself: as VersionedRecord::latest_reader.
  Stamp latest_reader_of(KeyView key, TxnId writer) const;

  /// True when so many have been added that a look for old ones is worth its while.
  bool is_full() const noexcept { return full_.load(std::memory_order_relaxed); }
  /// Forgets what no transaction with a snapshot at or after `horizon` can overlap with. When too many remain, the
  /// finished ones are joined into one range over everything: more transactions give up, and memory stays bounded.
  void collect(Stamp horizon);

  std::size_t size() const;

 private:
  static constexpr std::size_t kWorthALook = 64;
  static constexpr std::size_t kLimit = 4096;

  struct Range {
    std::string from;
    std::string to;
    bool includes_to = false;
    bool is_active = false;  // its reader is
    bool is_free = false;
    TxnId reader = 0;
    Stamp latest_reader = 0;
  };
  void free(Ticket ticket) LOCKSTEP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<Range> ranges_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<Ticket> free_ LOCKSTEP_GUARDED_BY(mutex_);
  Stamp everywhere_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::size_t collect_at_ LOCKSTEP_GUARDED_BY(mutex_) = kWorthALook;
  std::atomic<bool> full_{false};
};

/// What one transaction has read, and the check at its commit. Used by its thread only.
class ReadTracker {
 public:
  ReadTracker(Index<VersionedRecord>& index, RangeReads& ranges) : index_(index), ranges_(ranges) {}

  /// The transaction that is checked.
  struct Committer {
    TxnId id = 0;
    const CommitCell* cell = nullptr;
    Stamp snapshot = 0;
    Stamp stamp = kNoStamp;  ///< kNoStamp: it has written nothing
    bool writes() const noexcept { return stamp != kNoStamp; }
  };
  /// Why it may not commit: the row that it has read or written, and its part in the structure.
  struct Danger {
    enum class Part : std::uint8_t { reader, pivot, unknown };
    Part part;
    std::string key;
  };

  /// A row was read; its latch is held. `was_overwritten`: there is a version that the snapshot does not see.
  void mark(VersionedRecord& record, Stamp snapshot, bool was_overwritten) noexcept {
    record.latest_reader = std::max(record.latest_reader, snapshot);
    was_overwritten_ |= was_overwritten;
  }
  /// Notes the row that was read, without its latch.
  void remember(VersionedRecord& record, std::size_t hash);
  /// Before the first row of it is looked at.
  void remember_range(TxnId reader, Stamp snapshot, KeyView from, KeyView to, bool includes_to);
  /// The latest range did not get further than `last`.
  void narrow(KeyView last);

  /// False: it only reads, and nobody has overwritten anything that it read before it did. Then there is nothing to
  /// check: a transaction that overwrites it later finds its marks.
  bool must_check(bool writes) const noexcept { return writes || was_overwritten_; }
  /// Finds out what was overwritten, and whether the committer is the T1 of a dangerous structure. Everything that it
  /// writes is in the rows already, and its stamp is announced.
  std::optional<Danger> check_reads(const Committer& me);
  /// The T2: `record` is one that it has written, with its version in place.
  std::optional<Danger> check_write(const Committer& me, KeyView key, VersionedRecord& record);
  /// After check_reads(): see Version::earliest_out().
  Stamp earliest_out() const noexcept { return earliest_out_; }

  void end(bool committed) noexcept;

 private:
  static constexpr std::size_t kMaxRanges = 1024;

  struct Read {
    VersionedRecord* record = nullptr;
  };
  struct Range {
    std::string from;
    std::string to;
    bool includes_to = false;
    RangeReads::Ticket ticket = 0;
  };
  std::optional<Danger> check_read(const Committer& me, VersionedRecord& record);
  std::optional<Danger> check_range(const Committer& me, const Range& range);

  Index<VersionedRecord>& index_;
  RangeReads& ranges_;
  Recycled<Read> reads_;
  KeySet reads_by_hash_;
  Recycled<Range> read_ranges_;
  bool has_read_everything_ = false;
  bool was_overwritten_ = false;
  Stamp earliest_out_ = kNoStamp;
};

}  // namespace lockstep::kv
