// serial.cc: one transaction at a time, in the order of their coming: the principle of an event loop.
//
// Paper: Stonebraker et al., "The end of an architectural era", 2007 (H-Store: a transaction that has all of the store
// needs no locks, latches or versions). Redis runs its commands and scripts in the same way.
//
// The first operation that looks at rows or writes one takes the store. A later transaction waits in one fair queue
// until the one in front of it has ended. Rows are plain data: nobody else touches them meanwhile.
//
// Guarantee: serial, in the order in which the transactions took the store, hence serializable without phantoms. There
// is one thing to wait for, so no deadlock can form, and no transaction is ever given up by the store.
//
// Price: one core does the work. A transaction that stands idle (a client that thinks, a slow network) holds everybody
// up. Only the limit of a wait, if there is one, helps the others. Good for short transactions that never wait inside.
#include <fmt/format.h>

#include <map>
#include <utility>

#include "kv/index/key_set.h"
#include "kv/transaction/protocol.h"

namespace lockstep::kv {
namespace {

class SerialTransaction;
using Rows = std::map<std::string, std::string, std::less<>>;

class Serial final : public Protocol {
 public:
  Serial(Nanos lock_timeout, const Clock& clock) : lock_timeout_(lock_timeout), clock_(clock) {}

  std::vector<LockInfo> locks() const override;
  std::vector<WaitEdge> waits() const override;
  std::vector<WaitEdge> waits_of(TxnId txn) const override;

 protected:
  std::unique_ptr<TransactionState> make_state() override;

 private:
  friend class SerialTransaction;

  /// To the transaction that runs and to the one directly in front in the queue: each of the others waits in its turn.
  std::vector<WaitEdge> edges_of(const SerialTransaction& waiter) const LOCKSTEP_REQUIRES(mutex_);
  void dequeue(SerialTransaction& waiter) noexcept LOCKSTEP_REQUIRES(mutex_);

  const Nanos lock_timeout_;
  const Clock& clock_;
  mutable Mutex mutex_;  // a leaf
  SerialTransaction* running_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
  SerialTransaction* first_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;  // of the queue
  SerialTransaction* last_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
  /// Touched by the running transaction only. Its predecessor gave it the turn under `mutex_`.
  Rows rows_;
};

class SerialTransaction final : public TransactionState {
 public:
  explicit SerialTransaction(Serial& store) : store_(store) {}

  Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) override;
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) override;
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) override;
  Attempt<bool> erase(KeyView key, Waiter& waiter) override;
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                     Waiter& waiter) override;
  Attempt<void> commit(Waiter&) override;
  void roll_back() noexcept override;
  Mark mark() noexcept override { return {undo_.size(), 0}; }
  void undo_to(Mark mark) override;

  // Acquire: the thread that ended the wait has written the verdict and given the turn before.
  bool is_waiting() const noexcept override { return waiting_.load(std::memory_order_acquire); }
  std::optional<Error> take_verdict() override { return std::exchange(verdict_, std::nullopt); }
  Nanos wait_deadline() const noexcept override { return deadline_; }
  void cancel_wait(Fault why) noexcept override;

 protected:
  void start(const TxnOptions&) override {
    has_turn_ = false;
    verdict_.reset();
    if (label.empty()) label = fmt::format("txn {}", id);
  }

 private:
  friend class Serial;

  struct Undo {
    std::string key;
    std::string value;
    bool existed = false;
  };

  /// Waits until this is the only transaction.
  Attempt<void> take_turn(Waiter& waiter);
  void pass_turn() noexcept;
  void log();
  /// `row` may be the end.
  void set(Rows::iterator row, KeyView key, std::string_view value);

  Serial& store_;
  Recycled<Undo> undo_;
  KeySet logged_;          // the keys that log() has seen
  bool has_turn_ = false;  // as its own thread knows; set by the attempt after the wait
  std::optional<Error> verdict_;
  Nanos deadline_ = kNever;

  // Guarded by Serial::mutex_.
  std::atomic<bool> waiting_{false};
  Waiter* waiter_ = nullptr;
  Nanos waits_since_{0};
  SerialTransaction* previous_ = nullptr;
  SerialTransaction* next_ = nullptr;
};

