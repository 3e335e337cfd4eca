// store.cc: the public face: checks what callers pass and which state a transaction is in, and hands over to its
// protocol.
#include "kv/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <utility>

#include "kv/log/log.h"
#include "kv/log/recovery.h"
#include "kv/transaction/protocol.h"

namespace lockstep::kv {
namespace {

const RealClock kRealClock;

std::string label_of(const TransactionState& state) {
  return state.label.empty() ? fmt::format("txn {}", state.id) : state.label;
}

Error invalid(std::string message) { return Error{Fault::invalid, {}, std::move(message)}; }

bool is_good_key(KeyView key) noexcept { return !key.empty() && key.size() <= kMaxKeyBytes; }

std::optional<Error> wrong_key(KeyView key) {
  if (key.empty()) return invalid("a key must not be empty");
  if (key.size() > kMaxKeyBytes)
    return invalid(fmt::format("a key of {} bytes; the limit is {} bytes", key.size(), kMaxKeyBytes));
  return std::nullopt;
}

std::optional<Error> wrong_value(std::string_view value) {
  if (value.size() > kMaxValueBytes)
    return invalid(fmt::format("a value of {} bytes; the limit is {} bytes", value.size(), kMaxValueBytes));
  return std::nullopt;
}

bool is_good_row(KeyView key, std::string_view value) noexcept {
  return is_good_key(key) && value.size() <= kMaxValueBytes;
}

std::optional<Error> wrong_row(KeyView key, std::string_view value) {
  std::optional<Error> wrong = wrong_key(key);
  return wrong ? std::move(wrong) : wrong_value(value);
}

/// A bound of a scan may be empty.
std::optional<Error> wrong_bounds(KeyView from, KeyView to) {
  for (const KeyView bound : {from, to})
    if (!bound.empty())
      if (std::optional<Error> wrong = wrong_key(bound)) return wrong;
  return std::nullopt;
}

/// True when the store does not go on with the transaction after this answer; otherwise it was a refusal.
bool gives_up(Fault fault) noexcept { return is_retry_safe(fault) && fault != Fault::version_changed; }

/// What a recovery has read, to be applied in one go.
struct LoadBatch {
  struct Write {
    std::size_t offset = 0;
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
    bool erased = false;
  };
  std::string bytes;
  std::vector<Write> writes;

  KeyView key_of(const Write& write) const { return KeyView(bytes).substr(write.offset, write.key_bytes); }
  std::string_view value_of(const Write& write) const {
    return std::string_view(bytes).substr(write.offset + write.key_bytes, write.value_bytes);
  }
};

/// Loads what is recovered into a store through transactions, so that it needs nothing of the protocol. Collects many
/// writes and applies them in key order: neighbours in the index are then touched one after the other. Of several
/// writes to a key only the last is applied. That happens in a second thread, one batch at a time, while the next one
/// is read.
class Loader final : public Restorer, private Waiter {
 public:
  explicit Loader(Protocol& protocol) : protocol_(protocol) {}
  ~Loader() override {
    if (applied_.valid()) applied_.wait();
  }

  Result<void> put(KeyView key, std::string_view value) override { return add(key, value, false); }
  Result<void> erase(KeyView key) override { return add(key, {}, true); }

  /// Applies what was collected.
  Result<void> finish() {
    Result<void> done = hand_over();
    return done.ok() && applied_.valid() ? applied_.get() : done;
  }

 private:
  static constexpr std::size_t kTransaction = 512;         // writes in one
  static constexpr std::size_t kWrites = 64 * 1024;        // that are collected
  static constexpr std::size_t kBytes = 16 * 1024 * 1024;  // of them

  void wake() noexcept override {}

  Result<void> add(KeyView key, std::string_view value, bool erased) {
    reading_.writes.push_back({reading_.bytes.size(), static_cast<std::uint32_t>(key.size()),
                               static_cast<std::uint32_t>(value.size()), erased});
    reading_.bytes.append(key).append(value);
    return reading_.writes.size() < kWrites && reading_.bytes.size() < kBytes ? Result<void>() : hand_over();
  }

  Result<void> hand_over() {
    Result<void> done = applied_.valid() ? applied_.get() : Result<void>();
    applying_.bytes.clear();
    applying_.writes.clear();
    std::swap(reading_, applying_);
    if (done.ok() && !applying_.writes.empty()) applied_ = std::async(std::launch::async, [this] { return apply(); });
    return done;
  }

