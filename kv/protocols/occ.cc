// occ.cc: optimistic: read freely, write into a buffer, and check at commit that nothing that was read has changed.
//
// Paper: Kung and Robinson, "On optimistic methods for concurrency control", 1981; validation as in Tu et al., "Speedy
// transactions in multicore in-memory databases" (Silo), 2013: lock the written rows, check the version of every row
// read and of every range scanned, then write.
//
// What was absent has a version too. A key without a row has a vacant record while a transaction that has asked for it
// is open. A range is watched (range_watches.h) from before its first row is looked at. So a row that came and went
// between a read and its validation is found. A read of a row writes nothing that others see.
//
// Guarantee: committed transactions are serializable, without phantoms. No operation is ever pending. A transaction
// that will not commit may have seen rows of different moments before it fails.
//
// Price: work is lost at the end, with validation_failure; a long transaction among short writers may never get
// through. read_for_update locks nothing: a change by somebody else is found at commit.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "kv/index/hints.h"
#include "kv/index/index.h"
#include "kv/locking/range_watches.h"
#include "kv/memory/value_cell.h"
#include "kv/transaction/protocol.h"
#include "kv/transaction/write_buffer.h"

namespace lockstep::kv {
namespace {

/// The first part of a row.
///
/// Rules:
///  1. Only who has set kLocked changes anything; who clears it counts the version on if it has changed anything.
///  2. A reader reads the version, the rest, and the version again: the same and not locked means that the rest is of
///     one moment.
///  3. kGone is for ever: the entry is about to leave the index.
///  4. A transaction that has seen the row absent is counted in kReaders until it ends. A reader comes only while the
///  row
///     is absent and not locked, and leaves at any time.
///  5. An absent row that is neither locked nor has a reader is gone: the transaction that makes it so takes the entry
///     out of the index.
struct OccVersion {
  static constexpr std::uint64_t kLocked = 1;
  static constexpr std::uint64_t kAbsent = 2;  // no row: not yet committed, or erased
  static constexpr std::uint64_t kGone = 4;
  static constexpr std::uint64_t kReader = 8;
  static constexpr std::uint64_t kChange = std::uint64_t{1} << 27;  // 16 million readers, 137 billion changes
  static constexpr std::uint64_t kReaders = kChange - kReader;
  static constexpr std::uint64_t kChanges = ~(kChange - 1);

  std::atomic<std::uint64_t> version{kAbsent};

