// two_phase.cc: the operations of strict two-phase locking.
#include "kv/locking/two_phase.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <thread>

#include "kv/index/hints.h"
#include "kv/locking/lock_journal.h"
#include "kv/locking/locking_transaction.h"

namespace lockstep::kv {

class TwoPhaseTransaction final : public LockingTransaction<LockManager> {
 public:
  explicit TwoPhaseTransaction(TwoPhase& store)
      : LockingTransaction(*store.config_.locks), store_(store), hints_(store.index_) {}

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  Mark mark() noexcept override { return {undo_.size(), journal_.mark()}; }
  void undo_to(Mark mark) override;
  void prefetch(std::span<const KeyView> keys) override { hints_.fetch(keys); }
  void prefetch(std::span<const std::string> keys) override { hints_.fetch(keys); }

 protected:
  void start(const TxnOptions& options) override {
    hints_.clear();
    owner_.start(id, age, label);
    owner_.claims_all = options.claims_all;
    if (guards_membership()) owner_.claims.assign(options.claims.begin(), options.claims.end());
    short_reads_ = options.isolation == Isolation::read_committed && !guards_membership();
    awaited_.clear();
    split_.begun = false;
  }

 private:
  using Iterator = Index<TwoPhaseRecord>::Iterator;

  struct Undo {
    TwoPhaseRecord* record = nullptr;
    std::string value;
    bool existed = false;
  };
  Strength strength(Access access) const noexcept {
    if (store_.config_.only_exclusive) return Strength::exclusive;
    return access == Access::plain ? Strength::shared : Strength::update;
  }
  bool guards_membership() const noexcept { return store_.config_.range_guard == RangeGuard::membership; }

  static LockTarget target_of(TwoPhaseRecord& record) noexcept {
    return {&record, Index<TwoPhaseRecord>::key_of(record)};
  }
  LockTarget target_of(const Iterator& it) const noexcept {
    return it == store_.index_.end() ? end_of_keys() : LockTarget{&it->second, it->first};
  }
  LockTarget end_of_keys() const noexcept { return {&store_.end_of_keys_, kEndOfKeys}; }

  /// Remembers the change once it is granted, for savepoints.
  Locked lock(const LockTarget& target, LockSpec wanted, Waiter& waiter);
  /// nullopt = pending. `record` is the row's, made when there is none, so that there is something to lock. Under the
  /// banker, which locks keys, it is nullptr instead. `value_bytes`: what is to be written.
  Attempt<void> lock_row(KeyView key, Strength strength, TwoPhaseRecord*& record, Waiter& waiter,
                         std::size_t value_bytes = 0);
  /// As lock_row(), for membership.
  Attempt<void> lock_members(Waiter& waiter);
  /// Before a row appears or vanishes: keeps scans from missing it, and makes sure that they meet its record.
  Attempt<void> enter(KeyView key, TwoPhaseRecord*& record, Waiter& waiter);
  Attempt<void> leave(TwoPhaseRecord& record, Waiter& waiter);
  Attempt<void> split_gap(TwoPhaseRecord& record, Waiter& waiter);
  Attempt<void> scan_next_key(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Strength strength,
                              Waiter& waiter);
  /// Isolation::read_committed: a shared lock on the row for the time of `look()` only.
  template <class Look>
  Locked look_at(const LockTarget& target, Waiter& waiter, Look look);
  Attempt<bool> read_shortly(KeyView key, std::string& value, Waiter& waiter);
  /// Gives back the short locks that an operation waited for and then had no use for.
  void drop_awaited();
  /// Isolation::read_committed: row by row, without the gaps.
  Attempt<void> scan_rows(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access, Waiter& waiter);
  Attempt<void> scan_members(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Strength strength,
                             Waiter& waiter);
  static void add_row(KeyView key, const TwoPhaseRecord& record, RowSink& rows) {
    Row& row = rows.next();
    assign_short(row.key, key);
    record.copy_to(row.value);
  }