  Result<void> apply() {
    std::vector<std::pair<KeyView, const LoadBatch::Write*>> order;
    order.reserve(applying_.writes.size());
    for (const LoadBatch::Write& write : applying_.writes) order.emplace_back(applying_.key_of(write), &write);
    const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(order.begin(), order.end(), by_key)) std::stable_sort(order.begin(), order.end(), by_key);
    for (std::size_t next = 0; next < order.size();) {
      TransactionState& state = protocol_.begin({.label = "recovery", .claims_all = true});
      Result<void> done;
      for (std::size_t in_batch = 0; done.ok() && in_batch < kTransaction && next < order.size(); ++next) {
        if (next + 1 < order.size() && order[next + 1].first == order[next].first) continue;
        done = apply(state, order[next].first, *order[next].second);
        ++in_batch;
      }
      if (done.ok()) {
        const Attempt<void> committed = state.commit(*this);
        LOCKSTEP_CHECK(committed, "a recovery waits for somebody");
        done = *committed;
      }
      if (!done.ok()) state.roll_back();
      protocol_.end(state);
      if (!done.ok()) return done;
    }
    return {};
  }

  Result<void> apply(TransactionState& state, KeyView key, const LoadBatch::Write& write) {
    if (write.erased) {
      const Attempt<bool> answer = state.erase(key, *this);
      LOCKSTEP_CHECK(answer, "a recovery waits for somebody at {}", key);
      return answer->ok() ? Result<void>() : answer->error();
    }
    const Attempt<void> answer = state.write(key, applying_.value_of(write), *this);
    LOCKSTEP_CHECK(answer, "a recovery waits for somebody at {}", key);
    return *answer;
  }

  Protocol& protocol_;
  LoadBatch reading_;
  LoadBatch applying_;  // of the second thread, between hand_over() and the end of applied_
  std::future<Result<void>> applied_;
};

Result<std::unique_ptr<Log>> open_log(const Options& options, Protocol& protocol) {
  FileSystem& files = options.files ? *options.files : posix_files();
  Loader loader(protocol);
  Result<OpenFolder> folder = recover(files, options.path, loader);
  if (!folder.ok()) return folder.error();
  if (Result<void> loaded = loader.finish(); !loaded.ok()) return loaded.error();
  return std::make_unique<Log>(Log::Config{files, options.path, options.durability, options.log_limits},
                               std::move(folder).value());
}

Error over(TxnId id) {
  if (id == 0) return invalid("no transaction: begin one first");
  return invalid(fmt::format("transaction {} is over: it has committed or aborted; begin a new one", id));
}

const Error& give_up(TransactionState& state, Error why) {
  state.roll_back();
  state.savepoints.clear();
  state.given_up = std::move(why);
  return *state.given_up;
}

/// Why no operation can start now; empty when one can.
std::optional<Error> not_ready(TransactionState& state) {
  if (state.given_up) return *state.given_up;
  if (!state.pending) return std::nullopt;
  if (state.awaits_log) return invalid(fmt::format("the commit of {} is still pending", label_of(state)));
  if (state.is_waiting()) return invalid(fmt::format("an operation of {} is still pending", label_of(state)));
  state.pending = false;
  if (std::optional<Error> verdict = state.take_verdict()) return give_up(state, *std::move(verdict));
  return std::nullopt;
}

/// The latest savepoint with that name, or its size when there is none.
std::size_t position_of(const TransactionState& state, std::string_view name) {
  for (std::size_t i = state.savepoints.size(); i > 0; --i)
    if (state.savepoints[i - 1].name == name) return i - 1;
  return state.savepoints.size();
}

Error no_savepoint(const TransactionState& state, std::string_view name) {
  return invalid(fmt::format("no savepoint \"{}\" in {}", name, label_of(state)));
}

}  // namespace

Transaction::Transaction() noexcept = default;

Transaction::Transaction(TransactionState& state) noexcept : state_(&state), id_(state.id) {}

Transaction::Transaction(Transaction&& other) noexcept
    : state_(std::exchange(other.state_, nullptr)), id_(std::exchange(other.id_, 0)) {}

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this != &other) {
    abort();
    state_ = std::exchange(other.state_, nullptr);
    id_ = std::exchange(other.id_, 0);
  }
  return *this;
}

Transaction::~Transaction() { abort(); }

template <class T, class Operation>
Attempt<T> Transaction::attempt(Operation operation) {
  if (!state_) return Result<T>(over(id_));
  if (state_->pending || state_->given_up)
    if (std::optional<Error> error = not_ready(*state_)) return Result<T>(*std::move(error));
  Attempt<T> answer = operation(*state_);
  if (!answer) {
    state_->pending = true;
    ++state_->waits;
  }
  if (answer && !answer->ok() && gives_up(answer->fault())) give_up(*state_, answer->error());
  return answer;
}

