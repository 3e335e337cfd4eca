// kv_engine.cc: the in-house store, through its synchronous facade. --durability none: in memory only.
#include "kv/sync_facade.h"
#include "tests/bench/kv_bench/engine_over.h"

namespace lockstep::bench {
namespace {

struct KvStore {
  std::unique_ptr<kv::Store> store;
  Hint hint = Hint::nothing;
};

class KvSession {
 public:
  static constexpr bool kOrdered = true;

  KvSession(KvStore& kv, const Settings&)
      : store_(*kv.store),
        claims_keys_(kv.hint == Hint::claims || store_.protocol() == "2pl-banker"),
        prefetches_(kv.hint == Hint::prefetch) {}

  void begin(const Intent& intent) {
    if (claims_keys_) claims_.assign(intent.claims.begin(), intent.claims.end());
    txn_.emplace(store_.begin(
        {.claims = claims_, .claims_all = intent.claims_all, .first_attempt = intent.retry ? first_attempt_ : 0}));
    if (!intent.retry) first_attempt_ = txn_->id();
    if (prefetches_) txn_->prefetch(intent.claims);
  }
  Failure read(std::string_view key, std::string& value) { return failure_of(txn_->read(key, value)); }
  Failure write(std::string_view key, std::string_view value) { return failure_of(txn_->write(key, value)); }
  Failure read_for_update(std::string_view key, std::string& value) {
    return failure_of(txn_->read_for_update(key, value));
  }
  Failure insert(std::string_view key, std::string_view value) { return failure_of(txn_->insert(key, value)); }
  Failure scan(std::string_view from, std::string_view to, std::size_t limit, std::vector<kv::Row>& rows) {
    return failure_of(txn_->scan(from, to, limit, rows));
  }
  Failure commit() { return failure_of(txn_->commit()); }
  void abort() { txn_->abort(); }
  const std::string& why() const { return why_; }

 private:
  template <class T>
  Failure failure_of(const Result<T>& result) {
    if (result.ok()) return std::nullopt;
    if (!is_retry_safe(result.fault())) why_ = result.error().message;
    return result.fault();
  }

  kv::Store& store_;
  const bool claims_keys_;
  const bool prefetches_;
  std::vector<std::string> claims_;
  std::optional<kv::SyncTransaction> txn_;
  kv::TxnId first_attempt_ = 0;
  std::string why_;
};

}  // namespace

Result<std::unique_ptr<Engine>> open_kv(const Contestant& contestant, const Settings& settings) {
  kv::Options options{.protocol = contestant.protocol};
  if (settings.lock_timeout_ms > 0)
    options.lock_timeout =
        std::chrono::duration_cast<Nanos>(std::chrono::duration<double, std::milli>(settings.lock_timeout_ms));
  if (settings.durability != Durability::none) {
    options.path = fmt::format("{}/{}", settings.dir, contestant.name());
    options.durability = settings.durability == Durability::sync ? kv::Durability::sync : kv::Durability::async;
  }
  Result<std::unique_ptr<kv::Store>> store = kv::Store::open(options);
  if (!store.ok()) return store.error();
  return std::unique_ptr<Engine>(
      new EngineOver<KvStore, KvSession>({std::move(store).value(), contestant.hint}, settings));
}

}  // namespace lockstep::bench