  /// Needs the exclusive lock on the row.
  void set(TwoPhaseRecord& record, bool exists, std::string_view value);
  void log();
  void undo_last() noexcept;
  /// Takes the vacant records that this transaction has entered or left out of the index, under membership.
  void remove_vacant() noexcept;
  /// The transaction has learnt something about the row: a savepoint may weaken the lock, but not give it back.
  void observe(const LockTarget& target) {
    if (!savepoints.empty()) locks_.find(owner_, target)->observed = true;
  }
  void observe(KeyView key, TwoPhaseRecord* record) { observe({record, key}); }

  /// The exclusive lock on a gap, for the moment of an insertion.
  struct Split {
    bool begun = false;
    LockTarget successor;
    LockSpec before;  // what this transaction had on the successor
  };

  /// A short lock that the current operation waits for, or has waited for.
  struct Awaited {
    LockTarget target;
    LockSpec before;  // what this transaction had on it
  };

  TwoPhase& store_;
  Hints<TwoPhaseRecord> hints_;
  bool short_reads_ = false;
  std::vector<Awaited> awaited_;
  Split split_;
  Recycled<Undo> undo_;
  KeySet logged_;  // the records that log() has seen
  std::string scratch_;
  LockJournal journal_;                          // filled only while there is a savepoint
  std::vector<TwoPhaseRecord*> perhaps_vacant_;  // filled only under membership
};

TwoPhase::TwoPhase(Config config) : config_(std::move(config)) {
  end_of_keys_.set_vacant(false);  // it never goes
  config_.locks->when_gone([this](LockCell& cell) { index_.remove(static_cast<TwoPhaseRecord&>(cell)); });
}

Locked TwoPhaseTransaction::lock(const LockTarget& target, LockSpec wanted, Waiter& waiter) {
  return savepoints.empty() ? locks_.lock(owner_, target, wanted, waiter)
                            : journal_.lock(locks_, owner_, target, wanted, waiter);
}

Attempt<void> TwoPhaseTransaction::lock_row(KeyView key, Strength strength, TwoPhaseRecord*& record, Waiter& waiter,
                                            std::size_t value_bytes) {
  if (guards_membership()) {
    const Locked locked = lock({nullptr, key}, row_lock(strength), waiter);
    if (locked != Locked::granted) return answer(locked, owner_);
    record = store_.index_.find(key);  // after the lock: an earlier holder may have removed the record
    return Result<void>();
  }
  const Hints<TwoPhaseRecord>::Place place = hints_.known(key);
  for (TwoPhaseRecord* hinted = place.record;; hinted = nullptr) {
    record = hinted ? hinted : &store_.index_.find_or_hide(key, place.hash, value_bytes);
    const Locked locked = lock(target_of(*record), row_lock(strength), waiter);
    if (locked != Locked::gone) return answer(locked, owner_);
    std::this_thread::yield();  // until it has left
  }
}

Attempt<void> TwoPhaseTransaction::lock_members(Waiter& waiter) {
  return answer(lock(end_of_keys(), gap_lock(Strength::exclusive), waiter), owner_);
}

Attempt<bool> TwoPhaseTransaction::read(KeyView key, std::string& value, Access access, Waiter& waiter) {
  if (short_reads_ && access == Access::plain) return read_shortly(key, value, waiter);
  TwoPhaseRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, strength(access), record, waiter));
  observe(key, record);
  if (!record || record->is_vacant()) return {false};
  record->copy_to(value);
  return {true};
}

Attempt<bool> TwoPhaseTransaction::read_shortly(KeyView key, std::string& value, Waiter& waiter) {
  const Hints<TwoPhaseRecord>::Place place = hints_.known(key);
  for (TwoPhaseRecord* hinted = place.record;; hinted = nullptr) {
    TwoPhaseRecord& record = hinted ? *hinted : store_.index_.find_or_hide(key, place.hash);
    bool found = false;
    const Locked locked = look_at(target_of(record), waiter, [&] {
      found = !record.is_vacant();
      if (found) record.copy_to(value);
    });
    if (locked == Locked::gone) {
      std::this_thread::yield();  // until it has left
      continue;
    }
    LOCKSTEP_TRY(answer(locked, owner_));
    drop_awaited();  // of a record that has gone since
    return {found};
  }
}

