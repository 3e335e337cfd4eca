// session.cc: requests, the transaction's state, and the meaning of answers.
#include "engine/stores/mariadb/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>

#include "engine/store/statement_text.h"
#include "engine/stores/mariadb/errors.h"
#include "engine/stores/mariadb/statements.h"

namespace lockstep::mariadb {
namespace {

constexpr auto kSentMax = std::chrono::seconds(1);

}  // namespace

void MariaActors::add(std::uint64_t thread, int actor) {
  const MutexLock lock(mutex_);
  actors_[thread] = {.actor = actor};
}

void MariaActors::remove(std::uint64_t thread) {
  const MutexLock lock(mutex_);
  actors_.erase(thread);
}

std::uint64_t MariaActors::note_request(std::uint64_t thread) {
  const MutexLock lock(mutex_);
  ++requests_;
  if (const auto found = actors_.find(thread); found != actors_.end() && found->second.active_since == 0)
    found->second.active_since = requests_;
  return requests_;
}

void MariaActors::note_quiet(std::uint64_t thread) {
  const MutexLock lock(mutex_);
  if (const auto found = actors_.find(thread); found != actors_.end()) found->second.active_since = 0;
}

int MariaActors::actor_of(std::uint64_t thread) const {
  const MutexLock lock(mutex_);
  const auto found = actors_.find(thread);
  return found == actors_.end() ? -1 : found->second.actor;
}

std::vector<int> MariaActors::active_before(std::uint64_t request, std::uint64_t thread) const {
  const MutexLock lock(mutex_);
  std::vector<int> actors;
  for (const auto& [each, known] : actors_) {
    if (each != thread && known.active_since != 0 && known.active_since < request) actors.push_back(known.actor);
  }
  std::sort(actors.begin(), actors.end());
  return actors;
}

IdleMariaConnections::IdleMariaConnection IdleMariaConnections::take() {
  const MutexLock lock(mutex_);
  if (idle_.empty()) return {};
  IdleMariaConnection taken = std::move(idle_.back());
  idle_.pop_back();
  return taken;
}

void IdleMariaConnections::give(IdleMariaConnection idle) {
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(idle));
}

void IdleMariaConnections::clear() {
  const MutexLock lock(mutex_);
  idle_.clear();
}

Result<std::unique_ptr<Session>> MariadbSession::open(MariaCommon& common, int actor) {
  std::unique_ptr<MariadbSession> session(new MariadbSession(common, actor));
  if (auto failed = session->connect_and_set_up()) return *std::move(failed);
  return std::unique_ptr<Session>(std::move(session));
}

std::optional<Error> MariadbSession::connect_and_set_up() {
  auto [connection, is_set_up] = common_.idle.take();
  if (connection != nullptr) {
    connection_.adopt(std::move(connection));
    if (!connection_.is_sound()) connection_.adopt(nullptr);
  }
  if (!connection_.is_open()) {
    auto connected = connect(common_.dsn, MariaCalls::never_wait, common_.connect_max);
    if (!connected) return connected.error();
    connection_.adopt(std::move(connected).value());
    is_set_up = false;
  }
  if (!is_set_up) {
    if (const auto done = ask(connection_.get(), common_.session_setup); !done) return done.error();
  }
  thread_ = connection_.thread();
  common_.actors.add(thread_, actor_);
  return std::nullopt;
}

MariadbSession::~MariadbSession() {
  if (thread_ == 0) return;
  bool working = false;
  {
    const MutexLock lock(mutex_);
    working = in_flight_ || commit_sent_;
  }
  if (commit_sent_) common_.cluster->deliver_commits();
  // The server would notice the closed connection only when its statement ends; until then it would hold its locks.
  if (working && !lost_) {
    common_.monitor->kill_connection(thread_);
  } else if (!lost_) {
    // What it has is given back now, and not when the server gets to it.
    const bool is_clean = ran_sql_ ? ::mysql_reset_connection(connection_.get()) == 0
                                   : !in_transaction_ || ask(connection_.get(), "rollback").ok();
    if (is_clean) common_.idle.give({.connection = connection_.release(), .is_set_up = !ran_sql_});
  }
  common_.actors.remove(thread_);
}

