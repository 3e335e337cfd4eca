// backend.cc: the in-house store as a backend of the engine. A thin layer: one verb is one call of kv, `add` is two.
//
// The store also stands for other stores in a search (engine/explore/model/model.h). Asked for as "snapshot as NAME",
// it behaves as the EmulatedDatabase of that name where its own protocol leaves that open. Such names are not listed
// among its protocols, since only searches use them.
#include "engine/store/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/base/footprint.h"
#include "kv/store.h"

namespace lockstep {
namespace {

constexpr std::string_view kVictimOption = "victim";  ///< the victim of a deadlock: a name of kv::VictimPolicy

/// Ignores wake-ups: for transactions that never meet another.
class Nobody final : public Waiter {
 public:
  void wake() noexcept override {}
};

Blocker to_blocker(const kv::Store& store, const kv::WaitEdge& edge) {
  return {.actor = static_cast<int>(store.tag_of(edge.holder)) - 1,
          .object = edge.whole_store   ? "the store"
                    : edge.key.empty() ? "the end of the keys"
                                       : edge.key,
          .what = edge.avoidance ? "its claims make it unsafe"
                  : edge.whole_store
                      ? "one transaction at a time"
                      : fmt::format("{} lock{}", kv::name_of(edge.held), edge.range ? " on the gap" : ""),
          .avoidance = edge.avoidance};
}

ProtocolTraits traits_of(const kv::ProtocolInfo& info) {
  return {.name = std::string(info.name),
          .summary = std::string(info.summary),
          .isolation = info.serializable ? check::Level::serializable : check::Level::snapshot,
          .deadlocks = info.breaks_deadlocks ? DeadlockBreaking::at_once : DeadlockBreaking::none,
          .scope = info.scope,
          .begin_order_matters = true,
          .reads_snapshot = info.reads_snapshot,
          .holds = info.holds,
          .model = std::nullopt,
          .on_trial = info.on_trial};
}

/// A protocol as it was asked for: its own name, or that of another store which it stands for.
struct AskedFor {
  ProtocolTraits traits;
  std::string protocol;                        ///< of kv
  const EmulatedDatabase* emulated = nullptr;  ///< nullptr: it stands for nothing but itself
};

/// "ssi", or "ssi as NAME"; nullopt when there is no such protocol, or nothing of that name to stand for.
std::optional<AskedFor> asked_for(std::string_view name) {
  constexpr std::string_view kAs = " as ";
  const std::size_t as = name.find(kAs);
  const std::string_view protocol = name.substr(0, as);
  const auto all = kv::protocols();
  const auto info =
      std::find_if(all.begin(), all.end(), [protocol](const kv::ProtocolInfo& each) { return each.name == protocol; });
  if (info == all.end()) return std::nullopt;
  AskedFor asked{.traits = traits_of(*info), .protocol = std::string(protocol)};
  if (as == std::string_view::npos) return asked;
  asked.emulated = emulated_named(name.substr(as + kAs.size()));
  if (asked.emulated == nullptr) return std::nullopt;
  asked.traits.name = name;
  asked.traits.begin_order_matters = false;
  // Where every operation has a snapshot of its own, a commit matters to others only by the keys that it has written.
  if (asked.emulated->operations_see_latest) asked.traits.scope = ConflictScope::keys;
  return asked;
}

class KvSession final : public Session {
 public:
  KvSession(kv::Store& store, int actor, std::string name, const EmulatedDatabase* emulated)
      : store_(store), actor_(actor), name_(std::move(name)), emulated_(emulated) {}

  bool attempt(Pending& pending, Waiter& waiter) override {
    const Request& request = pending.request;
    if (pending.phase == 0) {
      if (pending.error = refusal(request, txn_.active()); pending.error) return true;
    }
    switch (request.verb) {
      case Verb::begin:
        return begin(pending, waiter);
      case Verb::read:
        return read(pending, txn_.read(request.key, buffer_, waiter));
      case Verb::read_for_update:
        return read(pending, txn_.read_for_update(request.key, buffer_, waiter));
      case Verb::write:
        return done(pending, txn_.write(request.key, request.value, waiter));
      case Verb::insert:
        return done(pending, txn_.insert(request.key, request.value, waiter));
      case Verb::write_if:
        return rows(pending, txn_.write_if(request.key, request.expected, request.value, waiter));
      case Verb::add:
      case Verb::add_if:
        return add(pending, waiter);
      case Verb::erase:
        return rows(pending, txn_.erase(request.key, waiter));
      case Verb::scan:
        return table(pending, txn_.scan(request.key, request.upper, request.limit, rows_, waiter));
      case Verb::scan_for_update:
        return table(pending, txn_.scan_for_update(request.key, request.upper, request.limit, rows_, waiter));
      case Verb::execute:
        pending.error = Error{Fault::unsupported, {}, "kv has no SQL; use read, write, scan and their kin"};
        return true;
      case Verb::savepoint:
        return done(pending, txn_.savepoint(request.key));
      case Verb::rollback_to:
        return done(pending, txn_.rollback_to(request.key));
      case Verb::release:
        return done(pending, txn_.release(request.key));
      case Verb::commit:
        if (!done(pending, txn_.commit(waiter))) return false;
        if (!pending.error) first_attempt_ = 0;
        if (pending.error && emulated_ != nullptr && emulated_->failed_commit_aborts) txn_.abort();
        return true;
      case Verb::abort:
        txn_.abort();
        return true;
      case Verb::reset:  // nothing outlives a transaction
        return true;
    }
    return true;
  }