Attempt<void> TwoPhaseTransaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  TwoPhaseRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, record, waiter, value.size()));
  if (!record || record->is_vacant()) LOCKSTEP_TRY(enter(key, record, waiter));
  set(*record, true, value);
  return Result<void>();
}

Attempt<void> TwoPhaseTransaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  TwoPhaseRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, record, waiter, value.size()));
  observe(key, record);
  if (record && !record->is_vacant())
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", owner_.name(), key)});
  LOCKSTEP_TRY(enter(key, record, waiter));
  set(*record, true, value);
  return Result<void>();
}

Attempt<bool> TwoPhaseTransaction::write_if(KeyView key, std::string_view expected, std::string_view value,
                                            Waiter& waiter) {
  TwoPhaseRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, record, waiter));
  observe(key, record);
  if (!record || record->is_vacant() || !record->equals(expected)) return {false};
  set(*record, true, value);
  return {true};
}

Attempt<bool> TwoPhaseTransaction::erase(KeyView key, Waiter& waiter) {
  TwoPhaseRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, record, waiter));
  observe(key, record);
  if (!record || record->is_vacant()) return {false};
  LOCKSTEP_TRY(leave(*record, waiter));
  set(*record, false, {});
  return {true};
}

Attempt<void> TwoPhaseTransaction::enter(KeyView key, TwoPhaseRecord*& record, Waiter& waiter) {
  if (guards_membership()) {
    LOCKSTEP_TRY(lock_members(waiter));
    // Anew: a transaction that had rolled back to a savepoint may have taken a vacant record out until just now.
    record = &store_.index_.find_or_add(key);
    perhaps_vacant_.push_back(record);
    return Result<void>();
  }
  // A row that was there before is still met by scans: each has locked it or will wait for it.
  return store_.index_.is_listed(*record) ? Result<void>() : split_gap(*record, waiter);
}

Attempt<void> TwoPhaseTransaction::leave(TwoPhaseRecord& record, Waiter& waiter) {
  if (!guards_membership()) return Result<void>();
  LOCKSTEP_TRY(lock_members(waiter));
  perhaps_vacant_.push_back(&record);
  return Result<void>();
}

// Only a transaction that has a gap exclusively can split it. So nobody else splits it between the check that
// `successor` still is the successor and the insertion. Afterwards the exclusive row lock on the new key holds up every
// scan that meets it, so the gap is given back at once. What this transaction had of the whole gap it has of both
// halves.
Attempt<void> TwoPhaseTransaction::split_gap(TwoPhaseRecord& record, Waiter& waiter) {
  const KeyView key = Index<TwoPhaseRecord>::key_of(record);
  const auto successor_of = [&] { return target_of(store_.index_.after(key)); };
  while (true) {
    if (!split_.begun) {  // otherwise an earlier attempt of this call waited for the gap
      split_.successor = successor_of();
      const LockRequest* const before = locks_.find(owner_, split_.successor);
      split_.before = before ? before->held : LockSpec{};
      split_.begun = true;
    }
    const Locked locked = locks_.lock(owner_, split_.successor, gap_lock(Strength::exclusive), waiter);
    if (locked == Locked::gone) {
      split_.begun = false;
      std::this_thread::yield();
      continue;
    }
    LOCKSTEP_TRY(answer(locked, owner_));
    const bool still = successor_of().cell == split_.successor.cell;
    if (still) {
      // Its half of the gap first: as soon as scans meet the key, others ask for the gap before it.
      if (split_.before.gap != Strength::none) {
        LOCKSTEP_TRY(answer(lock(target_of(record), gap_lock(split_.before.gap), waiter), owner_));
        // The transaction has seen that the key was not there: its scan passed it. From here on only the row says so,
        // because the next writer finds the key listed and asks for no gap.
        observe(target_of(record));
      }
      store_.index_.list(record);
    }
    locks_.weaken(*locks_.find(owner_, split_.successor), split_.before);
    split_.begun = false;
    if (still) return Result<void>();
  }
}

