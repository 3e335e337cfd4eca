// backend.cc: a store in one file: a map under one mutex, which a transaction holds from its begin to its end. It shows
// that a store needs no line outside its own folder.
#include "engine/store/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>

#include "kv/base/mutex.h"

namespace lockstep {
namespace {

using Rows = std::map<std::string, std::string, std::less<>>;

const Clock& real_clock() {
  static const RealClock clock;
  return clock;
}

class ToySession;

/// What all sessions share. The rows belong to the session that owns the store; the mutex is a leaf.
struct Shared {
  Shared(Nanos longest_wait, const Clock& run_clock) : lock_timeout(longest_wait), clock(run_clock) {}
  const Nanos lock_timeout;
  const Clock& clock;
  Rows rows;
  Mutex mutex;
  ToySession* owner LOCKSTEP_GUARDED_BY(mutex) = nullptr;
  std::deque<ToySession*> queue LOCKSTEP_GUARDED_BY(mutex);
};

class ToySession final : public Session {
 public:
  ToySession(Shared& shared, int actor) : shared_(shared), actor_(actor) {}
  ~ToySession() override {
    leave_queue();
    if (in_transaction_) end(false);
  }

  bool attempt(Pending& pending, Waiter& waiter) override {
    const Request& request = pending.request;
    if (pending.phase == 0 && (pending.error = refusal(request, in_transaction_))) return true;
    if (request.verb == Verb::begin) return begin(pending, waiter);
    if (auto error = perform(request, pending.reply)) pending.error = std::move(error);
    return true;
  }

  void cancel(Pending&, Fault why) override {
    if (leave_queue()) cancelled_ = why;
  }

  std::vector<Blocker> blockers(const Pending&) override {
    MutexLock lock(shared_.mutex);
    if (shared_.owner == nullptr || shared_.owner == this) return {};
    return {{.actor = shared_.owner->actor_, .object = "the store", .what = "one transaction at a time"}};
  }

  bool in_transaction() const noexcept override { return in_transaction_; }

 private:
  struct Savepoint {
    std::string name;
    Rows rows;
  };

  /// Waits in line for the store.
  bool begin(Pending& pending, Waiter& waiter) {
    if (cancelled_) {
      pending.error = Error{*std::exchange(cancelled_, std::nullopt), {}, "begin: waited for the store in vain"};
      return true;
    }
    {
      MutexLock lock(shared_.mutex);
      if (shared_.owner == nullptr) shared_.owner = this;
      if (shared_.owner != this) {
        if (pending.phase == 0) {
          shared_.queue.push_back(this);
          waiter_ = &waiter;
          const Nanos limit = shared_.lock_timeout;
          pending.waiting.deadline = limit == kNever ? kNever : shared_.clock.now() + limit;
          pending.phase = 1;
        }
        return false;
      }
    }
    in_transaction_ = true;
    before_ = shared_.rows;
    return true;
  }

  /// True when it stood there.
  bool leave_queue() {
    MutexLock lock(shared_.mutex);
    return std::erase(shared_.queue, this) != 0;
  }

  /// Hands the store to the session that has waited longest.
  void end(bool commits) {
    if (!commits) shared_.rows = std::move(before_);
    savepoints_.clear();
    in_transaction_ = false;
    MutexLock lock(shared_.mutex);
    shared_.owner = nullptr;
    if (shared_.queue.empty()) return;
    shared_.owner = shared_.queue.front();
    shared_.queue.pop_front();
    shared_.owner->waiter_->wake();
  }

  std::optional<Error> perform(const Request& request, Reply& reply) {
    Rows& rows = shared_.rows;
    const auto found = rows.find(request.key);
    switch (request.verb) {
      case Verb::begin:
        break;
      case Verb::read:
      case Verb::read_for_update:
        if (found != rows.end()) reply = {.value = found->second, .rows = 1, .table = {}, .results = {}};
        break;
      case Verb::write:
        rows.insert_or_assign(std::string(request.key), std::string(request.value));
        break;
      case Verb::insert:
        if (found != rows.end()) return Error{Fault::constraint, {}, fmt::format("insert: {} exists", request.key)};
        rows.emplace(request.key, request.value);
        break;
      case Verb::write_if:
        if (found == rows.end() || found->second != request.expected) break;
        found->second = request.value;
        reply.rows = 1;
        break;
      case Verb::add:
      case Verb::add_if:
        return found == rows.end() ? std::nullopt : add(request, found->second, reply);
      case Verb::erase:
        reply.rows = found == rows.end() ? 0 : 1;
        if (found != rows.end()) rows.erase(found);
        break;
      case Verb::scan:
      case Verb::scan_for_update:
        scan(request, reply);
        break;
      case Verb::execute:
        return Error{Fault::unsupported, {}, "the toy store has no SQL"};
      case Verb::savepoint:
        savepoints_.push_back({std::string(request.key), rows});
        break;
      case Verb::rollback_to:
      case Verb::release:
        return leave_savepoint(request);
      case Verb::commit:
        end(true);
        break;
      case Verb::abort:
        if (in_transaction_) end(false);
        break;
      case Verb::reset:
        break;
    }
    return std::nullopt;
  }