  void cancel(Pending&, Fault why) override { txn_.cancel_wait(why); }

  std::vector<Blocker> blockers(const Pending&) override {
    std::vector<Blocker> found;
    for (const kv::WaitEdge& edge : store_.waits_of(txn_.id())) found.push_back(to_blocker(store_, edge));
    return found;
  }

  void touch_gaps(const Request& request, bool waits, Footprint& footprint) override;
  bool in_transaction() const noexcept override { return txn_.active(); }

 private:
  void touch_place(const Request& request, bool waits, Footprint& footprint);
  void touch_scan(const Request& request, bool waits, Footprint& footprint);
  void touch_given_back(Footprint& footprint);

  bool begin(Pending& pending, Waiter& waiter) {
    if (pending.phase == 0) {
      const bool weaker = emulated_ != nullptr && emulated_->operations_see_latest;
      txn_ = store_.begin({.label = name_,
                           .tag = static_cast<std::uint64_t>(actor_) + 1,
                           .claims = pending.request.claims,
                           .first_attempt = first_attempt_,
                           .isolation = weaker ? kv::Isolation::read_committed : kv::Isolation::protocol});
      if (first_attempt_ == 0) first_attempt_ = txn_.id();
    }
    if (emulated_ == nullptr || !emulated_->begin_takes_store) return true;
    pending.phase = 1;
    if (!done(pending, txn_.scan({}, {}, 1, rows_, waiter))) return false;
    if (pending.error) txn_.abort();
    return true;
  }

  /// Notes a wait; false so that it can be returned.
  bool waits(Pending& pending) {
    pending.waiting.deadline = txn_.wait_deadline();
    pending.waiting.deadline_fault = Fault::lock_timeout;
    return false;
  }

  template <class T>
  bool finished(Pending& pending, kv::Attempt<T>& attempt) {
    if (!attempt) return waits(pending);
    if (!attempt->ok()) pending.error = attempt->error();
    return true;
  }

  bool done(Pending& pending, kv::Attempt<void> attempt) { return finished(pending, attempt); }
  bool done(Pending& pending, Result<void> result) {
    if (!result) pending.error = result.error();
    return true;
  }

  bool rows(Pending& pending, kv::Attempt<bool> attempt) {
    if (!finished(pending, attempt)) return false;
    if (attempt->ok()) pending.reply.rows = **attempt ? 1 : 0;
    return true;
  }

  bool read(Pending& pending, kv::Attempt<bool> attempt) {
    if (!finished(pending, attempt)) return false;
    if (attempt->ok() && **attempt) {
      pending.reply.value.emplace(buffer_);
      pending.reply.rows = 1;
    }
    return true;
  }

  bool table(Pending& pending, kv::Attempt<void> attempt) {
    if (!finished(pending, attempt)) return false;
    if (!attempt->ok()) return true;
    pending.reply.rows = static_cast<std::int64_t>(rows_.size());
    for (kv::Row& row : rows_) pending.reply.table.push_back({std::move(row.key), std::move(row.value)});
    return true;
  }

  /// sum := the number in the buffer + delta, exactly.
  std::optional<Error> add_to_buffer(const Request& request, std::int64_t& sum) const {
    const char* const end = buffer_.data() + buffer_.size();
    std::int64_t value = 0;
    const auto parsed = std::from_chars(buffer_.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      return Error{
          Fault::invalid,
          {},
          fmt::format("{}: \"{}\" holds \"{}\", which is no number", name_of(request.verb), request.key, buffer_)};
    }
    if (__builtin_add_overflow(value, request.delta, &sum)) {
      return Error{Fault::invalid,
                   {},
                   fmt::format("{}: {} {:+} has more than 64 bits", name_of(request.verb), value, request.delta)};
    }
    return std::nullopt;
  }