std::optional<Fault> MariadbSession::flight_ends() {
  const MutexLock lock(mutex_);
  in_flight_ = false;
  return std::exchange(cancelled_, std::nullopt);
}

void MariadbSession::cancel(Pending& /*pending*/, Fault why) {
  // Under the lock: when the request has ended here, the kill was sent before, and cannot hit the next one.
  const MutexLock lock(mutex_);
  if (!in_flight_) return;
  cancelled_ = why;
  common_.monitor->kill_query(thread_);
}

std::string MariadbSession::statement_of(const Request& request) const {
  switch (request.verb) {
    case Verb::savepoint:
      return "savepoint " + quoted_name(request.key);
    case Verb::rollback_to:
      return "rollback to savepoint " + quoted_name(request.key);
    case Verb::release:
      return "release savepoint " + quoted_name(request.key);
    default:
      return statement_for(request);
  }
}

bool MariadbSession::finish_early(Pending& pending) {
  const Request& request = pending.request;
  if (request.verb == Verb::abort && (lost_ || !in_transaction_)) return true;  // nothing is left to roll back
  if (lost_) {
    pending.error = request_error(Fault::unavailable, "", request, "the connection to MariaDB is lost");
  } else if (commit_sent_ && request.verb != Verb::commit && request.verb != Verb::abort) {
    pending.error = request_error(Fault::invalid, "", request, "the commit has been sent; only its answer is left");
  } else {
    pending.error = refusal(request, in_transaction_);
  }
  if (pending.error || common_.cluster == nullptr) return pending.error.has_value();
  if (request.verb == Verb::execute && is_send_of_commit(request.key)) {
    pending.error = send_commit();
    return true;
  }
  // Whatever commits now would not come to an end else.
  const bool commits = request.verb == Verb::execute
                           ? !in_transaction_ || effect_of(request) == MariaEffect::ends
                           : request.verb == Verb::commit || (request.verb == Verb::abort && commit_sent_);
  if (commits) common_.cluster->deliver_commits();
  return false;
}

std::optional<Error> MariadbSession::send_commit() {
  const Request request{.verb = Verb::commit};
  if (!in_transaction_) return request_error(Fault::invalid, "", request, "no transaction is open");
  if (!common_.cluster->hold_commits()) {
    return request_error(Fault::unsupported, "", request,
                         "only in a private cluster can a commit be held while it is under way");
  }
  commit_sent_ = true;
  connection_.send(statement_for(request));
  const auto deadline = std::chrono::steady_clock::now() + kSentMax;
  // A commit of nothing is answered at once, and so is one of what the cluster has undone.
  while (!connection_.move() && common_.monitor->state_of(thread_) != "Waiting for certification") {
    if (std::chrono::steady_clock::now() > deadline) break;
  }
  return std::nullopt;
}

Result<std::string> MariadbSession::savepoint_statement(const Request& request) {
  if (request.verb == Verb::savepoint) {
    const bool is_plain = std::all_of(request.key.begin(), request.key.end(), [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
    });
    const bool is_taken = std::any_of(savepoints_.begin(), savepoints_.end(),
                                      [&request](const auto& each) { return each.first == request.key; });
    const std::string own = is_plain && !is_taken && !request.key.empty() ? std::string(request.key)
                                                                          : fmt::format("#{}", ++savepoints_made_);
    savepoints_.emplace_back(request.key, own);
    return "savepoint " + quoted_name(own);
  }
  const auto found = std::find_if(savepoints_.rbegin(), savepoints_.rend(),
                                  [&request](const auto& each) { return each.first == request.key; });
  if (found == savepoints_.rend())
    return request_error(Fault::invalid, "1305", request, fmt::format("there is no savepoint \"{}\"", request.key));
  const std::string own = found->second;
  const bool stays = request.verb == Verb::rollback_to;
  savepoints_.erase(stays ? found.base() : std::prev(found.base()), savepoints_.end());
  return (stays ? "rollback to savepoint " : "release savepoint ") + quoted_name(own);
}

