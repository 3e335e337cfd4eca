// multi_version.cc: the operations of transactions that see a snapshot.
#include "kv/versions/multi_version.h"

#include <fmt/format.h>

#include <mutex>
#include <thread>

#include "kv/index/hints.h"
#include "kv/locking/lock_journal.h"
#include "kv/locking/locking_transaction.h"
#include "kv/transaction/write_buffer.h"

namespace lockstep::kv {
namespace {

constexpr Stamp kNoSnapshot = kNoStamp;
constexpr Stamp kTakingSnapshot = 0;  // holds up collection until the snapshot is known

constexpr std::size_t kMaxSpares = 256;  // what comes back at once when the horizon moves on

using LatchLock = std::lock_guard<VersionedRecord::Latch>;

}  // namespace

class MultiVersionTransaction final : public LockingTransaction<LockTable> {
 public:
  explicit MultiVersionTransaction(MultiVersion& store)
      : LockingTransaction(*store.config_.locks),
        store_(store),
        hints_(store.index_),
        reads_(store.index_, store.ranges_) {}
  ~MultiVersionTransaction() override { free_versions(spare_); }

  Stamp snapshot() const noexcept { return snapshot_.load(); }

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override { finish(false); }
  void prefetch(std::span<const KeyView> keys) override { hints_.fetch(keys); }
  void prefetch(std::span<const std::string> keys) override { hints_.fetch(keys); }
  Mark mark() noexcept override { return {writes_.mark(), journal_.mark()}; }
  void undo_to(Mark mark) override;

 protected:
  void start(const TxnOptions& options) override {
    hints_.clear();
    owner_.start(id, age, label);
    each_operation_looks_anew_ = options.isolation == Isolation::read_committed;
    tracks_ = store_.config_.tracks_reads && !each_operation_looks_anew_;
  }

 private:
  using Place = Hints<VersionedRecord>::Place;

  void take_snapshot() noexcept;
  /// Under read_committed what was committed since then is seen from here on.
  void look_anew() noexcept {
    if (each_operation_looks_anew_) snapshot_.store(kNoSnapshot, std::memory_order_relaxed);
    take_snapshot();
  }
  /// What the transaction sees: its own write or its snapshot. `value` may be nullptr.
  bool look(KeyView key, Place place, std::string* value);
  /// What the snapshot shows; nullopt: the row has no version that stays, and no mark on it would either. Not when
  /// `has_range`: the transaction has remembered a range with the key.
  std::optional<bool> look(VersionedRecord& record, std::size_t hash, std::string* value, bool has_range);
  void remember_range(KeyView from, KeyView to, bool includes_to);
  /// Waits until no other transaction writes the row.
  /// `value_bytes`: what is to be written.
  Attempt<void> lock_row(KeyView key, Place place, Strength strength, VersionedRecord*& record, Waiter& waiter,
                         std::size_t value_bytes = 0);
  /// Fails when somebody committed a change of the row after the snapshot. Needs the lock on the row.
  Result<void> still_as_seen(VersionedRecord& record);
  /// Both. Under read_committed the row may have changed, and is looked at anew.
  Attempt<void> claim(KeyView key, Place place, Strength strength, VersionedRecord*& record, Waiter& waiter,
                      std::size_t value_bytes = 0);
  /// Needs the lock on the row.
  void put(KeyView key, std::size_t hash, VersionedRecord& record, WriteBuffer::State state, std::string_view value);
  Attempt<void> claim_rows(const RowSink& rows, bool& is_new, Waiter& waiter);
  void scan_snapshot(KeyView from, KeyView to, std::size_t limit, RowSink& rows);

  std::optional<Error> check_reads();
  std::optional<Error> publish();
  std::optional<Error> check_serializable(Stamp stamp);
  Error dangerous(const ReadTracker::Danger& danger) const;
  void stamp_versions(Stamp stamp);
  void withdraw_versions() noexcept;
  Version& make_version();
  void keep_spare(Version* chain) noexcept;
  void finish(bool committed) noexcept;