Attempt<bool> Transaction::read(KeyView key, std::string& value, Waiter& waiter) {
  if (!is_good_key(key)) [[unlikely]]
    return Result<bool>(*wrong_key(key));
  return attempt<bool>(
      [&](TransactionState& s) { return s.read(key, value, TransactionState::Access::plain, waiter); });
}

Attempt<bool> Transaction::read_for_update(KeyView key, std::string& value, Waiter& waiter) {
  if (!is_good_key(key)) [[unlikely]]
    return Result<bool>(*wrong_key(key));
  return attempt<bool>(
      [&](TransactionState& s) { return s.read(key, value, TransactionState::Access::for_update, waiter); });
}

Attempt<void> Transaction::write(KeyView key, std::string_view value, Waiter& waiter) {
  if (!is_good_row(key, value)) [[unlikely]]
    return Result<void>(*wrong_row(key, value));
  return attempt<void>([&](TransactionState& s) { return s.write(key, value, waiter); });
}

Attempt<void> Transaction::insert(KeyView key, std::string_view value, Waiter& waiter) {
  if (!is_good_row(key, value)) [[unlikely]]
    return Result<void>(*wrong_row(key, value));
  return attempt<void>([&](TransactionState& s) { return s.insert(key, value, waiter); });
}

Attempt<bool> Transaction::write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) {
  if (!is_good_row(key, value)) [[unlikely]]
    return Result<bool>(*wrong_row(key, value));
  return attempt<bool>([&](TransactionState& s) { return s.write_if(key, expected, value, waiter); });
}

Attempt<bool> Transaction::erase(KeyView key, Waiter& waiter) {
  if (!is_good_key(key)) [[unlikely]]
    return Result<bool>(*wrong_key(key));
  return attempt<bool>([&](TransactionState& s) { return s.erase(key, waiter); });
}

Attempt<void> Transaction::scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Waiter& waiter) {
  return scan_as(false, from, to, limit, rows, waiter);
}

Attempt<void> Transaction::scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                           Waiter& waiter) {
  return scan_as(true, from, to, limit, rows, waiter);
}

Attempt<void> Transaction::scan_as(bool for_update, KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                                   Waiter& waiter) {
  RowSink sink(rows);
  if (std::optional<Error> wrong = wrong_bounds(from, to)) return Result<void>(*std::move(wrong));
  const bool nothing = limit == 0 || (!to.empty() && to <= from);
  const auto access = for_update ? TransactionState::Access::for_update : TransactionState::Access::plain;
  return attempt<void>([&](TransactionState& s) {
    return nothing ? Attempt<void>(Result<void>()) : s.scan(from, to, limit, sink, access, waiter);
  });
}

Result<void> Transaction::savepoint(std::string_view name) {
  return *attempt<void>([&](TransactionState& s) {
    TransactionState::Savepoint& point = s.savepoints.take();
    point.name.assign(name);
    point.mark = s.mark();
    return Attempt<void>(Result<void>());
  });
}

Result<void> Transaction::rollback_to(std::string_view name) {
  return *attempt<void>([&](TransactionState& s) {
    const std::size_t position = position_of(s, name);
    if (position == s.savepoints.size()) return Attempt<void>(Result<void>(no_savepoint(s, name)));
    s.undo_to(s.savepoints[position].mark);
    s.savepoints.shrink_to(position + 1);
    return Attempt<void>(Result<void>());
  });
}

Result<void> Transaction::release(std::string_view name) {
  return *attempt<void>([&](TransactionState& s) {
    const std::size_t position = position_of(s, name);
    if (position == s.savepoints.size()) return Attempt<void>(Result<void>(no_savepoint(s, name)));
    s.savepoints.shrink_to(position);
    return Attempt<void>(Result<void>());
  });
}

void Transaction::prefetch(std::span<const KeyView> keys) const {
  if (state_) state_->prefetch(keys);
}

Attempt<void> Transaction::commit(Waiter& waiter) {
  if (state_ && state_->protocol().log()) return commit_to_log(waiter);
  Attempt<void> answer = attempt<void>([&](TransactionState& s) { return s.commit(waiter); });
  if (answer && answer->ok()) end(true);
  return answer;
}