void MariadbSession::note_what_was_asked(const Request& request) {
  if (request.verb == Verb::execute) {
    ran_sql_ = true;
    may_lock_ = may_lock_ || may_lock_session(request.key);
    if (may_set_limit(request.key)) may_have_limit_ = true;
    if (may_lock_beyond_rows(request.key)) common_.traces->locks_beyond_rows = true;
    if (may_insert(request.key)) common_.traces->may_have_new_rows = true;
  }
  request_ = common_.actors.note_request(thread_);
}

void MariadbSession::note_whether_quiet() {
  if (lost_ || (!in_transaction_ && !may_lock_)) common_.actors.note_quiet(thread_);
}

/// One request after the other: phases 1 and 2 of the table at the head of session.h.
bool MariadbSession::attempt(Pending& pending, Waiter& /*waiter*/) {
  if (pending.phase == 0) {
    if (finish_early(pending)) return true;
    const Request& request = pending.request;
    const bool is_of_savepoint =
        request.verb == Verb::savepoint || request.verb == Verb::rollback_to || request.verb == Verb::release;
    Result<std::string> sql = is_of_savepoint ? savepoint_statement(request) : Result(statement_for(request));
    if (!sql) {
      pending.error = sql.error();
      return true;
    }
    if (!commit_sent_) note_what_was_asked(request);
    failure_.reset();
    failure_number_ = 0;
    // A connection that was lost earlier is told apart from one that is lost with the commit on its way.
    sent_ = request.verb != Verb::commit || commit_sent_ || connection_.is_sound();
    if (!sent_) {
      failure_ = Error{Fault::unavailable, {}, "the connection to MariaDB is lost"};
      lost_ = true;
      settle_failure(pending, std::nullopt);
      return true;
    }
    {
      const MutexLock lock(mutex_);
      in_flight_ = true;
      cancelled_.reset();
    }
    if (!std::exchange(commit_sent_, false)) connection_.send(std::move(*sql));
    pending.phase = 1;
    waits_ = true;
  }
  if (take(pending)) return true;
  pending.waiting = Waiting{};
  pending.waiting.fd = connection_.socket();
  pending.waiting.events = connection_.events();
  pending.waiting.external = true;
  return false;
}

bool MariadbSession::take(Pending& pending) {
  if (!connection_.move()) return false;
  if (pending.phase == 1 && connection_.failure()) {
    failure_ = connection_.failure();
    failure_number_ = connection_.failure_number();
    answers_ = std::move(connection_.answers());
    lost_ = is_loss(failure_number_);
    if (pending.request.verb == Verb::execute && !lost_) {
      // An error packet does not say it, and a deadlock of named locks leaves the transaction open.
      pending.phase = 2;
      connection_.send("select @@in_transaction");
      if (!connection_.move()) return false;
    }
  }
  waits_ = false;
  settle(pending);
  return true;
}

Arrival MariadbSession::arrival() {
  is_scheduled_ = true;
  if (!waits_) return {};
  const bool complete = connection_.move();
  const unsigned number = failure_number_ != 0 ? failure_number_ : connection_.failure_number();
  return {.complete = complete, .gave_up = is_given_up_by_server(number)};
}

void MariadbSession::settle(Pending& pending) {
  const std::optional<Fault> cancelled = flight_ends();
  if (failure_) return settle_failure(pending, cancelled);
  const Request& request = pending.request;
  const bool was_in_transaction = in_transaction_;
  in_transaction_ = connection_.in_transaction();
  if (!in_transaction_) savepoints_.clear();
  if (request.verb == Verb::reset) may_lock_ = false;
  note_whether_quiet();
  MariaAnswer last;
  for (MariaAnswer& answer : connection_.answers()) {
    if (request.verb == Verb::execute)
      pending.reply.results.push_back({.columns = answer.columns, .rows = answer.rows, .tag = {}, .error = {}});
    last = std::move(answer);
  }
  // Of an upsert 2 says that the row was there. A row whose insert failed or was rolled back leaves nothing.
  if (request.verb == Verb::insert || (request.verb == Verb::write && last.touched != 2))
    common_.traces->may_have_new_rows = true;
  fill_reply(pending.reply, request, std::move(last));
  if (request.verb == Verb::execute) {
    pending.reply.autocommitted = !was_in_transaction && !in_transaction_ && may_autocommit(request.key);
    pending.reply.rolled_back = was_in_transaction && !in_transaction_ && ends_without_commit(request.key);
  }
  // Under a schedule one step has ended before the next begins, on every node.
  const bool committed = pending.reply.autocommitted || (was_in_transaction && !in_transaction_ &&
                                                         request.verb != Verb::abort && !pending.reply.rolled_back);
  if (committed && is_scheduled_ && common_.cluster != nullptr) common_.cluster->let_others_see(common_.node);
}