Attempt<void> SerialTransaction::take_turn(Waiter& waiter) {
  if (has_turn_) return Result<void>();
  MutexLock lock(store_.mutex_);
  // It is running already when a wait has ended: the turn was given to it.
  if (!store_.running_) store_.running_ = this;
  has_turn_ = store_.running_ == this;
  if (has_turn_) return Result<void>();
  waiter_ = &waiter;
  waits_since_ = store_.clock_.now();
  deadline_ = store_.clock_.after(store_.lock_timeout_);
  previous_ = store_.last_;
  next_ = nullptr;
  (store_.last_ ? store_.last_->next_ : store_.first_) = this;
  store_.last_ = this;
  waiting_.store(true, std::memory_order_relaxed);
  return std::nullopt;
}

void SerialTransaction::pass_turn() noexcept {
  undo_.clear();
  MutexLock lock(store_.mutex_);
  if (store_.running_ != this) return;
  has_turn_ = false;
  SerialTransaction* const next = store_.first_;
  store_.running_ = next;
  if (!next) return;
  Waiter* const waiter = next->waiter_;
  store_.dequeue(*next);
  waiter->wake();  // last: its owner may be running from here on
}

void SerialTransaction::cancel_wait(Fault why) noexcept {
  MutexLock lock(store_.mutex_);
  if (!is_waiting()) return;
  const double ms = std::chrono::duration<double, std::milli>(store_.clock_.now() - waits_since_).count();
  verdict_ =
      Error{why,
            {},
            fmt::format("{} gave up the store after {:.3g} ms ({}); held by {}{}", label, ms, lockstep::name_of(why),
                        store_.running_->label, is_retry_safe(why) ? "; a retry is safe" : "")};
  store_.dequeue(*this);
}

Attempt<bool> SerialTransaction::read(KeyView key, std::string& value, Access, Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  const auto row = store_.rows_.find(key);
  if (row == store_.rows_.end()) return {false};
  value.assign(row->second);
  return {true};
}

Attempt<void> SerialTransaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  set(store_.rows_.find(key), key, value);
  return Result<void>();
}

Attempt<void> SerialTransaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  const auto row = store_.rows_.find(key);
  if (row != store_.rows_.end())
    return Result<void>(Error{Fault::constraint, {}, fmt::format("insert by {}: key {} exists", label, key)});
  set(row, key, value);
  return Result<void>();
}

Attempt<bool> SerialTransaction::write_if(KeyView key, std::string_view expected, std::string_view value,
                                          Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  const auto row = store_.rows_.find(key);
  if (row == store_.rows_.end() || row->second != expected) return {false};
  set(row, key, value);
  return {true};
}

Attempt<bool> SerialTransaction::erase(KeyView key, Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  const auto row = store_.rows_.find(key);
  if (row == store_.rows_.end()) return {false};
  Undo& undo = undo_.take();
  undo.key.assign(key);
  undo.value.swap(row->second);
  undo.existed = true;
  store_.rows_.erase(row);
  return {true};
}

Attempt<void> SerialTransaction::scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access,
                                      Waiter& waiter) {
  LOCKSTEP_TRY(take_turn(waiter));
  for (auto row = store_.rows_.lower_bound(from); row != store_.rows_.end() && rows.size() < limit; ++row) {
    if (!to.empty() && KeyView(row->first) >= to) break;
    rows.add(row->first, row->second);
  }
  return Result<void>();
}

void SerialTransaction::set(Rows::iterator row, KeyView key, std::string_view value) {
  Undo& undo = undo_.take();
  undo.key.assign(key);
  undo.existed = row != store_.rows_.end();
  if (undo.existed) {
    undo.value.swap(row->second);
    row->second.assign(value);
  } else {
    store_.rows_.emplace(key, value);
  }
}