Attempt<void> Transaction::commit_to_log(Waiter& waiter) {
  Log& log = *state_->protocol().log();
  if (!state_->awaits_log) {
    if (log.has_stopped() && !state_->given_up) return Result<void>(give_up(*state_, *log.stopped()));
    Attempt<void> answer = attempt<void>([&](TransactionState& s) { return s.commit(waiter); });
    if (!answer || !answer->ok()) return answer;
    // A transaction that has written nothing may have read what is not on disk yet.
    if (state_->log_position == 0) state_->log_position = log.last();
    state_->awaits_log = true;
    state_->pending = true;
  } else if (log.is_waiting(state_->log_wait)) {
    return Result<void>(invalid(fmt::format("the commit of {} is still pending", label_of(*state_))));
  }
  Attempt<void> answer;
  if (const std::optional<Fault> why = state_->log_wait_cancelled)
    answer = Result<void>(Error{Fault::outcome_unknown,
                                {},
                                fmt::format("{} has committed, but was told to stop ({}) before its commit was on disk",
                                            label_of(*state_), lockstep::name_of(*why))});
  else
    answer = log.wait_for(state_->log_position, state_->log_wait, waiter);
  if (answer) end(true);
  return answer;
}

void Transaction::end(bool committed) noexcept {
  TransactionState& state = *std::exchange(state_, nullptr);
  state.has_committed = committed;
  state.protocol().end(state);
}

void Transaction::abort() noexcept {
  if (!state_) return;
  const bool has_committed = state_->awaits_log;  // only that it is on disk was not waited for
  if (has_committed)
    state_->protocol().log()->cancel(state_->log_wait);
  else if (!state_->given_up)
    state_->roll_back();
  end(has_committed);
}

Nanos Transaction::wait_deadline() const noexcept {
  return state_ && state_->pending && !state_->awaits_log ? state_->wait_deadline() : kNever;
}

void Transaction::cancel_wait(Fault why) noexcept {
  if (!state_ || !state_->pending) return;
  if (!state_->awaits_log)
    state_->cancel_wait(why);
  else if (state_->protocol().log()->cancel(state_->log_wait))
    state_->log_wait_cancelled = why;
}

bool Transaction::active() const noexcept { return state_ != nullptr; }
TxnId Transaction::id() const noexcept { return id_; }

std::span<const ProtocolInfo> protocols() noexcept {
  static const std::vector<ProtocolInfo> infos = [] {
    std::vector<ProtocolInfo> list;
    for (const ProtocolEntry& entry : protocol_entries()) list.push_back(entry.info);
    return list;
  }();
  return infos;
}

Result<std::unique_ptr<Store>> Store::open(Options options) {
  const auto entries = protocol_entries();
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const ProtocolEntry& e) { return e.info.name == options.protocol; });
  if (entry == entries.end()) {
    std::string known;
    for (const ProtocolEntry& e : entries) known += fmt::format("{}{}", known.empty() ? "" : ", ", e.info.name);
    return invalid(fmt::format("no protocol \"{}\" for kv; there are {}", options.protocol, known));
  }
  std::unique_ptr<Protocol> protocol = entry->open(options, options.clock ? *options.clock : kRealClock);
  protocol->name = entry->info.name;
  std::unique_ptr<Log> log;
  if (!options.path.empty()) {
    Result<std::unique_ptr<Log>> opened = open_log(options, *protocol);
    if (!opened.ok()) return opened.error();
    log = std::move(opened).value();
    protocol->attach(*log);
  }
  return std::unique_ptr<Store>(new Store(std::move(protocol), std::move(log)));
}

Store::Store(std::unique_ptr<Protocol> protocol, std::unique_ptr<Log> log) noexcept
    : log_(std::move(log)), protocol_(std::move(protocol)) {}
Store::~Store() = default;

std::optional<LogStatus> Store::log_status() const { return log_ ? std::optional(log_->status()) : std::nullopt; }
Result<void> Store::close() { return log_ ? log_->close() : Result<void>(); }

Transaction Store::begin(TxnOptions options) { return Transaction(protocol_->begin(options)); }

std::vector<LockInfo> Store::locks() const {
  const Epochs::Pin pin(protocol_->epochs());
  return protocol_->locks();
}
std::optional<Neighbourhood> Store::neighbourhood(KeyView from, KeyView to) const {
  const Epochs::Pin pin(protocol_->epochs());
  return protocol_->neighbourhood(from, to);
}
std::vector<std::string> Store::vacant_keys_of(TxnId txn) const {
  const Epochs::Pin pin(protocol_->epochs());
  return protocol_->vacant_keys_of(txn);
}
std::vector<WaitEdge> Store::waits() const { return protocol_->waits(); }
std::vector<WaitEdge> Store::waits_of(TxnId txn) const { return protocol_->waits_of(txn); }
std::vector<DeadlockReport> Store::deadlocks() const { return protocol_->deadlocks(); }
Counters Store::counters() const { return protocol_->counters(); }
std::uint64_t Store::tag_of(TxnId txn) const { return protocol_->tag_of(txn); }
std::string_view Store::protocol() const noexcept { return protocol_->name; }

}  // namespace lockstep::kv