void MariadbSession::settle_failure(Pending& pending, const std::optional<Fault>& cancelled) {
  const Request& request = pending.request;
  const bool was_in_transaction = in_transaction_;
  pending.error = error_of(request, cancelled);
  for (MariaAnswer& answer : answers_) {
    pending.reply.results.push_back(
        {.columns = std::move(answer.columns), .rows = std::move(answer.rows), .tag = {}, .error = {}});
  }
  answers_.clear();
  if (pending.phase == 2) {
    // Asked in vain: the connection has gone meanwhile, and took the transaction with it.
    lost_ = lost_ || connection_.failure().has_value();
    const auto& asked = connection_.answers();
    in_transaction_ = !lost_ && !asked.empty() && !asked[0].rows.empty() && asked[0].rows[0][0] == "1";
  } else if (lost_ || ends_transaction(failure_number_) || effect_of(request) == MariaEffect::ends) {
    in_transaction_ = false;
  }
  if (failure_number_ == kNodeNotReady && was_in_transaction) {
    // A node that takes no statements takes no rollback, and would commit the transaction with the next begin once it
    // is back. It rolls back whose connection goes.
    connection_.adopt(nullptr);
    lost_ = true;
    in_transaction_ = false;
  }
  if (!in_transaction_) savepoints_.clear();
  note_whether_quiet();
  if (failure_number_ == kDeadlock) settle_deadlock(pending, cancelled);
  if (!pending.reply.results.empty())
    pending.reply.results.push_back({.columns = {}, .rows = {}, .tag = {}, .error = pending.error});
}

/// The cycle is gone by now. The server keeps the story of the latest one.
void MariadbSession::settle_deadlock(Pending& pending, const std::optional<Fault>& cancelled) {
  const bool has_listener = is_scheduled_ && common_.observer != nullptr;
  if (!has_listener && common_.cluster == nullptr) return;
  const BrokenDeadlock told = deadlock_in(common_.monitor->status());
  // A story is of this failure once. Without one: a deadlock of named locks, or of tables.
  const bool is_ours =
      told.victim == thread_ && common_.deadlock_told.exchange(told.victim_statement) != told.victim_statement;
  if (is_ours) {
    if (has_listener) tell_of_deadlock(told);
  } else if (common_.cluster != nullptr && !in_transaction_) {
    settle_conflict(pending, cancelled);
  }
}

/// Tells a conflict of nodes from a deadlock. A cluster gives both the same code, 1213. A conflict always ends the
/// transaction, and InnoDB's report of the latest deadlock has nothing of it.
void MariadbSession::settle_conflict(Pending& pending, const std::optional<Fault>& cancelled) {
  if (pending.request.verb == Verb::abort) {
    pending.error.reset();  // the cluster has done it already
    return;
  }
  if (cancelled) {
    // A node answers so to a kill, too.
    pending.error = request_error(*cancelled, failure_->code, pending.request, failure_->message);
    return;
  }
  const std::string node = fmt::format("n{}", common_.node + 1);
  const std::string what = fmt::format("on {} a change from another node goes first", node);
  pending.error = request_error(Fault::certification_failure, failure_->code, pending.request,
                                fmt::format("{} (the server's words: {})", what, failure_->message));
  pending.error->facts = {{"primary", what}, {"node", node}, {"server's words", failure_->message}};
}