  /// Reads for update (phase 0), then writes (phase 1): the lock is held in between, so no other write comes between.
  bool add(Pending& pending, Waiter& waiter) {
    const Request& request = pending.request;
    if (pending.phase == 0) {
      kv::Attempt<bool> attempt = txn_.read_for_update(request.key, buffer_, waiter);
      if (!finished(pending, attempt)) return false;
      if (pending.error) return true;
      std::int64_t sum = 0;
      if (**attempt) {
        if (pending.error = add_to_buffer(request, sum); pending.error) return true;
      }
      if (!**attempt || (request.verb == Verb::add_if && sum < request.floor)) return true;  // no row touched
      sum_ = fmt::format_int(sum).str();
      pending.phase = 1;
    }
    if (!done(pending, txn_.write(request.key, sum_, waiter))) return false;
    if (!pending.error) {
      pending.reply.rows = 1;
      pending.reply.value = sum_;
    }
    return true;
  }

  kv::Store& store_;
  const int actor_;
  const std::string name_;
  const EmulatedDatabase* const emulated_;
  kv::Transaction txn_;
  kv::TxnId first_attempt_ = 0;  ///< a retry keeps its age, so that it does not stay the youngest
  std::string buffer_;           ///< its capacity serves every read
  std::string sum_;
  std::vector<kv::Row> rows_;
};

/// Next-key locks. A scan locks every gap that it meets, up to the keys on both sides of its range. A new key needs the
/// gap that it splits, and a key that goes joins two gaps. So a scan depends on the places of all keys from the one
/// before its range to the one behind it, and on no others.
void KvSession::touch_gaps(const Request& request, bool waits, Footprint& footprint) {
  switch (request.verb) {
    case Verb::scan:
    case Verb::scan_for_update:
      return touch_scan(request, waits, footprint);
    case Verb::write:
    case Verb::insert:
    case Verb::erase:
      return touch_place(request, waits, footprint);
    case Verb::rollback_to:
    case Verb::commit:
    case Verb::abort:
      return touch_given_back(footprint);
    default:
      return;
  }
}

/// The key appears in the index, or goes; a wait for the gap that it would split stands in the queue of that gap.
void KvSession::touch_place(const Request& request, bool waits, Footprint& footprint) {
  const std::optional<kv::Neighbourhood> around = store_.neighbourhood(request.key, std::string(request.key) + '\0');
  if (!around || around->has_row != (request.verb == Verb::erase)) return;
  if (!waits) return footprint.place(actor_, request.key, Touch::changes);
  footprint.gap(actor_, around->below.value_or(std::string()), around->above ? *around->above + '\0' : std::string(),
                Touch::changes);
}

/// Touches what the transaction may give back. Of several sharers of a lock, the last one to give it back lets the
/// waiters go on. So their order matters while anything waits.
void KvSession::touch_given_back(Footprint& footprint) {
  for (const std::string& key : store_.vacant_keys_of(txn_.id())) footprint.place(actor_, key, Touch::changes);
  for (const kv::WaitEdge& edge : store_.waits()) {
    if (edge.holder != txn_.id()) continue;
    if (edge.range) footprint.place(actor_, edge.key, Touch::changes);
    if (!edge.range) footprint.key(actor_, edge.key, Touch::changes);
  }
}

void KvSession::touch_scan(const Request& request, bool waits, Footprint& footprint) {
  const std::optional<kv::Neighbourhood> around = store_.neighbourhood(request.key, request.upper);
  if (!around) return;
  footprint.gap(actor_, around->below.value_or(std::string()), around->above ? *around->above + '\0' : std::string(),
                waits ? Touch::changes : Touch::looks);
}

/// Empty: the default. nullopt: there is no such policy.
std::optional<kv::VictimPolicy> victim_policy_named(std::string_view name) {
  if (name.empty()) return kv::Options{}.victim;
  for (const auto policy :
       {kv::VictimPolicy::youngest, kv::VictimPolicy::oldest, kv::VictimPolicy::least_work, kv::VictimPolicy::closer})
    if (name == kv::name_of(policy)) return policy;
  return std::nullopt;
}

std::string own_option(const BackendOptions& options, std::string_view name) {
  for (const auto& [option, value] : options.own) {
    if (option == name) return value;
  }
  return {};
}

class KvBackend final : public Backend, kv::Observer {
 public:
  static Result<std::unique_ptr<Backend>> open(const BackendOptions& options) {
    auto backend = std::make_unique<KvBackend>();
    backend->observer_ = options.observer;
    std::optional<AskedFor> asked = asked_for(options.protocol);
    if (!asked) return Error{Fault::invalid, {}, fmt::format("kv has no protocol \"{}\"", options.protocol)};
    const std::string policy = own_option(options, kVictimOption);
    const bool closer = asked->emulated != nullptr && asked->emulated->closer_is_victim;
    const std::optional<kv::VictimPolicy> victim = closer ? kv::VictimPolicy::closer : victim_policy_named(policy);
    if (!victim) return Error{Fault::unsupported, {}, fmt::format("kv knows no victim policy \"{}\"", policy)};
    Result<std::unique_ptr<kv::Store>> store = kv::Store::open({.protocol = asked->protocol,
                                                                .lock_timeout = options.lock_timeout,
                                                                .clock = options.clock,
                                                                .victim = *victim,
                                                                .observer = backend.get()});
    if (!store) return store.error();
    backend->store_ = std::move(*store);
    backend->asked_ = std::move(*asked);
    return std::unique_ptr<Backend>(std::move(backend));
  }

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override {
    if (!ddl.empty()) return Error{Fault::unsupported, {}, "kv has no SQL"};
    Nobody nobody;
    kv::Transaction txn = store_->begin({.label = "set-up", .claims_all = true});
    std::vector<kv::Row> old;
    if (auto scanned = txn.scan({}, {}, SIZE_MAX, old, nobody); !scanned || !scanned->ok())
      return failure(scanned, "set-up");
    for (const kv::Row& row : old) {
      auto erased = txn.erase(row.key, nobody);
      if (erased && !erased->ok()) return erased->error();
      if (!erased) return failure({}, "set-up");
    }
    for (const auto& [key, value] : rows) {
      if (auto written = txn.write(key, value, nobody); !written || !written->ok()) return failure(written, "set-up");
    }
    if (auto committed = txn.commit(nobody); !committed || !committed->ok()) return failure(committed, "set-up");
    return {};
  }

  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override {
    return std::unique_ptr<Session>(std::make_unique<KvSession>(*store_, actor, name, asked_.emulated));
  }

