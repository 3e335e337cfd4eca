// snapshot.cc: snapshot isolation: readers never wait, of two writers of a row the first wins.
//
// Paper: Berenson, Bernstein, Gray, Melton, O'Neil, O'Neil, "A critique of ANSI SQL isolation levels", 1995.
//
// Behaviour: PostgreSQL's REPEATABLE READ. The snapshot is taken by the first operation that looks at rows, not by
// begin. Who writes a row (or reads it for update) waits for another transaction that is writing it, and gives up with
// serialization_failure when that one commits (first updater wins). Deadlocks among such waits are found as in
// 2pl-detect.
//
// Guarantee: every read sees the store at one moment; no dirty or lost write, no phantom. Not serializable: two
// transactions that read what the other writes both commit (write skew), since nobody locks what is only read.
//
// Price: several versions of a row in memory, as long as a snapshot may see them.
#include <fmt/format.h>

#include <limits>
#include <thread>

#include "kv/deadlock.h"
#include "kv/index.h"
#include "kv/latches.h"
#include "kv/lock_journal.h"
#include "kv/lock_table.h"
#include "kv/protocol.h"
#include "kv/versions.h"
#include "kv/write_buffer.h"

namespace lockstep::kv {
namespace {

constexpr Stamp kNoSnapshot = std::numeric_limits<Stamp>::max();
constexpr Stamp kTakingSnapshot = 0;  // holds up collection until the snapshot is known

constexpr std::size_t kMaxSpares = 64;

class Snapshot final : public Protocol {
 public:
  Snapshot(const Options& options, const Clock& clock)
      : locks_({.policy = std::make_unique<DeadlockDetector>(options.observer),
                .lock_timeout = options.lock_timeout,
                .clock = &clock}) {
    locks_.when_gone([this](LockCell& cell) { index_.remove(static_cast<VersionedRecord&>(cell)); });
  }

  std::vector<LockInfo> locks() const override { return locks_.locks(); }
  std::vector<WaitEdge> waits() const override { return locks_.waits(); }
  std::vector<WaitEdge> waits_of(TxnId txn) const override;

 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class SnapshotTransaction;

  /// The oldest moment that a transaction may still look at.
  Stamp horizon() const;

  LockTable locks_;
  Index<VersionedRecord> index_{epochs()};
  Latches latches_;
  std::atomic<Stamp> now_{1};  // the stamp of the latest commit
};

class SnapshotTransaction final : public TransactionState {
 public:
  explicit SnapshotTransaction(Snapshot& store) : store_(store) {}
  ~SnapshotTransaction() override { free_versions(spare_); }

  const LockOwner& owner() const noexcept { return owner_; }
  Stamp snapshot() const noexcept { return snapshot_.load(); }

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  Mark mark() const noexcept override { return {writes_.mark(), journal_.mark()}; }
  void undo_to(Mark mark) override;

  bool is_waiting() const noexcept override { return owner_.is_waiting(); }
  std::optional<Error> take_verdict() override { return std::exchange(owner_.verdict, std::nullopt); }
  Nanos wait_deadline() const noexcept override { return owner_.deadline; }
  void cancel_wait(Fault why) noexcept override { store_.locks_.cancel(owner_, why); }

 protected:
  void start(const TxnOptions&) override { owner_.start(id, age, label); }

 private:
  Stamp take_snapshot() noexcept;
  /// What the transaction sees: its own write or its snapshot. `value` may be nullptr.
  bool look(KeyView key, std::string* value);
  bool look(VersionedRecord& record, std::size_t hash, std::string* value);
  /// Waits until no other transaction writes the row.
  Attempt<void> lock_row(KeyView key, Strength strength, Waiter& waiter);
  /// Fails when somebody committed a change of the row after the snapshot. Needs the lock on the row.
  Result<void> still_as_seen(KeyView key);
  /// Both.
  Attempt<void> claim(KeyView key, Strength strength, Waiter& waiter);
  void publish();
  Version& make_version();
  void keep_spare(Version* chain) noexcept;
  void finish() noexcept;