void SerialTransaction::undo_to(Mark mark) {
  while (undo_.size() > mark.writes) {
    Undo& undo = undo_.back();
    if (undo.existed)
      store_.rows_[undo.key].swap(undo.value);
    else
      store_.rows_.erase(undo.key);
    undo_.shrink_to(undo_.size() - 1);
  }
}

void SerialTransaction::log() {
  WriteSet* const writes = log_writes();
  if (!writes) return;
  logged_.clear();
  for (std::size_t i = 0; i < undo_.size(); ++i) {
    const std::string& key = undo_[i].key;
    const std::size_t hash = hash_of(key);
    if (logged_.find(hash, [&](std::size_t k) { return undo_[k].key == key; }) != KeySet::npos) continue;
    logged_.add(hash, i);
    const auto row = store_.rows_.find(key);
    if (row != store_.rows_.end())
      writes->put(key, row->second);
    else
      writes->erase(key);
  }
  append_to_log();
}

Attempt<void> SerialTransaction::commit(Waiter&) {
  log();
  pass_turn();
  return Result<void>();
}

void SerialTransaction::roll_back() noexcept {
  cancel_wait(Fault::cancelled);
  verdict_.reset();
  undo_to({});
  pass_turn();
}

std::unique_ptr<TransactionState> Serial::make_state() { return std::make_unique<SerialTransaction>(*this); }

void Serial::dequeue(SerialTransaction& waiter) noexcept {
  (waiter.previous_ ? waiter.previous_->next_ : first_) = waiter.next_;
  (waiter.next_ ? waiter.next_->previous_ : last_) = waiter.previous_;
  waiter.waiting_.store(false, std::memory_order_release);
}

std::vector<LockInfo> Serial::locks() const {
  MutexLock lock(mutex_);
  std::vector<LockInfo> infos;
  const auto add = [&infos](const SerialTransaction& txn, bool granted) {
    infos.push_back(LockInfo{.key = {},
                             .range = true,
                             .gap_only = false,
                             .whole_store = true,
                             .txn = txn.id,
                             .mode = LockMode::exclusive,
                             .granted = granted});
  };
  if (running_) add(*running_, true);
  for (const SerialTransaction* waiter = first_; waiter; waiter = waiter->next_) add(*waiter, false);
  return infos;
}

std::vector<WaitEdge> Serial::edges_of(const SerialTransaction& waiter) const {
  std::vector<WaitEdge> edges;
  const auto add = [&](const SerialTransaction& in_front) {
    edges.push_back(WaitEdge{.waiter = waiter.id, .holder = in_front.id, .key = {}, .whole_store = true});
  };
  add(*running_);
  if (waiter.previous_) add(*waiter.previous_);
  return edges;
}

std::vector<WaitEdge> Serial::waits() const {
  MutexLock lock(mutex_);
  std::vector<WaitEdge> edges;
  for (const SerialTransaction* waiter = first_; waiter; waiter = waiter->next_)
    for (WaitEdge& edge : edges_of(*waiter)) edges.push_back(std::move(edge));
  return edges;
}

std::vector<WaitEdge> Serial::waits_of(TxnId txn) const {
  MutexLock lock(mutex_);
  for (const SerialTransaction* waiter = first_; waiter; waiter = waiter->next_)
    if (waiter->id == txn) return edges_of(*waiter);
  return {};
}

}  // namespace

ProtocolEntry protocol_serial() {
  return {.info = {.name = {},
                   .summary = "one transaction at a time: waits in one queue for the whole store",
                   .serializable = true,
                   .reads_snapshot = false,
                   .holds = HoldsUntilEnd::writes,
                   .breaks_deadlocks = false,
                   .scope = ConflictScope::store,
                   .on_trial = false},
          .open = [](const Options& options, const Clock& clock) -> std::unique_ptr<Protocol> {
            return std::make_unique<Serial>(options.lock_timeout, clock);
          }};
}

}  // namespace lockstep::kv
