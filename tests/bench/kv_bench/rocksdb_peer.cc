// rocksdb_peer.cc: RocksDB's TransactionDB (row locks, deadlock detection on) and OptimisticTransactionDB (checks at
// commit).
//
// --durability none: no write-ahead log; async: a log that is not synced; sync: synced at commit. Defaults otherwise.
#include <rocksdb/options.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/utilities/transaction_db.h>

#include "tests/bench/kv_bench/engine_over.h"

namespace lockstep::bench {
namespace {

struct RocksStore {
  std::unique_ptr<rocksdb::TransactionDB> pessimistic;
  std::unique_ptr<rocksdb::OptimisticTransactionDB> optimistic;
};

rocksdb::Slice slice_of(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class RocksSession {
 public:
  static constexpr bool kOrdered = true;

  RocksSession(RocksStore& store, const Settings& settings) : store_(store) {
    write_options_.sync = settings.durability == Durability::sync;
    write_options_.disableWAL = settings.durability == Durability::none;
  }

  void begin(const Intent&) {
    // An old transaction object is used again.
    if (store_.pessimistic) {
      rocksdb::TransactionOptions options;
      options.deadlock_detect = true;
      txn_.reset(store_.pessimistic->BeginTransaction(write_options_, options, txn_.release()));
    } else {
      // Reads of one moment. Otherwise an insert may find the row of another transaction that an earlier read has not
      // seen, and would be refused for good, where only the check at the commit has the last word.
      rocksdb::OptimisticTransactionOptions options;
      options.set_snapshot = true;
      txn_.reset(store_.optimistic->BeginTransaction(write_options_, options, txn_.release()));
      read_options_.snapshot = txn_->GetSnapshot();
    }
  }
  // GetForUpdate: only what is read so is locked or checked at commit, and kv's reads are.
  Failure read(std::string_view key, std::string& value) { return get(key, value, false); }
  Failure read_for_update(std::string_view key, std::string& value) { return get(key, value, true); }
  Failure write(std::string_view key, std::string_view value) {
    return failure_of(txn_->Put(slice_of(key), slice_of(value)));
  }
  Failure insert(std::string_view key, std::string_view value) {
    if (const Failure failure = get(key, scratch_, true)) return failure;
    return scratch_.empty() ? write(key, value) : Fault::constraint;
  }
  Failure scan(std::string_view from, std::string_view to, std::size_t limit, std::vector<kv::Row>& rows) {
    rows.clear();
    const std::unique_ptr<rocksdb::Iterator> it(txn_->GetIterator(read_options_));
    for (it->Seek(slice_of(from)); it->Valid() && rows.size() < limit; it->Next()) {
      if (!to.empty() && it->key().compare(slice_of(to)) >= 0) break;
      rows.push_back({it->key().ToString(), it->value().ToString()});
    }
    return failure_of(it->status());
  }
  Failure commit() { return failure_of(txn_->Commit()); }
  void abort() { [[maybe_unused]] const rocksdb::Status ignored = txn_->Rollback(); }
  const std::string& why() const { return why_; }

 private:
  Failure get(std::string_view key, std::string& value, bool exclusive) {
    const rocksdb::Status status = txn_->GetForUpdate(read_options_, slice_of(key), &value, exclusive);
    if (!status.IsNotFound()) return failure_of(status);
    value.clear();
    return std::nullopt;
  }

  Failure failure_of(const rocksdb::Status& status) {
    if (status.ok()) return std::nullopt;
    if (status.IsDeadlock()) return Fault::deadlock;
    if (status.IsTimedOut()) return Fault::lock_timeout;
    if (status.IsBusy() || status.IsTryAgain()) return Fault::validation_failure;
    why_ = status.ToString();
    return Fault::io;
  }

  RocksStore& store_;
  rocksdb::WriteOptions write_options_;
  rocksdb::ReadOptions read_options_;
  std::unique_ptr<rocksdb::Transaction> txn_;
  std::string scratch_;
  std::string why_;
};

Result<std::unique_ptr<Engine>> open(bool optimistic, const Settings& settings) {
  rocksdb::Options options;
  options.create_if_missing = true;
  const std::string path = settings.dir + (optimistic ? "/rocksdb-optimistic" : "/rocksdb-pessimistic");
  RocksStore store;
  rocksdb::Status status;
  if (optimistic) {
    rocksdb::OptimisticTransactionDB* db = nullptr;
    status = rocksdb::OptimisticTransactionDB::Open(options, path, &db);
    store.optimistic.reset(db);
  } else {
    rocksdb::TransactionDB* db = nullptr;
    status = rocksdb::TransactionDB::Open(options, {}, path, &db);
    store.pessimistic.reset(db);
  }
  if (!status.ok()) return Error{Fault::io, {}, status.ToString()};
  return std::unique_ptr<Engine>(new EngineOver<RocksStore, RocksSession>(std::move(store), settings));
}

}  // namespace

Result<std::unique_ptr<Engine>> open_rocksdb_pessimistic(const Contestant&, const Settings& settings) {
  return open(false, settings);
}

Result<std::unique_ptr<Engine>> open_rocksdb_optimistic(const Contestant&, const Settings& settings) {
  return open(true, settings);
}

}  // namespace lockstep::bench