  MultiVersion& store_;
  Hints<VersionedRecord> hints_;
  LockJournal journal_;
  WriteBuffer writes_;
  CommitCell cell_;
  ReadTracker reads_;
  bool tracks_ = false;
  bool each_operation_looks_anew_ = false;
  std::atomic<Stamp> snapshot_{kNoSnapshot};  // written by the owner only, read by collectors
  std::vector<VersionedRecord*> rows_;        // of each entry of writes_; its lock keeps it in the index
  std::vector<VersionedRecord*> published_;
  std::vector<VersionedRecord*> overwritten_;
  Version* spare_ = nullptr;  // versions to use again
  std::size_t spares_ = 0;
};

void MultiVersionTransaction::take_snapshot() noexcept {
  if (snapshot_.load(std::memory_order_relaxed) != kNoSnapshot) return;
  // Sequentially consistent. A collector that read its horizon from the clock before us sees this marker, or we see a
  // clock at or after that horizon.
  snapshot_.store(kTakingSnapshot);
  snapshot_.store(store_.now_.load());
}

std::optional<bool> MultiVersionTransaction::look(VersionedRecord& record, std::size_t hash, std::string* value,
                                                  bool has_range) {
  const Stamp snapshot = snapshot_.load(std::memory_order_relaxed);
  bool exists = false;
  while (true) {
    {
      const LatchLock latch(record.latch);
      if (record.newest.is_none()) return std::nullopt;
      const VersionedRecord::Sight sight = record.at(snapshot);
      if (sight.settled) {
        if (tracks_) reads_.mark(record, snapshot, sight.next != nullptr);
        // A commit that fails takes its version back, and the record may leave with the mark.
        const bool may_vanish = !sight.version && !record.newest.older && record.newest.writer();
        if (tracks_ && may_vanish && !has_range) return std::nullopt;
        exists = sight.version && sight.version->exists();
        if (exists && value) sight.version->copy_to(*value);
        break;
      }
    }
    std::this_thread::yield();  // without the latch: the committer may need it
  }
  if (tracks_) reads_.remember(record, hash);
  return exists;
}

void MultiVersionTransaction::remember_range(KeyView from, KeyView to, bool includes_to) {
  if (store_.ranges_.is_full()) store_.ranges_.collect(store_.horizon());
  reads_.remember_range(id, snapshot_.load(std::memory_order_relaxed), from, to, includes_to);
}

bool MultiVersionTransaction::look(KeyView key, Place place, std::string* value) {
  take_snapshot();
  if (const WriteBuffer::Entry* own = writes_.find(key, place.hash)) {
    if (own->state == WriteBuffer::State::written && value) value->assign(own->value);
    return own->state == WriteBuffer::State::written;
  }
  for (bool has_range = false;; has_range = true) {
    // A record from a hint that is not vacant now was in the index when the snapshot was taken: no other one for the
    // key has a version that the snapshot sees.
    VersionedRecord* record = has_range ? nullptr : place.record;
    if (!record || record->is_vacant()) record = store_.index_.find(key, place.hash);
    if (record && !record->is_vacant())
      if (const std::optional<bool> exists = look(*record, place.hash, value, has_range)) return *exists;
    if (!tracks_ || has_range) return false;
    // A vacant record may go, with its marks. So a range, then a second look: a transaction that adds the row finds the
    // one, or is found by the other.
    remember_range(key, key, true);
  }
}

Attempt<void> MultiVersionTransaction::lock_row(KeyView key, Place place, Strength strength, VersionedRecord*& record,
                                                Waiter& waiter, std::size_t value_bytes) {
  take_snapshot();  // before the wait, as PostgreSQL does
  for (VersionedRecord* hinted = place.record;; hinted = nullptr) {
    record = hinted ? hinted : &store_.index_.find_or_hide(key, place.hash, value_bytes);
    const LockTarget target{record, Index<VersionedRecord>::key_of(*record)};
    const Locked locked = savepoints.empty() ? locks_.lock(owner_, target, row_lock(strength), waiter)
                                             : journal_.lock(locks_, owner_, target, row_lock(strength), waiter);
    if (locked != Locked::gone) return answer(locked, owner_);
    std::this_thread::yield();  // until it has left the index
  }
}

Result<void> MultiVersionTransaction::still_as_seen(VersionedRecord& record) {
  const LatchLock latch(record.latch);
  if (record.changed_at() <= snapshot_.load(std::memory_order_relaxed)) return {};
  return Error{Fault::serialization_failure,
               {},
               fmt::format("{} gave up {}: another transaction has committed a change of it since the snapshot of {} "
                           "was taken (first updater wins); a retry is safe",
                           owner_.name(), Index<VersionedRecord>::key_of(record), owner_.name())};
}

Attempt<void> MultiVersionTransaction::claim(KeyView key, Place place, Strength strength, VersionedRecord*& record,
                                             Waiter& waiter, std::size_t value_bytes) {
  LOCKSTEP_TRY(lock_row(key, place, strength, record, waiter, value_bytes));
  if (!each_operation_looks_anew_) return still_as_seen(*record);
  look_anew();
  return Result<void>();
}

void MultiVersionTransaction::put(KeyView key, std::size_t hash, VersionedRecord& record, WriteBuffer::State state,
                                  std::string_view value) {
  const std::size_t position = writes_.put(key, hash, state, value);
  if (position == rows_.size()) rows_.push_back(nullptr);
  rows_[position] =
      &record;  // anew each time: after a savepoint the lock may have been given back, and the record gone
}

Attempt<bool> MultiVersionTransaction::read(KeyView key, std::string& value, Access access, Waiter& waiter) {
  const Place place = hints_.known(key);
  look_anew();
  if (access == Access::for_update) {
    VersionedRecord* record = nullptr;
    LOCKSTEP_TRY(claim(key, place, Strength::update, record, waiter));
  }
  return {look(key, place, &value)};
}

Attempt<void> MultiVersionTransaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  const Place place = hints_.known(key);
  VersionedRecord* record = nullptr;
  LOCKSTEP_TRY(claim(key, place, Strength::exclusive, record, waiter, value.size()));
  put(key, place.hash, *record, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<void> MultiVersionTransaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  const Place place = hints_.known(key);
  VersionedRecord* record = nullptr;
  LOCKSTEP_TRY(lock_row(key, place, Strength::exclusive, record, waiter, value.size()));
  bool exists = false;
  if (tracks_) {  // what it is told must belong to its snapshot
    LOCKSTEP_TRY(Attempt<void>(still_as_seen(*record)));
    exists = look(key, place, nullptr);
  } else if (const WriteBuffer::Entry* own = writes_.find(key, place.hash)) {
    exists = own->state == WriteBuffer::State::written;
  } else {
    // A unique constraint looks at what is committed, not at the snapshot. Nobody else can change it: we have the lock.
    const LatchLock latch(record->latch);
    exists = record->newest.exists();
  }
  if (exists)
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", owner_.name(), key)});
  if (!each_operation_looks_anew_) LOCKSTEP_TRY(Attempt<void>(still_as_seen(*record)));
  put(key, place.hash, *record, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<bool> MultiVersionTransaction::write_if(KeyView key, std::string_view expected, std::string_view value,
                                                Waiter& waiter) {
  // A row that the snapshot does not show as expected is not touched, so it needs no lock: as in UPDATE … WHERE.
  const Place place = hints_.known(key);
  look_anew();
  std::string seen;
  if (!look(key, place, &seen) || seen != expected) return {false};
  VersionedRecord* record = nullptr;
  LOCKSTEP_TRY(claim(key, place, Strength::exclusive, record, waiter));
  if (each_operation_looks_anew_ && (!look(key, place, &seen) || seen != expected)) return {false};
  put(key, place.hash, *record, WriteBuffer::State::written, value);
  return {true};
}

Attempt<bool> MultiVersionTransaction::erase(KeyView key, Waiter& waiter) {
  const Place place = hints_.known(key);
  look_anew();
  if (!look(key, place, nullptr)) return {false};
  VersionedRecord* record = nullptr;
  LOCKSTEP_TRY(claim(key, place, Strength::exclusive, record, waiter));
  if (each_operation_looks_anew_ && !look(key, place, nullptr)) return {false};
  put(key, place.hash, *record, WriteBuffer::State::erased, {});
  return {true};
}

void MultiVersionTransaction::scan_snapshot(KeyView from, KeyView to, std::size_t limit, RowSink& rows) {
  rows.clear();
  if (tracks_) remember_range(from, to, false);
  scan_merged(store_.index_, writes_, from, to, limit, rows, [this](const auto& it, Row& row) {
    return look(it->second, tracks_ ? hash_of(it->first) : 0, &row.value, true).value_or(false);
  });
  // A scan that stopped at its limit has learnt nothing of what lies behind its last row.
  if (tracks_ && rows.size() == limit) reads_.narrow(rows.back().key);
}

Attempt<void> MultiVersionTransaction::claim_rows(const RowSink& rows, bool& is_new, Waiter& waiter) {
  is_new = false;
  for (const Row& row : rows) {
    VersionedRecord* const record = store_.index_.find(row.key);
    const LockRequest* const mine = record ? locks_.find(owner_, {record, row.key}) : nullptr;
    if (mine && mine->held.covers(row_lock(Strength::update))) {
      // Perhaps only since an earlier attempt of this call has waited for it: then nobody has looked yet.
      if (!each_operation_looks_anew_) LOCKSTEP_TRY(Attempt<void>(still_as_seen(*record)));
      continue;
    }
    is_new = true;
    VersionedRecord* claimed = nullptr;
    LOCKSTEP_TRY(claim(row.key, hints_.known(row.key), Strength::update, claimed, waiter));
  }
  return Result<void>();
}

Attempt<void> MultiVersionTransaction::scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                                            Waiter& waiter) {
  look_anew();
  scan_snapshot(from, to, limit, rows);
  if (access == Access::plain) return Result<void>();
  bool is_new = false;
  LOCKSTEP_TRY(claim_rows(rows, is_new, waiter));
  // Under read_committed the rows may have changed before they were locked: until all that are seen are locked.
  while (is_new && each_operation_looks_anew_) {
    scan_snapshot(from, to, limit, rows);
    LOCKSTEP_TRY(claim_rows(rows, is_new, waiter));
  }
  return Result<void>();
}

Attempt<void> MultiVersionTransaction::commit(Waiter&) {
  std::optional<Error> error = writes_.is_empty() ? check_reads() : publish();
  if (error) return Result<void>(*std::move(error));
  finish(true);
  return Result<void>();
}

std::optional<Error> MultiVersionTransaction::check_reads() {
  if (!tracks_ || !reads_.must_check(false)) return std::nullopt;
  const auto danger =
      reads_.check_reads({.id = id, .cell = &cell_, .snapshot = snapshot_.load(std::memory_order_relaxed)});
  return danger ? std::optional(dangerous(*danger)) : std::nullopt;
}

std::optional<Error> MultiVersionTransaction::publish() {
  // Versions of an active transaction: nobody sees them yet. The locks on the rows keep other writers away.
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    const WriteBuffer::Entry& entry = writes_[i];
    if (entry.state == WriteBuffer::State::untouched) continue;
    VersionedRecord& record = *rows_[i];
    Version& spare = make_version();
    bool took_spare = false;
    {
      const LatchLock latch(record.latch);
      took_spare = record.push(spare, cell_, entry.state == WriteBuffer::State::written, entry.value);
      record.set_vacant(false);
    }
    if (!took_spare) keep_spare(&spare);
    store_.index_.list(record);
    published_.push_back(&record);
  }
  cell_.begin_commit();
  const Stamp stamp = store_.now_.fetch_add(1) + 1;
  if (tracks_) {
    cell_.announce(stamp);
    if (std::optional<Error> error = check_serializable(stamp)) {
      withdraw_versions();
      return error;
    }
  }
  if (WriteSet* const log = log_writes()) {
    writes_.add_to(*log);
    append_to_log();
  }
  cell_.decide(stamp, reads_.earliest_out());
  // Visible. What follows lets go of the cell, and of versions that nobody can see any more.
  snapshot_.store(kNoSnapshot);
  stamp_versions(stamp);
  return std::nullopt;
}

std::optional<Error> MultiVersionTransaction::check_serializable(Stamp stamp) {
  const ReadTracker::Committer me{
      .id = id, .cell = &cell_, .snapshot = snapshot_.load(std::memory_order_relaxed), .stamp = stamp};
  if (const auto danger = reads_.check_reads(me)) return dangerous(*danger);
  if (reads_.earliest_out() == kNoStamp) return std::nullopt;  // no T3
  for (VersionedRecord* const record : published_)
    if (const auto danger = reads_.check_write(me, store_.index_.key_of(*record), *record)) return dangerous(*danger);
  return std::nullopt;
}

Error MultiVersionTransaction::dangerous(const ReadTracker::Danger& danger) const {
  using Part = ReadTracker::Danger::Part;
  const char* what =
      "another transaction that is committing has changed it, and how that ends was not to be waited for";
  if (danger.part == Part::pivot)
    what =
        "another transaction had read it before, and a third one has changed what this one had read (the pivot of a "
        "dangerous structure)";
  if (danger.part == Part::reader)
    what =
        "another transaction has changed it since, after a third one had changed what that one had read (a dangerous "
        "structure)";
  return Error{Fault::serialization_failure,
               {},
               fmt::format("{} gave up at its commit: it {} {}; {}; a retry is safe", owner_.name(),
                           danger.part == Part::pivot ? "wrote" : "read", danger.key, what)};
}

void MultiVersionTransaction::stamp_versions(Stamp stamp) {
  for (VersionedRecord* const record : published_) {
    const LatchLock latch(record->latch);
    record->newest.commit(stamp, reads_.earliest_out());
    const bool leaves_something = record->newest.older || !record->newest.exists();
    if (!leaves_something || std::exchange(record->is_queued, true)) continue;
    overwritten_.push_back(record);
  }
  store_.collector_.add(overwritten_, stamp);
  // Two for each that comes in, so that the queue also gets shorter.
  store_.collector_.collect(store_.recent_horizon(stamp), 2 * published_.size() + 2,
                            [this](Version* unseen) { keep_spare(unseen); });
}

void MultiVersionTransaction::withdraw_versions() noexcept {
  for (VersionedRecord* const record : published_) {
    Version* unused = nullptr;
    {
      const LatchLock latch(record->latch);
      unused = record->pop();
      record->set_vacant(record->newest.is_none());
    }
    keep_spare(unused);
  }
  cell_.withdraw();
}

Version& MultiVersionTransaction::make_version() {
  if (!spare_) return *new Version;
  Version& version = *spare_;
  spare_ = std::exchange(version.older, nullptr);
  --spares_;
  return version;
}

void MultiVersionTransaction::keep_spare(Version* chain) noexcept {
  while (chain && spares_ < kMaxSpares) {
    Version* const older = chain->older;
    chain->older = spare_;
    spare_ = chain;
    ++spares_;
    chain = older;
  }
  free_versions(chain);
}

void MultiVersionTransaction::finish(bool committed) noexcept {
  locks_.cancel(owner_, Fault::cancelled);
  owner_.verdict.reset();
  snapshot_.store(kNoSnapshot);
  if (tracks_) reads_.end(committed);
  writes_.clear();
  journal_.clear();
  rows_.clear();
  published_.clear();
  overwritten_.clear();
  cell_.reset();
  locks_.release_all(owner_);
}

void MultiVersionTransaction::undo_to(Mark mark) {
  writes_.undo_to(mark.writes);
  journal_.undo_to(mark.locks, locks_, owner_, [](const LockRequest&, LockSpec before) { return before; });
}

MultiVersion::MultiVersion(Config config) : config_(std::move(config)) {
  config_.locks->when_gone([this](LockCell& cell) { index_.remove(static_cast<VersionedRecord&>(cell)); });
}

std::unique_ptr<TransactionState> MultiVersion::make_state() {
  return std::make_unique<MultiVersionTransaction>(*this);
}

std::vector<WaitEdge> MultiVersion::waits_of(TxnId txn) const {
  std::vector<WaitEdge> edges;
  with_active(txn, [&](const TransactionState& state) {
    edges = config_.locks->waits_of(static_cast<const MultiVersionTransaction&>(state).owner());
  });
  return edges;
}

Stamp MultiVersion::horizon() const {
  Stamp oldest = now_.load();  // before the look: see take_snapshot()
  for_each_active([&oldest](const TransactionState& state) {
    oldest = std::min(oldest, static_cast<const MultiVersionTransaction&>(state).snapshot());
  });
  return oldest;
}

Stamp MultiVersion::recent_horizon(Stamp now) {
  const Stamp recent = horizon_.load(std::memory_order_relaxed);
  if (recent + kRecent >= now) return recent;
  // One look at every transaction for so many commits. An older result than another thread's only delays.
  const Stamp horizon_now = horizon();
  horizon_.store(horizon_now, std::memory_order_relaxed);
  return horizon_now;
}

}  // namespace lockstep::kv
