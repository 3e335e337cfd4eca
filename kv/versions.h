// versions.h: rows with several versions, so that a reader sees one moment of the store without waiting for writers.
//
// Multi-version concurrency control (Bernstein and Goodman 1983; snapshots as in Berenson et al. 1995): a version is
// stamped with the time of its commit; a snapshot of time S sees of each row the newest version with a stamp <= S.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kv/lock_cell.h"
#include "kv/store.h"

namespace lockstep::kv {

/// A moment of the store: how many commits there have been.
using Stamp = std::uint64_t;

/// Where a transaction's commit becomes visible, all its versions at once.
///
/// State: active --begin_commit()--> committing --end_commit()--> a stamp --reset()--> active.
/// The stamp is drawn between the two, so whoever takes a snapshot at or after it sees at least "committing" and looks
/// again until the stamp is there: a few instructions of the committer.
class CommitCell {
 public:
  /// Sequentially consistent, as is the clock: the marker must not be seen after the stamp that follows it is drawn.
  void begin_commit() noexcept { value_.store(kCommitting); }
  void end_commit(Stamp stamp) noexcept { value_.store(stamp); }
  void reset() noexcept { value_.store(kActive, std::memory_order_relaxed); }

  /// True when it committed at or before `snapshot`.
  bool visible_at(Stamp snapshot) const noexcept;

 private:
  static constexpr Stamp kActive = 0;
  static constexpr Stamp kCommitting = ~Stamp{0};
  std::atomic<Stamp> value_{kActive};
};

struct Version {
  const CommitCell* writer = nullptr;  // until the version has its stamp
  Stamp stamp = 0;
  bool exists = false;
  std::string value;
  Version* older = nullptr;
};

/// A row. Every field is guarded by the latch of its key. Vacant: it never had a version.
struct VersionedRecord : LockCell {
  Version* newest = nullptr;
  std::size_t versions = 0;
  std::size_t collect_at = 8;  // how many versions are worth a look for ones that nobody can see any more

  VersionedRecord() = default;
  VersionedRecord(const VersionedRecord&) = delete;
  VersionedRecord& operator=(const VersionedRecord&) = delete;
  ~VersionedRecord();

  /// What a snapshot sees; nullptr when the row did not exist yet. A tombstone is a version with `exists` false.
  const Version* at(Stamp snapshot) const noexcept;
  /// The stamp of the newest version that is committed; 0 when there is none. Not while somebody else may commit one.
  Stamp changed_at() const noexcept { return newest ? newest->stamp : 0; }
  void push(Version& version) noexcept;
  /// Takes off what no snapshot at or after `horizon` can see: a chain of versions that is now the caller's.
  Version* collect(Stamp horizon) noexcept;
};

/// Deletes a chain.
void free_versions(Version* chain) noexcept;

}  // namespace lockstep::kv