void MariadbSession::tell_of_deadlock(const BrokenDeadlock& told) {
  std::vector<int> cycle;
  for (const std::uint64_t thread : told.threads) cycle.push_back(common_.actors.actor_of(thread));
  const bool are_ours = std::none_of(cycle.begin(), cycle.end(), [](int actor) { return actor < 0; });
  if (are_ours && cycle.size() > 1) {
    common_.observer->on_deadlock(cycle, actor_,
                                  "InnoDB: fewest changed rows and locks; of equals, whose wait closed the cycle");
  }
}

Error MariadbSession::error_of(const Request& request, const std::optional<Fault>& cancelled) const {
  Fault fault = failure_->fault;
  if (lost_) {
    fault = sent_ && is_in_doubt_when_lost(request, in_transaction_) ? Fault::outcome_unknown : Fault::unavailable;
  } else if (failure_number_ == kKilledQuery && cancelled) {
    fault = *cancelled;
  } else if (failure_number_ == kStatementTime && common_.limit_is_for_locks && !may_have_limit_.load()) {
    fault = Fault::lock_timeout;
  }
  Error error = request_error(fault, failure_->code, request, failure_->message);
  error.facts = {{"primary", failure_->message}};
  return error;
}

std::vector<Blocker> MariadbSession::blockers(const Pending& pending) {
  {
    const MutexLock lock(mutex_);
    if (!in_flight_) return {};
  }
  const Request& request = pending.request;
  const RowWait wait = wait_of(thread_, transactions_in(common_.monitor->status()));
  if (wait.blockers.empty())
    return common_.traces->locks_beyond_rows.load() ? blockers_beyond_rows(request) : std::vector<Blocker>();
  const bool has_key = request.verb != Verb::execute && request.verb != Verb::scan_for_update &&
                       request.verb != Verb::scan && !request.key.empty();
  const std::string what = common_.describes_waits ? text_of(wait.lock) : "a lock";
  const std::string object = has_key ? std::string(request.key)
                             : wait.lock.record.empty() || wait.lock.supremum
                                 ? std::string(name_of_table(wait.lock))
                                 : fmt::format("{} {}", name_of_table(wait.lock), wait.lock.record);
  std::vector<Blocker> blockers;
  for (const std::uint64_t thread : wait.blockers) {
    blockers.push_back({.actor = common_.actors.actor_of(thread),
                        .object = object,
                        .what = what,
                        .lock = common_.describes_waits ? what : std::string()});
  }
  return blockers;
}

namespace {

/// The name in "get_lock('a', 1)"; empty when there is none.
std::string named_lock_in(std::string_view sql) {
  std::string lower(sql);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::size_t call = lower.find("get_lock(");
  if (call == std::string::npos) return {};
  const std::size_t open = lower.find_first_of("'\"", call);
  if (open == std::string::npos) return {};
  const std::size_t close = lower.find(lower[open], open + 1);
  return close == std::string::npos ? std::string() : std::string(sql.substr(open + 1, close - open - 1));
}

}  // namespace

/// Locks by name tell their holder. Of a lock of a table's definition the server shows (without its performance schema)
/// that somebody waits, and not for whom: one of those that were in a transaction, or waited themselves, when it came.
/// Where none of them is left, the lock is about to be given (or is held by a session outside the run, which nobody
/// tells).
std::vector<Blocker> MariadbSession::blockers_beyond_rows(const Request& request) const {
  const std::string state = common_.monitor->state_of(thread_);
  if (state == "User lock") {
    const std::string name = named_lock_in(request.key);
    const std::string holder = common_.monitor->value_of(fmt::format("select is_used_lock({})", quoted_value(name)));
    if (name.empty() || holder.empty()) return {};
    const int actor = common_.actors.actor_of(std::strtoull(holder.c_str(), nullptr, 10));
    const std::string what = fmt::format("named lock {}", name);
    return {{.actor = actor, .object = what, .what = what, .lock = what}};
  }
  if (!state.starts_with("Waiting for ") || state.find(" lock") == std::string::npos) return {};
  const std::string what = state.substr(std::string_view("Waiting for ").size());
  std::vector<Blocker> blockers;
  for (const int actor : common_.actors.active_before(request_.load(), thread_))
    blockers.push_back({.actor = actor, .object = what, .what = what, .any = true, .lock = what});
  return blockers;
}

}  // namespace lockstep::mariadb