Attempt<void> TwoPhaseTransaction::scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                                        Waiter& waiter) {
  const Strength rows_as = strength(access);
  if (short_reads_) return scan_rows(from, to, limit, rows, access, waiter);
  return guards_membership() ? scan_members(from, to, limit, rows, rows_as, waiter)
                             : scan_next_key(from, to, limit, rows, rows_as, waiter);
}

Attempt<void> TwoPhaseTransaction::scan_next_key(KeyView from, KeyView to, std::size_t limit, RowSink& rows,
                                                 Strength strength, Waiter& waiter) {
  Index<TwoPhaseRecord>& index = store_.index_;
  Iterator previous = index.end();  // end() = no entry passed yet
  const auto following = [&] { return previous == index.end() ? index.at_or_after(from) : std::next(previous); };
  while (true) {
    const Iterator next = following();
    const bool at_end = next == index.end();
    const bool in_range = !at_end && (to.empty() || KeyView(next->first) < to);
    const LockTarget target = target_of(next);
    const Locked locked = lock(target, {in_range ? strength : Strength::none, Strength::shared}, waiter);
    if (locked == Locked::gone) {
      std::this_thread::yield();
      continue;
    }
    if (locked != Locked::granted) return answer(locked, owner_);
    if (in_range) observe(target);
    if (following() != next) continue;  // somebody split the gap before we had it
    if (!in_range) return Result<void>();
    if (!next->second.is_vacant()) {
      add_row(target.key, next->second, rows);
      if (rows.size() == limit) return Result<void>();
    }
    previous = next;
  }
}

template <class Look>
Locked TwoPhaseTransaction::look_at(const LockTarget& target, Waiter& waiter, Look look) {
  const auto awaited =
      std::find_if(awaited_.begin(), awaited_.end(), [&](const Awaited& a) { return a.target.cell == target.cell; });
  const bool was_awaited = awaited != awaited_.end();
  const LockRequest* const mine = locks_.find(owner_, target);
  const LockSpec before = was_awaited ? awaited->before : mine ? mine->held : LockSpec{};
  const Locked locked = locks_.lock(owner_, target, row_lock(Strength::shared), waiter);
  if (locked == Locked::pending && !was_awaited) awaited_.push_back({target, before});
  if (locked != Locked::granted) return locked;
  look();
  locks_.weaken(*locks_.find(owner_, target), before);
  if (was_awaited) awaited_.erase(awaited);
  return locked;
}

void TwoPhaseTransaction::drop_awaited() {
  for (const Awaited& awaited : awaited_)
    if (LockRequest* const request = locks_.find(owner_, awaited.target)) locks_.weaken(*request, awaited.before);
  awaited_.clear();
}

Attempt<void> TwoPhaseTransaction::scan_rows(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                                             Waiter& waiter) {
  for (Iterator it = store_.index_.at_or_after(from); it != store_.index_.end() && rows.size() < limit; ++it) {
    if (!to.empty() && KeyView(it->first) >= to) break;
    const LockTarget target = target_of(it);
    const auto look = [&] {
      if (!it->second.is_vacant()) add_row(target.key, it->second, rows);
    };
    const Locked locked =
        access == Access::plain ? look_at(target, waiter, look) : lock(target, row_lock(strength(access)), waiter);
    if (locked == Locked::gone) continue;
    LOCKSTEP_TRY(answer(locked, owner_));
    if (access == Access::for_update) look();
  }
  drop_awaited();  // the rows in front of it may have been enough this time
  return Result<void>();
}

// With the membership locked, no row appears or vanishes: only rows that exist need a lock of their own.
Attempt<void> TwoPhaseTransaction::scan_members(KeyView from, KeyView to, std::size_t limit, RowSink& rows,
                                                Strength strength, Waiter& waiter) {
  LOCKSTEP_TRY(lock_members(waiter));
  observe(end_of_keys());
  for (Iterator it = store_.index_.at_or_after(from); it != store_.index_.end(); ++it) {
    const KeyView key = it->first;
    if (!to.empty() && key >= to) break;
    if (it->second.is_vacant()) continue;
    LOCKSTEP_TRY(answer(lock({nullptr, key}, row_lock(strength), waiter), owner_));
    observe({nullptr, key});
    add_row(key, it->second, rows);
    if (rows.size() == limit) break;
  }
  return Result<void>();
}

