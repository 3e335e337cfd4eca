// faulty_sessions.h: sessions that break what they promise, each in one way, to see whether the check of histories
// finds it.
//
// Two kinds: a sound protocol of kv driven unsoundly, as by a protocol that forgets its locks; and a small optimistic
// store with one step left out.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "tests/kv/random_load.h"

namespace lockstep::kv::testing {

/// Reads in a transaction of its own each, so that nothing protects what was read.
class ForgetsReadLocks final : public StoreSession {
 public:
  using StoreSession::StoreSession;
  Result<bool> read(KeyView key, std::string& value) override {
    if (writes_.count(std::string(key)) > 0) return StoreSession::read(key, value);
    SyncTransaction other(store_.begin());
    Result<bool> found = other.read(key, value);
    return found.ok() ? found : Result<bool>(Fault::lock_timeout);
  }
  Result<void> write(KeyView key, std::string_view value) override {
    return wrote(key), StoreSession::write(key, value);
  }
  Result<void> insert(KeyView key, std::string_view value) override {
    return wrote(key), StoreSession::insert(key, value);
  }
  Result<bool> read_for_update(KeyView key, std::string& value) override {
    return wrote(key), StoreSession::read_for_update(key, value);
  }
  Result<bool> write_if(KeyView key, std::string_view expected, std::string_view value) override {
    return wrote(key), StoreSession::write_if(key, expected, value);
  }
  Result<bool> erase(KeyView key) override { return wrote(key), StoreSession::erase(key); }
  // Its scans keep their locks, so a row that it has only scanned is not to be read in a transaction of its own.
  Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    const Result<void> scanned = StoreSession::scan(from, to, limit, rows);
    for (const Row& row : rows) wrote(row.key);
    return scanned;
  }
  Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    const Result<void> scanned = StoreSession::scan_for_update(from, to, limit, rows);
    for (const Row& row : rows) wrote(row.key);
    return scanned;
  }
  void begin(const std::vector<std::string>& claims, bool retry) override {
    writes_.clear();
    StoreSession::begin(claims, retry);
  }

 private:
  void wrote(KeyView key) { writes_.emplace(key); }
  std::set<std::string> writes_;
};

/// Scans in a transaction of its own and then locks the rows that it found, but not the gaps between them.
class ForgetsGapLocks final : public StoreSession {
 public:
  using StoreSession::StoreSession;
  Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    {
      Waiterless nobody;
      Transaction other = store_.begin();
      const Attempt<void> scanned = other.scan(from, to, limit, rows, nobody);
      if (!scanned) other.cancel_wait(Fault::lock_timeout);  // it may wait for its own session
      if (!scanned || !scanned->ok()) return Fault::lock_timeout;
    }
    std::vector<Row> found;
    for (Row& row : rows) {
      const Result<bool> there = StoreSession::read(row.key, row.value);
      if (!there.ok()) return there.error();
      if (*there) found.push_back(row);
    }
    rows = std::move(found);
    return {};
  }
  Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    return scan(from, to, limit, rows);
  }

 private:
  class Waiterless final : public Waiter {
   public:
    void wake() noexcept override {}
  };
};

/// Gives back its locks in the middle: commits what it has and goes on.
class IsNotTwoPhase final : public StoreSession {
 public:
  using StoreSession::StoreSession;
  Result<void> write(KeyView key, std::string_view value) override {
    Result<void> written = StoreSession::write(key, value);
    if (!written.ok()) return written;
    if (Result<void> committed = StoreSession::commit(); !committed.ok()) return committed;
    txn_.emplace(store_.begin());
    return {};
  }
  Result<void> savepoint(std::string_view) override { return {}; }
  Result<void> rollback_to(std::string_view) override { return Fault::lock_timeout; }
};

/// What a ToyStore does wrong.
enum class Mistake {
  none,
  validates_nothing,
  validates_writes_only,  // that is snapshot isolation
  validates_found_rows_only,
  reads_the_latest,
  reads_the_past,
  reads_the_uncommitted,
  keeps_what_was_undone,
  keeps_what_was_aborted,
  commits_in_two_halves,
  loses_a_write,
};

/// A small multi-version store with optimistic validation, sound but for its mistake.
class ToyStore {
 public:
  explicit ToyStore(Mistake mistake) : mistake_(mistake) {}

 private:
  friend class ToySession;
  using Value = std::optional<std::string>;  // nullopt: erased
  struct Version {
    std::int64_t stamp = 0;
    Value value;
  };

  Value at(const std::string& key, std::int64_t stamp) const {
    const auto found = versions_.find(key);
    if (found == versions_.end()) return {};
    for (auto version = found->second.rbegin(); version != found->second.rend(); ++version)
      if (version->stamp <= stamp) return version->value;
    return {};
  }
  std::int64_t latest_stamp(const std::string& key) const {
    const auto found = versions_.find(key);
    return found == versions_.end() ? 0 : found->second.back().stamp;
  }

  const Mistake mistake_;
  std::mutex mutex_;
  std::map<std::string, std::vector<Version>> versions_;
  std::map<std::string, Value> uncommitted_;
  std::int64_t now_ = 0;
};

class ToySession final : public Session {
 public:
  explicit ToySession(ToyStore& store) : store_(store) {}

