// two_phase.cc: the operations of strict two-phase locking.
#include "kv/two_phase.h"

#include <fmt/format.h>

#include <iterator>

#include "kv/lock_journal.h"

namespace lockstep::kv {

class TwoPhaseTransaction final : public TransactionState {
 public:
  explicit TwoPhaseTransaction(TwoPhase& store) : store_(store), locks_(*store.config_.locks) {}

  const LockOwner& owner() const noexcept { return owner_; }

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  Mark mark() const noexcept override { return {undo_.size(), journal_.mark()}; }
  void undo_to(Mark mark) override;

  bool is_waiting() const noexcept override { return owner_.is_waiting(); }
  std::optional<Error> take_verdict() override { return std::exchange(owner_.verdict, std::nullopt); }
  Nanos wait_deadline() const noexcept override { return owner_.deadline; }
  void cancel_wait(Fault why) noexcept override { locks_.cancel(owner_, why); }

 protected:
  void start(const TxnOptions& options) override {
    owner_.start(id, age, label);
    owner_.claims.assign(options.claims.begin(), options.claims.end());
    owner_.claims_all = options.claims_all;
    split_.begun = false;
  }

 private:
  using Iterator = Index<TwoPhaseRecord>::Iterator;

  struct Undo {
    TwoPhaseRecord* record = nullptr;
    std::string value;
    bool existed = false;
    std::string key;  // only with a log
  };
  Strength strength(Access access) const noexcept {
    if (store_.config_.only_exclusive) return Strength::exclusive;
    return access == Access::plain ? Strength::shared : Strength::update;
  }
  bool guards_membership() const noexcept { return store_.config_.range_guard == RangeGuard::membership; }

  /// nullopt = pending. Remembers the change once it is granted, for savepoints.
  Attempt<void> lock(KeyView key, LockSpec wanted, Waiter& waiter);
  Attempt<void> lock_row(KeyView key, Strength strength, Waiter& waiter) {
    return lock(key, row_lock(strength), waiter);
  }
  /// Before a row appears or vanishes: keeps scans from missing it, and makes sure that it has a record.
  Attempt<void> enter(KeyView key, TwoPhaseRecord*& record, Waiter& waiter);
  Attempt<void> leave(Waiter& waiter);
  Attempt<void> split_gap(KeyView key, TwoPhaseRecord*& record, Waiter& waiter);
  Attempt<void> scan_next_key(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Strength strength,
                              Waiter& waiter);
  Attempt<void> scan_members(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Strength strength,
                             Waiter& waiter);

  /// Needs the exclusive lock on the row.
  void set(KeyView key, TwoPhaseRecord& record, bool exists, std::string_view value);
  void log();
  /// The transaction has learnt something about the row: a savepoint may weaken the lock, but not give it back.
  void observe(KeyView key) {
    if (!savepoints.empty()) locks_.find(owner_, key)->observed = true;
  }

  /// The exclusive lock on a gap, for the moment of an insertion.
  struct Split {
    bool begun = false;
    std::string successor;
    LockSpec before;  // what this transaction had on the successor
  };

  TwoPhase& store_;
  LockManager& locks_;
  LockOwner owner_;
  Split split_;
  Recycled<Undo> undo_;
  KeySet logged_;        // the keys that log() has seen
  LockJournal journal_;  // filled only while there is a savepoint
};

Attempt<void> TwoPhaseTransaction::lock(KeyView key, LockSpec wanted, Waiter& waiter) {
  return savepoints.empty() ? locks_.lock(owner_, key, wanted, waiter)
                            : journal_.lock(locks_, owner_, key, wanted, waiter);
}

Attempt<bool> TwoPhaseTransaction::read(KeyView key, std::string& value, Access access, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, strength(access), waiter));
  observe(key);
  const TwoPhaseRecord* const record = store_.index_.find(key);
  if (!record || !record->exists) return {false};
  value.assign(record->value);
  return {true};
}

Attempt<void> TwoPhaseTransaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, waiter));
  TwoPhaseRecord* record = store_.index_.find(key);
  if (!record || !record->exists) LOCKSTEP_TRY(enter(key, record, waiter));
  set(key, *record, true, value);
  return Result<void>();
}

