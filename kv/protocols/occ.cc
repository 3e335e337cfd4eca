// occ.cc: optimistic: read freely, write into a buffer, and check at commit that nothing that was read has changed.
//
// Paper: Kung and Robinson, "On optimistic methods for concurrency control", 1981; validation as in Tu et al., "Speedy
// transactions in multicore in-memory databases" (Silo), 2013: mark the written rows in key order, check the version of
// every row read and of every range scanned, then write.
//
// Guarantee: committed transactions are serializable, without phantoms. No operation is ever pending. A transaction
// that will not commit may have seen rows of different moments before it fails.
//
// Price: work is lost at the end, with validation_failure; a long transaction among short writers may never get
// through. read_for_update locks nothing: a change by somebody else is found at commit.
#include <fmt/format.h>

#include <thread>

#include "kv/index.h"
#include "kv/latches.h"
#include "kv/protocol.h"
#include "kv/write_buffer.h"

namespace lockstep::kv {
namespace {

/// A row. Every field is guarded by the latch of its key.
struct OccRecord {
  std::uint64_t version = 0;  // counts the changes; 0 = the row never existed
  TxnId committing = 0;       // the transaction that is about to write it; 0 = nobody
  bool exists = false;
  std::string value;
};

class Occ final : public Protocol {
 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class OccTransaction;
  Index<OccRecord> index_{epochs()};
  Latches latches_;
};

class OccTransaction final : public TransactionState {
 public:
  explicit OccTransaction(Occ& store) : store_(store) {}

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  /// Reads are kept when writes are undone: the caller may still act on them.
  Mark mark() const noexcept override { return {writes_.mark(), 0}; }
  void undo_to(Mark mark) override { writes_.undo_to(mark.writes); }

 private:
  struct Read {
    std::string key;
    std::size_t hash = 0;
    OccRecord* record = nullptr;  // nullptr: the key had no entry
    std::uint64_t version = 0;
  };
  /// A range and the entries that were in it: seen_[first, last).
  struct Scan {
    std::string from;
    std::string to;  // empty: no upper end
    bool includes_to = false;
    std::size_t first = 0;
    std::size_t last = 0;
  };
  struct Seen {
    const OccRecord* record = nullptr;
    std::uint64_t version = 0;
  };
  struct Target {
    const WriteBuffer::Entry* entry = nullptr;
    OccRecord* record = nullptr;
  };

  /// What the transaction sees, remembered for validation. Fails when it differs from what it saw before.
  Result<bool> look(KeyView key, std::string& value);
  Result<void> remember(KeyView key, std::size_t hash, OccRecord* record, std::uint64_t version);
  Error changed(KeyView key) const;

  Result<void> lock_writes();
  Result<void> validate_reads();
  Result<void> validate_scan(const Scan& scan);
  void unlock_writes() noexcept;
  void install();
  void clear() noexcept;