void TwoPhaseTransaction::set(TwoPhaseRecord& record, bool exists, std::string_view value) {
  Undo& undo = undo_.take();
  undo.record = &record;
  undo.existed = !record.is_vacant();
  if (undo.existed) record.copy_to(undo.value);
  if (exists) record.ValueCell::set(value, nullptr);
  record.set_vacant(!exists);
}

void TwoPhaseTransaction::undo_last() noexcept {
  const Undo& undo = undo_.back();
  if (undo.existed) undo.record->ValueCell::set(undo.value, nullptr);
  undo.record->set_vacant(!undo.existed);
  undo_.shrink_to(undo_.size() - 1);
}

// The transaction has the membership to itself. It may have given back the row of a vacant record at a savepoint.
// Another transaction that has found the record then looks for it again once it has the membership: see enter().
void TwoPhaseTransaction::remove_vacant() noexcept {
  for (TwoPhaseRecord* const record : perhaps_vacant_)
    if (record->is_vacant() && store_.index_.is_listed(*record)) store_.index_.remove(*record);
  perhaps_vacant_.clear();
}

void TwoPhaseTransaction::log() {
  WriteSet* const writes = log_writes();
  if (!writes) return;
  logged_.clear();
  for (std::size_t i = 0; i < undo_.size(); ++i) {
    const TwoPhaseRecord* const record = undo_[i].record;
    const std::size_t hash = reinterpret_cast<std::uintptr_t>(record) / alignof(TwoPhaseRecord);
    if (logged_.find(hash, [&](std::size_t k) { return undo_[k].record == record; }) != KeySet::npos) continue;
    logged_.add(hash, i);
    const KeyView key = Index<TwoPhaseRecord>::key_of(*record);
    if (record->is_vacant()) {
      writes->erase(key);
    } else {
      record->copy_to(scratch_);
      writes->put(key, scratch_);
    }
  }
  append_to_log();
}

Attempt<void> TwoPhaseTransaction::commit(Waiter&) {
  log();
  undo_.clear();
  journal_.clear();
  remove_vacant();
  locks_.release_all(owner_);
  return Result<void>();
}

void TwoPhaseTransaction::roll_back() noexcept {
  locks_.cancel(owner_, Fault::cancelled);
  owner_.verdict.reset();
  while (!undo_.empty()) undo_last();
  journal_.clear();
  remove_vacant();
  locks_.release_all(owner_);
}

void TwoPhaseTransaction::undo_to(Mark mark) {
  while (undo_.size() > mark.writes) undo_last();
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

std::optional<Neighbourhood> TwoPhase::neighbourhood(KeyView from, KeyView to) const {
  if (config_.range_guard != RangeGuard::next_key) return std::nullopt;
  Neighbourhood around;
  KeyView below;
  bool has_below = false;
  for (auto it = index_.begin(); it != index_.end(); ++it) {
    const KeyView key = it->first;
    if (key < from) {
      below = key;
      has_below = true;
    } else if (to.empty() || key < to) {
      if (key == from) around.has_row = !it->second.is_vacant();
    } else {
      around.above.emplace(key);
      break;
    }
  }
  if (has_below) around.below.emplace(below);
  return around;
}

std::vector<std::string> TwoPhase::vacant_keys_of(TxnId txn) const {
  std::vector<std::string> keys;
  if (config_.range_guard != RangeGuard::next_key) return keys;
  for (LockInfo& lock : config_.locks->locks()) {
    if (lock.txn != txn || lock.key.empty()) continue;
    const TwoPhaseRecord* const record = index_.find(lock.key, hash_of(lock.key));
    if (record && record->is_vacant()) keys.push_back(std::move(lock.key));
  }
  return keys;
}

}  // namespace lockstep::kv