  Snapshot& store_;
  LockOwner owner_;
  LockJournal journal_;
  WriteBuffer writes_;
  CommitCell cell_;
  std::atomic<Stamp> snapshot_{kNoSnapshot};  // written by the owner only, read by collectors
  std::vector<std::pair<VersionedRecord*, Version*>> published_;
  Version* spare_ = nullptr;  // versions to use again
  std::size_t spares_ = 0;
};

Stamp SnapshotTransaction::take_snapshot() noexcept {
  const Stamp taken = snapshot_.load(std::memory_order_relaxed);
  if (taken != kNoSnapshot) return taken;
  // Sequentially consistent: a collector that read its horizon from the clock before us sees this marker, or we see a
  // clock at or after that horizon.
  snapshot_.store(kTakingSnapshot);
  const Stamp now = store_.now_.load();
  snapshot_.store(now);
  return now;
}

bool SnapshotTransaction::look(VersionedRecord& record, std::size_t hash, std::string* value) {
  MutexLock latch(store_.latches_.of(hash));
  const Version* const version = record.at(snapshot_.load(std::memory_order_relaxed));
  if (!version || !version->exists) return false;
  if (value) value->assign(version->value);
  return true;
}

bool SnapshotTransaction::look(KeyView key, std::string* value) {
  take_snapshot();
  if (const WriteBuffer::Entry* own = writes_.find(key)) {
    if (own->state == WriteBuffer::State::written && value) value->assign(own->value);
    return own->state == WriteBuffer::State::written;
  }
  VersionedRecord* const record = store_.index_.find(key);
  return record && look(*record, hash_of(key), value);
}

Attempt<void> SnapshotTransaction::lock_row(KeyView key, Strength strength, Waiter& waiter) {
  take_snapshot();  // before the wait, as PostgreSQL does
  while (true) {
    VersionedRecord& record = store_.index_.find_or_hide(key, hash_of(key));
    const LockTarget target{&record, Index<VersionedRecord>::key_of(record)};
    const Locked locked = savepoints.empty() ? store_.locks_.lock(owner_, target, row_lock(strength), waiter)
                                             : journal_.lock(store_.locks_, owner_, target, row_lock(strength), waiter);
    if (locked != Locked::gone) return answer(locked, owner_);
    std::this_thread::yield();  // until it has left the index
  }
}

Result<void> SnapshotTransaction::still_as_seen(KeyView key) {
  VersionedRecord* const record = store_.index_.find(key);
  if (!record) return {};
  MutexLock latch(store_.latches_.of(hash_of(key)));
  if (record->changed_at() <= snapshot_.load(std::memory_order_relaxed)) return {};
  return Error{Fault::serialization_failure,
               {},
               fmt::format("{} gave up {}: another transaction has committed a change of it since the snapshot of {} "
                           "was taken (first updater wins); a retry is safe",
                           owner_.label, key, owner_.label)};
}

Attempt<void> SnapshotTransaction::claim(KeyView key, Strength strength, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, strength, waiter));
  return still_as_seen(key);
}

Attempt<bool> SnapshotTransaction::read(KeyView key, std::string& value, Access access, Waiter& waiter) {
  if (access == Access::for_update) LOCKSTEP_TRY(claim(key, Strength::update, waiter));
  return {look(key, &value)};
}

