// multi_version.h: rows with versions and transactions with snapshots, shared by `snapshot` and `ssi`.
//
// Behaviour: PostgreSQL's REPEATABLE READ, and SERIALIZABLE when reads are tracked. The snapshot is taken by the first
// operation that looks at rows, not by begin. A transaction that writes a row (or reads it for update) waits for
// another one that is writing it. It gives up with serialization_failure when that one commits (first updater wins).
// Deadlocks among such waits are found as in 2pl-detect.
//
// Isolation::read_committed: PostgreSQL's READ COMMITTED. Each operation has a snapshot of its own, and a write goes on
// top of whatever was committed while it waited.
#pragma once

#include <memory>

#include "kv/index/index.h"
#include "kv/locking/lock_table.h"
#include "kv/transaction/protocol.h"
#include "kv/versions/antidependency.h"
#include "kv/versions/version_collector.h"
#include "kv/versions/versions.h"

namespace lockstep::kv {

class MultiVersion final : public Protocol {
 public:
  struct Config {
    std::unique_ptr<LockTable> locks;  ///< for writers of a row
    bool tracks_reads = false;         ///< serializable: no dangerous structure commits (antidependency.h)
  };
  explicit MultiVersion(Config config);

  std::vector<LockInfo> locks() const override { return config_.locks->locks(); }
  std::vector<WaitEdge> waits() const override { return config_.locks->waits(); }
  std::vector<WaitEdge> waits_of(TxnId txn) const override;
  std::vector<DeadlockReport> deadlocks() const override { return config_.locks->deadlocks(); }

 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class MultiVersionTransaction;

  /// The oldest moment that a transaction may still look at.
  Stamp horizon() const;
  /// horizon() or a moment before it; not much before it (kRecent), unless a transaction holds it back.
  Stamp recent_horizon(Stamp now);
  static constexpr Stamp kRecent = 16;

  const Config config_;
  Index<VersionedRecord> index_{epochs()};
  VersionCollector collector_{index_};
  RangeReads ranges_;
  alignas(64) std::atomic<Stamp> now_{1};  // the stamp of the latest commit
  alignas(64) std::atomic<Stamp> horizon_{0};
};

}  // namespace lockstep::kv