  /// For a row that was seen absent with the version `seen`. False when it has changed since, or is locked.
  bool add_reader(std::uint64_t seen) noexcept {
    std::uint64_t now = version.load(std::memory_order_relaxed);
    do {
      if ((now & ~kReaders) != seen) return false;
      LOCKSTEP_CHECK((now & kReaders) != kReaders, "too many transactions have asked for one key");
    } while (!version.compare_exchange_weak(now, now + kReader, std::memory_order_acq_rel, std::memory_order_relaxed));
    return true;
  }
  /// True when the row is gone with it.
  [[nodiscard]] bool drop_reader() noexcept {
    std::uint64_t now = version.load(std::memory_order_relaxed);
    while (true) {
      const std::uint64_t left = now - kReader;
      const bool goes = (left & ~kChanges) == kAbsent;
      if (version.compare_exchange_weak(now, goes ? left | kGone : left, std::memory_order_acq_rel,
                                        std::memory_order_relaxed))
        return goes;
    }
  }
  /// By the transaction that has locked it and has changed nothing. True when the row is gone with it.
  [[nodiscard]] bool unlock_unchanged() noexcept {
    std::uint64_t now = version.load(std::memory_order_relaxed);
    while (true) {
      const std::uint64_t left = now & ~kLocked;
      const bool goes = (left & ~kChanges) == kAbsent;
      if (version.compare_exchange_weak(now, goes ? left | kGone : left, std::memory_order_acq_rel,
                                        std::memory_order_relaxed))
        return goes;
    }
  }
  /// By the transaction that has locked it. `flags`: what the row is from now on.
  void unlock_changed(std::uint64_t flags) noexcept {
    std::uint64_t now = version.load(std::memory_order_relaxed);
    const auto next = [flags](std::uint64_t v) { return ((v & kChanges) + kChange) | (v & kReaders) | flags; };
    // Nobody but a reader that leaves touches a locked row, and no reader comes.
    if ((now & kReaders) == 0) return version.store(next(now), std::memory_order_release);
    while (!version.compare_exchange_weak(now, next(now), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
  }
};

struct OccRecord : OccVersion, ValueCell {
  /// The value of one moment, into `value` unless the row is absent then. Answers the version without its readers. The
  /// caller is pinned.
  std::uint64_t read(std::string& value) const {
    for (int tries = 1;; ++tries) {
      const std::uint64_t seen = version.load(std::memory_order_acquire);
      if ((seen & kLocked) == 0) {
        if (seen & kAbsent) return seen & ~kReaders;
        if (copy_to(value, [&] { return version.load(std::memory_order_acquire) == seen; })) return seen & ~kReaders;
      }
      if (tries % 64 == 0) std::this_thread::yield();  // a committer may have lost the processor
    }
  }
};

class Occ final : public Protocol {
 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class OccTransaction;
  Index<OccRecord> index_{epochs()};
  RangeWatches watches_;
};

class OccTransaction final : public TransactionState {
 public:
  explicit OccTransaction(Occ& store) : store_(store), hints_(store.index_) {}

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  /// Reads are kept when writes are undone: the caller may still act on them.
  Mark mark() noexcept override { return {writes_.mark(), 0}; }
  void undo_to(Mark mark) override { writes_.undo_to(mark.writes); }
  void prefetch(std::span<const KeyView> keys) override { hints_.fetch(keys); }
  void prefetch(std::span<const std::string> keys) override { hints_.fetch(keys); }

 protected:
  void start(const TxnOptions&) override { hints_.clear(); }

 private:
  static constexpr std::size_t kFewReads = 16;  // a look at all of them is worth it

  struct Read {
    const OccRecord* record = nullptr;
    std::uint64_t version = 0;
  };
  /// A range and the rows that were in it: seen_[first, last).
  struct Scan {
    RangeWatches::RangeWatch range;
    std::size_t first = 0;
    std::size_t last = 0;
  };
  struct Target {
    const WriteBuffer::Entry* entry = nullptr;
    OccRecord* record = nullptr;
  };

  using Place = Hints<OccRecord>::Place;

  /// What the transaction sees, remembered for validation. Fails when it differs from what it saw before.
  Result<bool> look(KeyView key, Place place, std::string& value);
  static std::size_t hash_of_record(const OccRecord* record) noexcept {
    return reinterpret_cast<std::uintptr_t>(record) / 16;
  }
  const Read* find_read(const OccRecord& record) const;
  void remember(const OccRecord& record, std::uint64_t version);
  void put(KeyView key, Place place, WriteBuffer::State state, std::string_view value);
  Error changed(KeyView key) const;
  Error changed(const OccRecord& record) const { return changed(Index<OccRecord>::key_of(record)); }

  bool has_locked(const OccRecord& record) const noexcept {
    return std::any_of(locked_.begin(), locked_.end(), [&](const Target& t) { return t.record == &record; });
  }
  /// The version without its readers and our own lock, or nothing when somebody else has it.
  std::optional<std::uint64_t> settled_version(const OccRecord& record) const noexcept;
  void find_writes();
  Result<void> lock_writes();
  bool try_lock_writes();
  Result<void> validate();
  Result<void> validate_scan(const Scan& scan) const;
  void unlock(OccRecord& record) noexcept {
    if (record.unlock_unchanged()) store_.index_.remove(record);
  }
  void unlock_writes() noexcept;
  void tell_watches();
  void install();
  void clear() noexcept;

  Occ& store_;
  Hints<OccRecord> hints_;
  WriteBuffer writes_;
  std::vector<Read> reads_;
  KeySet reads_by_record_;            // filled when there are more than a look at all of them is worth
  std::vector<OccRecord*> absences_;  // of reads_, those of which it is a reader
  Recycled<Scan> scans_;
  std::vector<Read> seen_;
  std::vector<OccRecord*> found_;  // for each entry of writes_, the record of its key, or nullptr: not found yet
  std::vector<Target> targets_;
  std::vector<Target> locked_;
  std::string scratch_;
};

Error OccTransaction::changed(KeyView key) const {
  return Error{Fault::validation_failure,
               {},
               fmt::format("{} gave up: {} was changed by another transaction after {} had read it; a retry is safe",
                           label, key, label)};
}

const OccTransaction::Read* OccTransaction::find_read(const OccRecord& record) const {
  if (reads_.size() <= kFewReads) {
    const auto found = std::find_if(reads_.begin(), reads_.end(), [&](const Read& r) { return r.record == &record; });
    return found == reads_.end() ? nullptr : &*found;
  }
  const std::size_t position =
      reads_by_record_.find(hash_of_record(&record), [&](std::size_t i) { return reads_[i].record == &record; });
  return position == KeySet::npos ? nullptr : &reads_[position];
}

void OccTransaction::remember(const OccRecord& record, std::uint64_t version) {
  reads_.push_back({&record, version});
  if (reads_.size() == kFewReads + 1)
    for (std::size_t i = 0; i < kFewReads; ++i) reads_by_record_.add(hash_of_record(reads_[i].record), i);
  if (reads_.size() > kFewReads) reads_by_record_.add(hash_of_record(&record), reads_.size() - 1);
}

Result<bool> OccTransaction::look(KeyView key, Place place, std::string& value) {
  if (const WriteBuffer::Entry* own = writes_.find(key, place.hash)) {
    if (own->state == WriteBuffer::State::written) value.assign(own->value);
    return own->state == WriteBuffer::State::written;
  }
  for (OccRecord* hinted = place.record;; hinted = nullptr) {
    OccRecord& record = hinted ? *hinted : store_.index_.find_or_hide(key, place.hash);
    const std::uint64_t version = record.read(value);
    const bool exists = (version & OccRecord::kAbsent) == 0;
    if (const Read* const known = find_read(record)) {
      if (known->version != version) return changed(record);
      return exists;
    }
    if (!exists) {
      if (!record.add_reader(version & ~OccRecord::kGone)) {  // it is leaving the index, or a row is coming
        std::this_thread::yield();
        continue;
      }
      absences_.push_back(&record);
    }
    remember(record, version);
    return exists;
  }
}

void OccTransaction::put(KeyView key, Place place, WriteBuffer::State state, std::string_view value) {
  writes_.put(key, place.hash, state, value);
  const std::size_t before = found_.size();
  if (writes_.size() == before) return;
  found_.push_back(place.record);
  if (place.record) return;
  // Nothing needs the record before commit(). So this write fetches its own line of the index, and the entry of the
  // write before it, whose line has come by now. The cache misses pass beside what the transaction does next.
  store_.index_.fetch_line(place.hash);
  if (before > 0 && !found_[before - 1]) store_.index_.fetch_entry(writes_[before - 1].hash, key.size());
}

Attempt<bool> OccTransaction::read(KeyView key, std::string& value, Access, Waiter&) {
  return look(key, hints_.known(key), value);
}

Attempt<void> OccTransaction::write(KeyView key, std::string_view value, Waiter&) {
  put(key, hints_.known(key), WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<void> OccTransaction::insert(KeyView key, std::string_view value, Waiter&) {
  const Place place = hints_.find(key);
  const Result<bool> exists = look(key, place, scratch_);
  if (!exists.ok()) return Result<void>(exists.error());
  if (*exists) {
    // A refusal is final, so it must not come from reads that do not belong together.
    Result<void> valid = validate();
    if (!valid.ok()) return valid;
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", label, key)});
  }
  put(key, place, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<bool> OccTransaction::write_if(KeyView key, std::string_view expected, std::string_view value, Waiter&) {
  const Place place = hints_.find(key);
  const Result<bool> exists = look(key, place, scratch_);
  if (!exists.ok()) return exists;
  if (!*exists || scratch_ != expected) return {false};
  put(key, place, WriteBuffer::State::written, value);
  return {true};
}

Attempt<bool> OccTransaction::erase(KeyView key, Waiter&) {
  const Place place = hints_.find(key);
  Result<bool> exists = look(key, place, scratch_);
  if (exists.ok() && *exists) put(key, place, WriteBuffer::State::erased, {});
  return exists;
}

Attempt<void> OccTransaction::scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access, Waiter&) {
  Scan& scan = scans_.take();
  store_.watches_.add(scan.range, this, from, to);
  scan.first = seen_.size();
  scan_merged(store_.index_, writes_, from, to, limit, rows, [this](const auto& it, Row& row) {
    const OccRecord& record = it->second;
    const std::uint64_t version = record.read(row.value);
    if (version & OccRecord::kAbsent) return false;
    seen_.push_back({&record, version});
    return true;
  });
  scan.last = seen_.size();
  // A scan that stopped at its limit has learnt nothing of what lies behind its last row.
  if (rows.size() == limit) store_.watches_.narrow(scan.range, rows.back().key);
  return Result<void>();
}

Attempt<void> OccTransaction::commit(Waiter&) {
  Result<void> valid = lock_writes();
  if (valid.ok()) valid = validate();
  if (!valid.ok()) {
    unlock_writes();
    return valid;
  }
  if (WriteSet* const log = log_writes()) {
    writes_.add_to(*log);
    append_to_log();
  }
  tell_watches();
  install();
  clear();
  return Result<void>();
}

// The cache misses of all come at once.
void OccTransaction::find_writes() {
  for (std::size_t i = 0; i < writes_.size(); ++i)
    if (!found_[i]) store_.index_.fetch_entry(writes_[i].hash, writes_[i].key.size());
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    if (!found_[i]) found_[i] = store_.index_.find(writes_[i].key, writes_[i].hash);
    if (found_[i]) found_[i]->prefetch_value();
  }
}

// Every written row is locked before the first read is checked, so of two transactions that each read what the other
// writes at least one finds the other's lock. In the order of their addresses, so that two committers cannot wait for
// each other.
Result<void> OccTransaction::lock_writes() {
  // A row is locked only during a commit; the limit is for a committer that the machine has put to sleep.
  constexpr int kPatience = 10'000;
  if (writes_.size() == 0) return {};
  find_writes();
  for (int tries = 0; tries < kPatience; ++tries) {
    if (try_lock_writes()) return {};
    unlock_writes();
    std::this_thread::yield();
  }
  return Error{Fault::validation_failure,
               {},
               fmt::format("{} gave up: another transaction is writing what it writes; a retry is safe", label)};
}

bool OccTransaction::try_lock_writes() {
  constexpr int kSpins = 200;
  targets_.clear();
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    const WriteBuffer::Entry& entry = writes_[i];
    if (entry.state == WriteBuffer::State::untouched) continue;
    OccRecord* record = found_[i];
    if (!record || (record->version.load(std::memory_order_relaxed) & OccRecord::kGone) != 0)
      record = &store_.index_.find_or_hide(entry.key, entry.hash, entry.value.size());
    targets_.push_back({&entry, record});
  }
  std::sort(targets_.begin(), targets_.end(),
            [](const Target& a, const Target& b) { return std::less<>()(a.record, b.record); });
  for (const Target& target : targets_) {
    std::atomic<std::uint64_t>& version = target.record->version;
    for (int spins = 0;; ++spins) {
      std::uint64_t seen = version.load(std::memory_order_relaxed);
      if (seen & OccRecord::kGone) return false;  // it leaves the index: look for the key again
      // Sequentially consistent, as are the loads in settled_version(): of two that lock and then look at each other's
      // rows, one sees the other's lock.
      if ((seen & OccRecord::kLocked) == 0 && version.compare_exchange_weak(seen, seen | OccRecord::kLocked)) break;
      if (spins == kSpins) return false;
    }
    locked_.push_back(target);
    // Only now: an entry that is not locked may be on its way out of the index. Whoever scans it later meets the lock.
    store_.index_.list(*target.record);
  }
  return true;
}

std::optional<std::uint64_t> OccTransaction::settled_version(const OccRecord& record) const noexcept {
  const std::uint64_t version = record.version.load();
  if ((version & OccRecord::kLocked) != 0 && !has_locked(record)) return std::nullopt;
  return version & ~(OccRecord::kLocked | OccRecord::kReaders);
}

// All that was read was there at once when the first check began. A row has the version that it had. A range holds the
// rows that it held, and none has appeared in between: a commit tells the range of a new row before it unlocks it, so
// the look at the range comes first. What a commit is about to add it has locked, and the look finds it.
Result<void> OccTransaction::validate() {
  for (const Read& read : reads_)
    if (settled_version(*read.record) != read.version) return changed(*read.record);
  for (std::size_t i = 0; i < scans_.size(); ++i)
    if (Result<void> valid = validate_scan(scans_[i]); !valid.ok()) return valid;
  return {};
}

Result<void> OccTransaction::validate_scan(const Scan& scan) const {
  std::size_t next = scan.first;
  for (auto it = store_.index_.at_or_after(scan.range.from()); it != store_.index_.end(); ++it) {
    const KeyView key = it->first;
    if (scan.range.ends_before(key)) break;
    const OccRecord& record = it->second;
    const std::optional<std::uint64_t> version = settled_version(record);
    if (!version) return changed(key);
    if (*version & OccRecord::kAbsent) continue;  // a row that this transaction adds is absent before install()
    if (next == scan.last || seen_[next].record != &record || seen_[next].version != *version) return changed(key);
    ++next;
  }
  if (next != scan.last) return changed(*seen_[next].record);
  if (scan.range.was_entered())
    return Error{Fault::validation_failure,
                 {},
                 fmt::format("{} gave up: a row came and went in the range from {} after {} had scanned it; a retry is "
                             "safe",
                             label, scan.range.from().empty() ? "the first key" : scan.range.from(), label)};
  return {};
}

void OccTransaction::unlock_writes() noexcept {
  for (const Target& target : locked_) unlock(*target.record);
  locked_.clear();
}

// Before the first row is unlocked: a transaction that sees one of the rows then finds its own ranges told of all.
void OccTransaction::tell_watches() {
  bool has_asked = false;
  for (const Target& target : locked_) {
    const bool appears = (target.record->version.load(std::memory_order_relaxed) & OccRecord::kAbsent) != 0 &&
                         target.entry->state == WriteBuffer::State::written;
    if (!appears) continue;
    if (!has_asked && !store_.watches_.is_anybody_watching()) return;
    has_asked = true;
    store_.watches_.tell(target.entry->key, this);
  }
}

void OccTransaction::install() {
  for (const Target& target : locked_) {
    OccRecord& record = *target.record;
    if (target.entry->state == WriteBuffer::State::written) {
      record.set(target.entry->value, &store_.epochs());
      record.unlock_changed(0);
    } else if (record.version.load(std::memory_order_relaxed) & OccRecord::kAbsent) {
      unlock(record);  // the row was only ever its own
    } else {
      record.unlock_changed(OccRecord::kAbsent | OccRecord::kGone);
      store_.index_.remove(record);
    }
  }
}

void OccTransaction::clear() noexcept {
  for (std::size_t i = 0; i < scans_.size(); ++i) store_.watches_.remove(scans_[i].range);
  for (OccRecord* const record : absences_)
    if (record->drop_reader()) store_.index_.remove(*record);
  writes_.clear();
  reads_.clear();
  reads_by_record_.clear();
  absences_.clear();
  scans_.clear();
  seen_.clear();
  found_.clear();
  targets_.clear();
  locked_.clear();
}

void OccTransaction::roll_back() noexcept { clear(); }

std::unique_ptr<TransactionState> Occ::make_state() { return std::make_unique<OccTransaction>(*this); }

}  // namespace

ProtocolEntry protocol_occ() {
  return {.info = {.name = {},
                   .summary = "never waits; checks at commit that nothing read or scanned has changed",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::nothing,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::keys,
                   .on_trial = false},
          .open = [](const Options&, const Clock&) -> std::unique_ptr<Protocol> { return std::make_unique<Occ>(); }};
}

}  // namespace lockstep::kv