Attempt<void> SnapshotTransaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(claim(key, Strength::exclusive, waiter));
  writes_.put(key, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<void> SnapshotTransaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(lock_row(key, Strength::exclusive, waiter));
  // A unique constraint looks at what is committed, not at the snapshot. Nobody else can change it: we have the lock.
  bool exists = false;
  if (const WriteBuffer::Entry* own = writes_.find(key)) {
    exists = own->state == WriteBuffer::State::written;
  } else if (VersionedRecord* const record = store_.index_.find(key)) {
    MutexLock latch(store_.latches_.of(hash_of(key)));
    exists = record->newest && record->newest->exists;
  }
  if (exists)
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", owner_.label, key)});
  LOCKSTEP_TRY(Attempt<void>(still_as_seen(key)));
  writes_.put(key, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<bool> SnapshotTransaction::write_if(KeyView key, std::string_view expected, std::string_view value,
                                            Waiter& waiter) {
  // A row that the snapshot does not show as expected is not touched, so it needs no lock: as in UPDATE … WHERE.
  std::string seen;
  if (!look(key, &seen) || seen != expected) return {false};
  LOCKSTEP_TRY(claim(key, Strength::exclusive, waiter));
  writes_.put(key, WriteBuffer::State::written, value);
  return {true};
}

Attempt<bool> SnapshotTransaction::erase(KeyView key, Waiter& waiter) {
  if (!look(key, nullptr)) return {false};
  LOCKSTEP_TRY(claim(key, Strength::exclusive, waiter));
  writes_.put(key, WriteBuffer::State::erased, {});
  return {true};
}

Attempt<void> SnapshotTransaction::scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                        Access access, Waiter& waiter) {
  take_snapshot();
  scan_merged(store_.index_, writes_, from, to, limit, rows,
              [this](const auto& it, Row& row) { return look(it->second, hash_of(it->first), &row.value); });
  if (access == Access::for_update)
    for (const Row& row : rows) LOCKSTEP_TRY(claim(row.key, Strength::update, waiter));
  return Result<void>();
}

Attempt<void> SnapshotTransaction::commit(Waiter&) {
  publish();
  finish();
  return Result<void>();
}

void SnapshotTransaction::publish() {
  const std::vector<const WriteBuffer::Entry*>& writes = writes_.sorted();
  if (writes.empty()) return;
  // Versions of an active transaction: nobody sees them yet. The locks on the rows keep other writers away.
  for (const WriteBuffer::Entry* entry : writes) {
    VersionedRecord& record = store_.index_.find_or_add(entry->key);
    Version& version = make_version();
    version.writer = &cell_;
    version.stamp = 0;
    version.exists = entry->state == WriteBuffer::State::written;
    version.value.assign(entry->value);
    MutexLock latch(store_.latches_.of(entry->hash));
    record.push(version);
    record.set_vacant(false);
    published_.emplace_back(&record, &version);
  }
  if (WriteSet* const log = log_writes()) {
    writes_.add_to(*log);
    append_to_log();
  }
  cell_.begin_commit();
  const Stamp stamp = store_.now_.fetch_add(1) + 1;
  cell_.end_commit(stamp);
  // Visible. What follows lets go of the cell, and of versions that nobody can see any more.
  snapshot_.store(kNoSnapshot);
  Stamp horizon = 0;
  for (std::size_t i = 0; i < published_.size(); ++i) {
    const auto [record, version] = published_[i];
    Version* unseen = nullptr;
    bool worth_a_look = false;
    {
      MutexLock latch(store_.latches_.of(writes[i]->hash));
      version->stamp = stamp;
      version->writer = nullptr;
      worth_a_look = record->versions >= record->collect_at;
    }
    if (!worth_a_look) continue;
    if (horizon == 0) horizon = store_.horizon();
    {
      MutexLock latch(store_.latches_.of(writes[i]->hash));
      unseen = record->collect(horizon);
    }
    keep_spare(unseen);
  }
}

Version& SnapshotTransaction::make_version() {
  if (!spare_) return *new Version;
  Version& version = *spare_;
  spare_ = version.older;
  --spares_;
  return version;
}

void SnapshotTransaction::keep_spare(Version* chain) noexcept {
  while (chain && spares_ < kMaxSpares) {
    Version* const older = chain->older;
    chain->older = spare_;
    spare_ = chain;
    ++spares_;
    chain = older;
  }
  free_versions(chain);
}

void SnapshotTransaction::finish() noexcept {
  snapshot_.store(kNoSnapshot);
  writes_.clear();
  journal_.clear();
  published_.clear();
  cell_.reset();
  store_.locks_.release_all(owner_);
}

void SnapshotTransaction::roll_back() noexcept {
  store_.locks_.cancel(owner_, Fault::cancelled);
  owner_.verdict.reset();
  finish();
}

void SnapshotTransaction::undo_to(Mark mark) {
  writes_.undo_to(mark.writes);
  journal_.undo_to(mark.locks, store_.locks_, owner_, [](const LockRequest&, LockSpec before) { return before; });
}

std::unique_ptr<TransactionState> Snapshot::make_state() { return std::make_unique<SnapshotTransaction>(*this); }

std::vector<WaitEdge> Snapshot::waits_of(TxnId txn) const {
  std::vector<WaitEdge> edges;
  with_active(txn, [&](const TransactionState& state) {
    edges = locks_.waits_of(static_cast<const SnapshotTransaction&>(state).owner());
  });
  return edges;
}

Stamp Snapshot::horizon() const {
  Stamp oldest = now_.load();  // before the look: see take_snapshot()
  for_each_active([&oldest](const TransactionState& state) {
    oldest = std::min(oldest, static_cast<const SnapshotTransaction&>(state).snapshot());
  });
  return oldest;
}

}  // namespace

ProtocolEntry protocol_snapshot() {
  return {.info = {.name = {},
                   .summary = "readers see one moment and never wait; of two writers of a row the first wins",
                   .serializable = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<Snapshot>(options, clock);
          }};
}

}  // namespace lockstep::kv