  Result<State> final_state() override {
    Nobody nobody;
    kv::Transaction txn = store_->begin({.label = "check", .claims_all = true});
    std::vector<kv::Row> rows;
    if (auto scanned = txn.scan({}, {}, SIZE_MAX, rows, nobody); !scanned || !scanned->ok()) {
      return failure(scanned, "the final state").error();
    }
    State state;
    for (kv::Row& row : rows) state.emplace_back(std::move(row.key), std::move(row.value));
    return state;
  }

  Result<Table> query(const std::string&) override { return Error{Fault::unsupported, {}, "kv has no SQL"}; }

  std::vector<Blocker> holders() override {
    std::vector<Blocker> held;
    for (const kv::LockInfo& lock : store_->locks()) {
      if (!lock.granted) continue;
      held.push_back({.actor = static_cast<int>(store_->tag_of(lock.txn)) - 1,
                      .object = lock.whole_store   ? "the whole store"
                                : lock.key.empty() ? "the end of the keys"
                                                   : lock.key,
                      .what = fmt::format("{}{}", kv::name_of(lock.mode),
                                          lock.gap_only ? " on the gap before it"
                                          : lock.range  ? " with the gap before it"
                                                        : "")});
    }
    return held;
  }

  const Capabilities& capabilities() const noexcept override {
    static const Capabilities all{.nonblocking = true, .version = "kv 0.1"};
    return all;
  }
  const ProtocolTraits& protocol() const noexcept override { return asked_.traits; }

 private:
  static Result<void> failure(const kv::Attempt<void>& attempt, std::string_view what) {
    if (attempt && !attempt->ok()) return attempt->error();
    return Error{Fault::internal, {}, fmt::format("{} waits for a lock: a session was left open", what)};
  }

  void on_deadlock(const kv::DeadlockReport& report) override {
    if (observer_ == nullptr) return;
    std::vector<int> cycle;
    for (const kv::WaitEdge& edge : report.cycle) cycle.push_back(static_cast<int>(store_->tag_of(edge.waiter)) - 1);
    observer_->on_deadlock(cycle, static_cast<int>(store_->tag_of(report.victim)) - 1, report.why);
  }

  StoreObserver* observer_ = nullptr;
  AskedFor asked_;
  std::unique_ptr<kv::Store> store_;
};

}  // namespace

BackendKind backend_kv() {
  BackendKind kind{.name = "kv",
                   .summary = "the in-house store: every locking protocol, in this process",
                   .traits = {.title = "the store",
                              .waits = Waits::in_process,
                              .footprints = Footprints::known,
                              .sql = false,
                              .models_others = true,
                              .has_blocking_sessions = false,
                              .lock_timeout = kNever,
                              .dsn = std::nullopt,
                              .own_options = {kVictimOption}},
                   .protocols = {},
                   .open = &KvBackend::open,
                   .available = always_available,
                   .run_isolation_spec = nullptr,
                   .announcement = nothing_to_announce,
                   .incidents = nullptr};
  for (const kv::ProtocolInfo& protocol : kv::protocols()) kind.protocols.push_back(traits_of(protocol));
  // The default comes first: waits, and breaks what deadlocks.
  std::stable_partition(kind.protocols.begin(), kind.protocols.end(),
                        [](const ProtocolTraits& protocol) { return protocol.name == kv::Options{}.protocol; });
  return kind;
}

}  // namespace lockstep
