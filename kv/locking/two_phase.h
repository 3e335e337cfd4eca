// two_phase.h: strict two-phase locking (Eswaran et al. 1976; Gray and Reuter 1993, 7.6), shared by every protocol
// that locks. What happens on a conflict is the lock manager's business: that is where those protocols differ.
//
// A read takes a shared lock, a read for update an update lock, a write an exclusive one; all are kept to the end.
// Writes are in place, with an undo log. Guarantee: serializable, no dirty data, no phantoms.
#pragma once

#include <memory>
#include <string>

#include "kv/index/index.h"
#include "kv/locking/locks.h"
#include "kv/memory/value_cell.h"
#include "kv/transaction/protocol.h"

namespace lockstep::kv {

/// A row: its lock, which also says whether it is vacant, and its value, which the lock guards.
///
/// A row that is not there has a record too while anybody has or wants its lock. Scans do not meet the record of a key
/// that was never there. The last transaction to give the lock of a vacant row back takes the record out of the index.
/// For a key that scans have met that joins two gaps, which nobody notices: nobody has a lock on either the row or its
/// gap.
struct TwoPhaseRecord : LockCell, ValueCell {};

/// How scans are protected from rows that appear in their range.
enum class RangeGuard : std::uint8_t {
  next_key,    ///< the scan locks every gap that it passes; an insert locks the gap that it splits, for a moment
  membership,  ///< one lock, on the end of the key space, for scans, inserts and erases; kept to the end
};

class TwoPhase final : public Protocol {
 public:
  struct Config {
    std::unique_ptr<LockManager> locks;
    RangeGuard range_guard = RangeGuard::next_key;
    /// A reader takes the row for itself too (one unit a row).
    bool only_exclusive = false;
  };
  explicit TwoPhase(Config config);

  std::vector<LockInfo> locks() const override { return config_.locks->locks(); }
  std::vector<WaitEdge> waits() const override { return config_.locks->waits(); }
  std::vector<WaitEdge> waits_of(TxnId txn) const override;
  std::vector<DeadlockReport> deadlocks() const override { return config_.locks->deadlocks(); }
  std::optional<Neighbourhood> neighbourhood(KeyView from, KeyView to) const override;
  std::vector<std::string> vacant_keys_of(TxnId txn) const override;

 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class TwoPhaseTransaction;
  Config config_;
  mutable Index<TwoPhaseRecord> index_{epochs()};  // looking for a key moves nothing that others see
  LockCell end_of_keys_;
};

}  // namespace lockstep::kv