  void begin(const std::vector<std::string>&, bool) override {
    const std::lock_guard lock(store_.mutex_);
    snapshot_ = store_.mistake_ == Mistake::reads_the_past ? std::max<std::int64_t>(0, store_.now_ - 3) : store_.now_;
    writes_.clear(), found_.clear(), missed_.clear(), undo_.reset();
  }
  Result<bool> read(KeyView key, std::string& value) override {
    const std::lock_guard lock(store_.mutex_);
    return look(std::string(key), value);
  }
  Result<bool> read_for_update(KeyView key, std::string& value) override { return read(key, value); }
  Result<void> write(KeyView key, std::string_view value) override {
    put(std::string(key), std::string(value));
    return {};
  }
  Result<void> insert(KeyView key, std::string_view value) override {
    std::string was;
    if (*read(key, was)) return Fault::constraint;
    return write(key, value);
  }
  Result<bool> write_if(KeyView key, std::string_view expected, std::string_view value) override {
    std::string was;
    if (!*read(key, was) || was != expected) return false;
    return put(std::string(key), std::string(value)), true;
  }
  Result<bool> erase(KeyView key) override {
    std::string was;
    if (!*read(key, was)) return false;
    return put(std::string(key), std::nullopt), true;
  }
  Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    const std::lock_guard lock(store_.mutex_);
    rows.clear();
    // The keys of the load are known: those that are not there have been seen not to be there.
    for (char digit = '0'; digit <= '9' && rows.size() < limit; ++digit) {
      Row row{std::string("k/") + digit, {}};
      if (row.key >= from && row.key < to && look(row.key, row.value)) rows.push_back(row);
    }
    return {};
  }
  Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    return scan(from, to, limit, rows);
  }
  Result<void> savepoint(std::string_view) override {
    undo_ = writes_;
    return {};
  }
  Result<void> rollback_to(std::string_view) override {
    if (store_.mistake_ != Mistake::keeps_what_was_undone) writes_ = *undo_;
    return {};
  }
  Result<void> commit() override {
    std::unique_lock lock(store_.mutex_);
    for (const auto& [key, value] : writes_) store_.uncommitted_.erase(key);
    if (!is_valid()) return Fault::validation_failure;
    ++store_.now_;
    std::size_t installed = 0;
    for (const auto& [key, value] : writes_) {
      if (store_.mistake_ == Mistake::loses_a_write && (store_.now_ % 20) == 0) continue;
      if (store_.mistake_ == Mistake::commits_in_two_halves && installed++ == 1) {
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
        ++store_.now_;
      }
      store_.versions_[key].push_back({store_.now_, value});
    }
    writes_.clear();
    return {};
  }
  void abort() override {
    const std::lock_guard lock(store_.mutex_);
    for (const auto& [key, value] : writes_) store_.uncommitted_.erase(key);
    if (store_.mistake_ == Mistake::keeps_what_was_aborted && !writes_.empty())
      store_.versions_[writes_.begin()->first].push_back({++store_.now_, writes_.begin()->second});
    writes_.clear();
  }

 private:
  using Writes = std::map<std::string, ToyStore::Value>;

  bool look(const std::string& key, std::string& value) {
    const ToyStore::Value seen = value_of(key);
    (seen ? found_ : missed_).insert(key);
    if (seen) value = *seen;
    return seen.has_value();
  }
  ToyStore::Value value_of(const std::string& key) {
    if (const auto own = writes_.find(key); own != writes_.end()) return own->second;
    if (store_.mistake_ == Mistake::reads_the_uncommitted)
      if (const auto dirty = store_.uncommitted_.find(key); dirty != store_.uncommitted_.end()) return dirty->second;
    return store_.at(key, store_.mistake_ == Mistake::reads_the_latest ? store_.now_ : snapshot_);
  }
  void put(std::string key, ToyStore::Value value) {
    const std::lock_guard lock(store_.mutex_);
    store_.uncommitted_[key] = value;
    writes_[std::move(key)] = std::move(value);
  }

  bool is_valid() const {
    const auto unchanged = [this](const std::string& key) { return store_.latest_stamp(key) <= snapshot_; };
    const auto all_unchanged = [&](const std::set<std::string>& keys) {
      return std::all_of(keys.begin(), keys.end(), unchanged);
    };
    const bool writes_valid =
        std::all_of(writes_.begin(), writes_.end(), [&](const auto& write) { return unchanged(write.first); });
    switch (store_.mistake_) {
      case Mistake::validates_nothing:
      case Mistake::reads_the_uncommitted:
        return true;
      case Mistake::validates_writes_only:
      case Mistake::reads_the_latest:
        return writes_valid;
      case Mistake::validates_found_rows_only:
        return writes_valid && all_unchanged(found_);
      case Mistake::reads_the_past:  // who only reads is not validated
        return writes_.empty() || (writes_valid && all_unchanged(found_) && all_unchanged(missed_));
      default:
        return writes_valid && all_unchanged(found_) && all_unchanged(missed_);
    }
  }

  ToyStore& store_;
  std::int64_t snapshot_ = 0;
  Writes writes_;
  std::optional<Writes> undo_;
  std::set<std::string> found_;
  std::set<std::string> missed_;
};

}  // namespace lockstep::kv::testing