Attempt<void> TwoPhaseTransaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, waiter));
  observe(key);
  TwoPhaseRecord* record = store_.index_.find(key);
  if (record && record->exists)
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", owner_.label, key)});
  LOCKSTEP_TRY(enter(key, record, waiter));
  set(key, *record, true, value);
  return Result<void>();
}

Attempt<bool> TwoPhaseTransaction::write_if(KeyView key, std::string_view expected, std::string_view value,
                                            Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, waiter));
  observe(key);
  TwoPhaseRecord* const record = store_.index_.find(key);
  if (!record || !record->exists || record->value != expected) return {false};
  set(key, *record, true, value);
  return {true};
}

Attempt<bool> TwoPhaseTransaction::erase(KeyView key, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, waiter));
  observe(key);
  TwoPhaseRecord* const record = store_.index_.find(key);
  if (!record || !record->exists) return {false};
  LOCKSTEP_TRY(leave(waiter));
  set(key, *record, false, {});
  return {true};
}

Attempt<void> TwoPhaseTransaction::enter(KeyView key, TwoPhaseRecord*& record, Waiter& waiter) {
  if (guards_membership()) {
    LOCKSTEP_TRY(lock(kEndOfKeys, gap_lock(Strength::exclusive), waiter));
    if (!record) record = &store_.index_.find_or_add(key);
    return Result<void>();
  }
  // A tombstone has its record: a scan has locked that row or will wait for it.
  return record ? Result<void>() : split_gap(key, record, waiter);
}

Attempt<void> TwoPhaseTransaction::leave(Waiter& waiter) {
  if (!guards_membership()) return Result<void>();
  return lock(kEndOfKeys, gap_lock(Strength::exclusive), waiter);
}

// A gap can be split only by who has it exclusively, so between the check that `successor` still is the successor and
// the insertion nobody else splits it. Afterwards the exclusive row lock on the new key holds up every scan that meets
// it, so the gap is given back at once. What this transaction had of the whole gap it has of both halves.
Attempt<void> TwoPhaseTransaction::split_gap(KeyView key, TwoPhaseRecord*& record, Waiter& waiter) {
  const auto successor_of = [this](KeyView k) {
    const Iterator next = store_.index_.after(k);
    return next == store_.index_.end() ? kEndOfKeys : KeyView(next->first);
  };
  while (true) {
    if (!split_.begun) {  // otherwise an earlier attempt of this call waited for the gap
      split_.successor.assign(successor_of(key));
      const LockRequest* const before = locks_.find(owner_, split_.successor);
      split_.before = before ? before->held : LockSpec{};
      split_.begun = true;
    }
    LOCKSTEP_TRY(locks_.lock(owner_, split_.successor, gap_lock(Strength::exclusive), waiter));
    const bool still = successor_of(key) == split_.successor;
    if (still) {
      // Its half of the gap first: as soon as the key is in the index, others ask for the gap before it.
      if (split_.before.gap != Strength::none) LOCKSTEP_TRY(lock(key, gap_lock(split_.before.gap), waiter));
      record = &store_.index_.find_or_add(key);
    }
    locks_.weaken(*locks_.find(owner_, split_.successor), split_.before);
    split_.begun = false;
    if (still) return Result<void>();
  }
}

Attempt<void> TwoPhaseTransaction::scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                        Access access, Waiter& waiter) {
  const Strength rows_as = strength(access);
  return guards_membership() ? scan_members(from, to, limit, rows, rows_as, waiter)
                             : scan_next_key(from, to, limit, rows, rows_as, waiter);
}

Attempt<void> TwoPhaseTransaction::scan_next_key(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                                 Strength strength, Waiter& waiter) {
  Index<TwoPhaseRecord>& index = store_.index_;
  Iterator previous = index.end();  // end() = no entry passed yet
  while (true) {
    const auto following = [&] { return previous == index.end() ? index.at_or_after(from) : std::next(previous); };
    const Iterator next = following();
    const bool at_end = next == index.end();
    const bool in_range = !at_end && (to.empty() || KeyView(next->first) < to);
    const KeyView key = at_end ? kEndOfKeys : KeyView(next->first);
    LOCKSTEP_TRY(lock(key, {in_range ? strength : Strength::none, Strength::shared}, waiter));
    if (in_range) observe(key);
    if (following() != next) continue;  // somebody split the gap before we had it
    if (!in_range) return Result<void>();
    if (next->second.exists) {
      rows.push_back(Row{std::string(next->first), next->second.value});
      if (rows.size() == limit) return Result<void>();
    }
    previous = next;
  }
}