  Occ& store_;
  WriteBuffer writes_;
  Recycled<Read> reads_;
  KeySet reads_by_key_;
  Recycled<Scan> scans_;
  std::vector<Seen> seen_;
  std::vector<Target> locked_;
  std::string scratch_;
};

Error OccTransaction::changed(KeyView key) const {
  return Error{Fault::validation_failure,
               {},
               fmt::format("{} gave up: {} was changed by another transaction after {} had read it; a retry is safe",
                           label, key, label)};
}

Result<void> OccTransaction::remember(KeyView key, std::size_t hash, OccRecord* record, std::uint64_t version) {
  const std::size_t known = reads_by_key_.find(hash, [&](std::size_t i) { return reads_[i].key == key; });
  if (known != KeySet::npos) return reads_[known].version == version ? Result<void>() : changed(key);
  reads_by_key_.add(hash, reads_.size());
  Read& read = reads_.take();
  read.key.assign(key);
  read.hash = hash;
  read.record = record;
  read.version = version;
  return {};
}

Result<bool> OccTransaction::look(KeyView key, std::string& value) {
  if (const WriteBuffer::Entry* own = writes_.find(key)) {
    if (own->state == WriteBuffer::State::written) value.assign(own->value);
    return own->state == WriteBuffer::State::written;
  }
  const std::size_t hash = hash_of(key);
  OccRecord* const record = store_.index_.find(key);
  std::uint64_t version = 0;
  bool exists = false;
  if (record) {
    MutexLock latch(store_.latches_.of(hash));
    version = record->version;
    exists = record->exists;
    if (exists) value.assign(record->value);
  }
  Result<void> remembered = remember(key, hash, record, version);
  if (!remembered.ok()) return remembered.error();
  return exists;
}

Attempt<bool> OccTransaction::read(KeyView key, std::string& value, Access, Waiter&) { return look(key, value); }

Attempt<void> OccTransaction::write(KeyView key, std::string_view value, Waiter&) {
  writes_.put(key, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<void> OccTransaction::insert(KeyView key, std::string_view value, Waiter&) {
  const Result<bool> exists = look(key, scratch_);
  if (!exists.ok()) return Result<void>(exists.error());
  if (*exists)
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", label, key)});
  writes_.put(key, WriteBuffer::State::written, value);
  return Result<void>();
}

Attempt<bool> OccTransaction::write_if(KeyView key, std::string_view expected, std::string_view value, Waiter&) {
  const Result<bool> exists = look(key, scratch_);
  if (!exists.ok()) return exists;
  if (!*exists || scratch_ != expected) return {false};
  writes_.put(key, WriteBuffer::State::written, value);
  return {true};
}

Attempt<bool> OccTransaction::erase(KeyView key, Waiter&) {
  Result<bool> exists = look(key, scratch_);
  if (exists.ok() && *exists) writes_.put(key, WriteBuffer::State::erased, {});
  return exists;
}

Attempt<void> OccTransaction::scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Access,
                                   Waiter&) {
  Scan& scan = scans_.take();
  scan.from.assign(from);
  scan.first = seen_.size();
  scan_merged(store_.index_, writes_, from, to, limit, rows, [this](const auto& it, Row& row) {
    MutexLock latch(store_.latches_.of(hash_of(it->first)));
    const OccRecord& record = it->second;
    seen_.push_back({&record, record.version});
    if (record.exists) row.value.assign(record.value);
    return record.exists;
  });
  scan.last = seen_.size();
  // A scan that stopped at its limit has learnt nothing of what lies behind its last row.
  scan.includes_to = rows.size() == limit;
  scan.to.assign(scan.includes_to ? KeyView(rows.back().key) : to);
  return Result<void>();
}

Attempt<void> OccTransaction::commit(Waiter&) {
  Result<void> valid = lock_writes();
  if (valid.ok()) valid = validate_reads();
  for (std::size_t i = 0; valid.ok() && i < scans_.size(); ++i) valid = validate_scan(scans_[i]);
  if (!valid.ok()) {
    unlock_writes();
    return valid;
  }
  install();
  clear();
  return Result<void>();
}

// Every written row is marked before the first read is checked, so of two transactions that each read what the other
// writes at least one finds the other's mark. In key order, so that two committers cannot wait for each other.
Result<void> OccTransaction::lock_writes() {
  // A row is marked only during a commit, which waits for nobody with a higher key; the limit is for a committer that
  // the machine has put to sleep.
  constexpr int kPatience = 10'000;
  locked_.clear();
  for (const WriteBuffer::Entry* entry : writes_.sorted()) {
    OccRecord& record = store_.index_.find_or_add(entry->key);
    for (int tries = 0;; ++tries) {
      {
        MutexLock latch(store_.latches_.of(entry->hash));
        if (record.committing == 0) {
          record.committing = id;
          break;
        }
      }
      if (tries == kPatience)
        return Error{
            Fault::validation_failure,
            {},
            fmt::format("{} gave up {}: another transaction is writing it; a retry is safe", label, entry->key)};
      std::this_thread::yield();
    }
    locked_.push_back({entry, &record});
  }
  return {};
}

Result<void> OccTransaction::validate_reads() {
  for (std::size_t i = 0; i < reads_.size(); ++i) {
    const Read& read = reads_[i];
    const OccRecord* const record = read.record ? read.record : store_.index_.find(read.key);
    if (!record) continue;
    MutexLock latch(store_.latches_.of(read.hash));
    const bool free = record->committing == 0 || record->committing == id;
    if (!free || record->version != read.version) return changed(read.key);
  }
  return {};
}

Result<void> OccTransaction::validate_scan(const Scan& scan) {
  std::size_t next = scan.first;
  for (auto it = store_.index_.at_or_after(scan.from); it != store_.index_.end(); ++it) {
    const KeyView key = it->first;
    if (!scan.to.empty() && (scan.includes_to ? key > scan.to : key >= scan.to)) break;
    const OccRecord& record = it->second;
    MutexLock latch(store_.latches_.of(hash_of(key)));
    if (record.committing != 0 && record.committing != id) return changed(key);
    if (next < scan.last && seen_[next].record == &record) {
      if (record.version != seen_[next].version) return changed(key);
      ++next;
    } else if (record.exists) {
      return changed(key);  // a phantom; a row that this transaction adds does not exist before install()
    }
  }
  LOCKSTEP_CHECK(next == scan.last, "an entry has left the index: {} of {} found again", next - scan.first,
                 scan.last - scan.first);
  return {};
}

void OccTransaction::unlock_writes() noexcept {
  for (const Target& target : locked_) {
    MutexLock latch(store_.latches_.of(target.entry->hash));
    target.record->committing = 0;
  }
  locked_.clear();
}

void OccTransaction::install() {
  for (const Target& target : locked_) {
    MutexLock latch(store_.latches_.of(target.entry->hash));
    OccRecord& record = *target.record;
    record.exists = target.entry->state == WriteBuffer::State::written;
    record.value.assign(target.entry->value);
    ++record.version;
    record.committing = 0;
  }
}

void OccTransaction::clear() noexcept {
  writes_.clear();
  reads_.clear();
  reads_by_key_.clear();
  scans_.clear();
  seen_.clear();
  locked_.clear();
}

void OccTransaction::roll_back() noexcept { clear(); }

std::unique_ptr<TransactionState> Occ::make_state() { return std::make_unique<OccTransaction>(*this); }

}  // namespace

ProtocolEntry protocol_occ() {
  return {.info = {.name = {},
                   .summary = "never waits; checks at commit that nothing read or scanned has changed",
                   .serializable = true},
          .open = [](const Options&, const Clock&) -> std::unique_ptr<Protocol> { return std::make_unique<Occ>(); }};
}

}  // namespace lockstep::kv