  static std::optional<Error> add(const Request& request, std::string& value, Reply& reply) {
    std::int64_t number = 0, sum = 0;
    const char* const end = value.data() + value.size();
    const auto [rest, wrong] = std::from_chars(value.data(), end, number);
    if (wrong != std::errc() || rest != end || __builtin_add_overflow(number, request.delta, &sum))
      return Error{Fault::invalid, {}, fmt::format("add: {} and {} have no sum", value, request.delta)};
    if (request.verb == Verb::add_if && sum < request.floor) return std::nullopt;
    value = std::to_string(sum);
    reply.value = value;
    reply.rows = 1;
    return std::nullopt;
  }

  void scan(const Request& request, Reply& reply) const {
    for (auto row = shared_.rows.lower_bound(request.key); row != shared_.rows.end(); ++row) {
      if (reply.table.size() == request.limit || (!request.upper.empty() && row->first >= request.upper)) break;
      reply.table.push_back({row->first, row->second});
    }
    reply.rows = static_cast<std::int64_t>(reply.table.size());
  }

  std::optional<Error> leave_savepoint(const Request& request) {
    const auto last = std::find_if(savepoints_.rbegin(), savepoints_.rend(),
                                   [&request](const Savepoint& each) { return each.name == request.key; });
    if (last == savepoints_.rend()) return Error{Fault::invalid, {}, fmt::format("no savepoint {}", request.key)};
    const bool stays = request.verb == Verb::rollback_to;
    if (stays) shared_.rows = last->rows;
    savepoints_.erase(stays ? last.base() : std::prev(last.base()), savepoints_.end());
    return std::nullopt;
  }

  Shared& shared_;
  const int actor_;
  Waiter* waiter_ = nullptr;  ///< while it stands in the queue
  std::optional<Fault> cancelled_;
  bool in_transaction_ = false;
  Rows before_;  ///< at the begin of the transaction
  std::vector<Savepoint> savepoints_;
};

/// A cycle of waits has two edges at least, and the session that owns the store waits for nothing.
ProtocolTraits in_turn() {
  return {.name = "in-turn",
          .summary = "one transaction at a time, in the order in which they came",
          .isolation = check::Level::serializable,
          .deadlocks = DeadlockBreaking::none,
          .scope = ConflictScope::store,
          .begin_order_matters = true,
          .reads_snapshot = false,
          .holds = HoldsUntilEnd::writes,
          .model = std::nullopt,
          .on_trial = true};
}

class ToyBackend final : public Backend {
 public:
  explicit ToyBackend(const BackendOptions& options)
      : shared_(options.lock_timeout, options.clock == nullptr ? real_clock() : *options.clock) {}

  static Result<std::unique_ptr<Backend>> open(const BackendOptions& options) {
    if (options.protocol != in_turn().name)
      return Error{Fault::invalid, {}, fmt::format("toy has no protocol \"{}\"", options.protocol)};
    return std::unique_ptr<Backend>(std::make_unique<ToyBackend>(options));
  }

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override {
    if (!ddl.empty()) return Error{Fault::unsupported, {}, "the toy store has no SQL"};
    shared_.rows = Rows(rows.begin(), rows.end());
    return {};
  }
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string&) override {
    return std::unique_ptr<Session>(std::make_unique<ToySession>(shared_, actor));
  }
  Result<State> final_state() override { return State(shared_.rows.begin(), shared_.rows.end()); }
  Result<Table> query(const std::string&) override { return Error{Fault::unsupported, {}, "the toy store has no SQL"}; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  const Capabilities& capabilities() const noexcept override { return capabilities_; }

 private:
  Shared shared_;
  const ProtocolTraits traits_ = in_turn();
  const Capabilities capabilities_{.nonblocking = true, .version = "toy 1"};
};

}  // namespace

BackendKind backend_toy() {
  return {.name = "toy",
          .summary = "a map under one mutex",
          .traits = {.title = "the toy store",
                     .waits = Waits::in_process,
                     .footprints = Footprints::known,
                     .sql = false,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = kNever,
                     .dsn = std::nullopt,
                     .own_options = {}},
          .protocols = {in_turn()},
          .open = &ToyBackend::open,
          .available = always_available,
          .run_isolation_spec = nullptr,
          .announcement = nothing_to_announce,
          .incidents = nullptr};
}

}  // namespace lockstep