// With the membership locked, no row appears or vanishes: only rows that exist need a lock of their own.
Attempt<void> TwoPhaseTransaction::scan_members(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                                Strength strength, Waiter& waiter) {
  LOCKSTEP_TRY(lock(kEndOfKeys, gap_lock(Strength::exclusive), waiter));
  if (!savepoints.empty()) observe(kEndOfKeys);
  for (Iterator it = store_.index_.at_or_after(from); it != store_.index_.end(); ++it) {
    if (!to.empty() && KeyView(it->first) >= to) break;
    if (!it->second.exists) continue;
    LOCKSTEP_TRY(lock_row(it->first, strength, waiter));
    observe(it->first);
    rows.push_back(Row{std::string(it->first), it->second.value});
    if (rows.size() == limit) break;
  }
  return Result<void>();
}

void TwoPhaseTransaction::set(KeyView key, TwoPhaseRecord& record, bool exists, std::string_view value) {
  Undo& undo = undo_.take();
  if (is_logged()) undo.key.assign(key);
  undo.record = &record;
  undo.existed = record.exists;
  undo.value.swap(record.value);
  record.exists = exists;
  record.value.assign(value);
}

void TwoPhaseTransaction::log() {
  WriteSet* const writes = log_writes();
  if (!writes) return;
  logged_.clear();
  for (std::size_t i = 0; i < undo_.size(); ++i) {
    const TwoPhaseRecord* const record = undo_[i].record;
    const std::size_t hash = hash_of(undo_[i].key);
    if (logged_.find(hash, [&](std::size_t k) { return undo_[k].record == record; }) != KeySet::npos) continue;
    logged_.add(hash, i);
    if (record->exists)
      writes->put(undo_[i].key, record->value);
    else
      writes->erase(undo_[i].key);
  }
  append_to_log();
}

Attempt<void> TwoPhaseTransaction::commit(Waiter&) {
  log();
  undo_.clear();
  journal_.clear();
  locks_.release_all(owner_);
  return Result<void>();
}

void TwoPhaseTransaction::roll_back() noexcept {
  locks_.cancel(owner_, Fault::cancelled);
  owner_.verdict.reset();
  while (!undo_.empty()) {
    Undo& undo = undo_.back();
    undo.record->exists = undo.existed;
    undo.record->value.swap(undo.value);
    undo_.shrink_to(undo_.size() - 1);
  }
  journal_.clear();
  locks_.release_all(owner_);
}

void TwoPhaseTransaction::undo_to(Mark mark) {
  while (undo_.size() > mark.writes) {
    Undo& undo = undo_.back();
    undo.record->exists = undo.existed;
    undo.record->value.swap(undo.value);
    undo_.shrink_to(undo_.size() - 1);
  }
  // What the transaction has seen since then it must keep shared: it may still act on it.
  journal_.undo_to(mark.locks, locks_, owner_, [this](const LockRequest& request, LockSpec before) {
    LockSpec kept = before;
    if (request.observed) kept.row = std::max(kept.row, std::min(request.held.row, strength(Access::plain)));
    kept.gap = std::max(kept.gap, request.held.gap);
    return kept;
  });
}

std::unique_ptr<TransactionState> TwoPhase::make_state() { return std::make_unique<TwoPhaseTransaction>(*this); }

std::vector<WaitEdge> TwoPhase::waits_of(TxnId txn) const {
  std::vector<WaitEdge> edges;
  with_active(txn, [&](const TransactionState& state) {
    edges = config_.locks->waits_of(static_cast<const TwoPhaseTransaction&>(state).owner());
  });
  return edges;
}

}  // namespace lockstep::kv
