// session.cc: the transaction's state and the meaning of answers, for both libraries.
#include "engine/stores/postgres/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"

namespace lockstep::postgres {

void Actors::add(int pid, int actor, std::string name) {
  const MutexLock lock(mutex_);
  actors_[pid] = {actor, std::move(name)};
}

void Actors::remove(int pid) {
  const MutexLock lock(mutex_);
  actors_.erase(pid);
}

int Actors::actor_of(int pid) const {
  const MutexLock lock(mutex_);
  const auto found = actors_.find(pid);
  return found == actors_.end() ? -1 : found->second.actor;
}

std::string Actors::name_of(int pid) const {
  const MutexLock lock(mutex_);
  const auto found = actors_.find(pid);
  return found == actors_.end() ? std::string() : found->second.name;
}

std::vector<int> Actors::pids() const {
  const MutexLock lock(mutex_);
  std::vector<int> all;
  for (const auto& [pid, known] : actors_) all.push_back(pid);
  return all;
}

IdleConnections::Idle IdleConnections::take(const std::string& name) {
  const MutexLock lock(mutex_);
  if (idle_.empty()) return {};
  auto best = std::find_if(idle_.begin(), idle_.end(), [&name](const Idle& idle) { return idle.ready_for == name; });
  if (best == idle_.end()) best = std::prev(idle_.end());
  Idle taken = std::move(*best);
  idle_.erase(best);
  return taken;
}

void IdleConnections::give(Idle idle) {
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(idle));
}

void IdleConnections::clear() {
  const MutexLock lock(mutex_);
  idle_.clear();
}

std::string Common::application_of(const std::string& session) const {
  return bare_name.empty() ? "lockstep " + session : bare_name + "/" + session;
}

PostgresSession::~PostgresSession() {
  if (pid_ == 0) return;
  bool working = false;
  {
    const MutexLock lock(mutex_);
    working = in_flight_;
  }
  // The server would notice the closed connection only when its statement ends; until then it would hold its locks.
  if (working && !lost_) common_.monitor->terminate(pid_);
  common_.actors.remove(pid_);
}

void PostgresSession::attach(int pid, const std::string& name) {
  pid_ = pid;
  common_.actors.add(pid, actor_, name);
}

void PostgresSession::flight_begins() {
  const MutexLock lock(mutex_);
  in_flight_ = true;
  cancelled_.reset();
}

std::optional<Fault> PostgresSession::flight_ends() {
  const MutexLock lock(mutex_);
  in_flight_ = false;
  return std::exchange(cancelled_, std::nullopt);
}

void PostgresSession::cancel(Pending& /*pending*/, Fault why) {
  // Under the lock: when the request has ended here, the signal was sent before, and cannot hit the next one.
  const MutexLock lock(mutex_);
  if (!in_flight_) return;
  cancelled_ = why;
  common_.monitor->cancel(pid_);
}

namespace {

/// The lock that a wait is for, in the words of the server's lock table, without the numbers that change from run to
/// run: "ShareLock on the transaction that has row A of kv".
std::string text_of(const ServerWait& wait, std::string_view key) {
  if (wait.kind.empty()) return "a safe snapshot";
  const std::string row = !key.empty()        ? fmt::format("row {} of kv", key)
                          : !wait.row.empty() ? fmt::format("row {} of {}", wait.row, wait.relation)
                                              : std::string();
  if (wait.kind == "transactionid" || wait.kind == "virtualxid") {
    return row.empty() ? fmt::format("{} on the transaction", wait.mode)
                       : fmt::format("{} on the transaction that has {}", wait.mode, row);
  }
  if (wait.kind == "tuple" && !row.empty()) return fmt::format("{} on {}, which is queued for", wait.mode, row);
  if (wait.kind == "relation") return fmt::format("{} on table {}", wait.mode, wait.relation);
  if (wait.kind == "advisory") return fmt::format("{} on {}", wait.mode, wait.object);
  return fmt::format("{} on {}{}{}", wait.mode, wait.kind, wait.relation.empty() ? "" : " of ", wait.relation);
}

/// "Process 4711 waits …; blocked by process 4712": with the names of this run's actors behind the numbers.
std::string with_names(std::string_view said, const Actors& actors) {
  std::string text;
  constexpr std::string_view kWord = "rocess ";
  for (std::size_t at = 0; at < said.size();) {
    const std::size_t found = said.find(kWord, at);
    const std::size_t digits = found == std::string_view::npos ? said.size() : found + kWord.size();
    std::size_t end = digits;
    while (end < said.size() && said[end] >= '0' && said[end] <= '9') ++end;
    text += said.substr(at, end - at);
    at = end;
    if (end == digits || end - digits > 9) continue;
    const std::string name = actors.name_of(std::atoi(std::string(said.substr(digits, end - digits)).c_str()));
    if (!name.empty()) text += " (" + name + ")";
  }
  return text;
}

}  // namespace

std::vector<Blocker> PostgresSession::blockers(const Pending& pending) {
  {
    const MutexLock lock(mutex_);
    if (!in_flight_) return {};
  }
  // Waits that are no locks, and those for sessions of others, are waited for: so the server's own tests have it.
  if (!common_.bare_name.empty() && !common_.monitor->is_blocked_by(pid_, common_.actors.pids())) return {};
  const Request& request = pending.request;
  const bool has_key = request.verb != Verb::execute && request.verb != Verb::scan_for_update && !request.key.empty();
  const ServerWait wait = common_.monitor->wait_of(pid_, !common_.describes_waits ? Monitor::Detail::blockers
                                                         : has_key                ? Monitor::Detail::lock
                                                                                  : Monitor::Detail::row);
  if (wait.blockers.empty()) return {};
  const std::string_view key = has_key ? request.key : std::string_view();
  const std::string what = common_.describes_waits ? text_of(wait, key) : "a lock";
  std::string object(has_key ? request.key : std::string_view(wait.object));
  if (object.empty()) object = wait.transaction.empty() ? what : "transaction " + wait.transaction;
  std::vector<Blocker> blockers;
  for (const int pid : wait.blockers) {
    const bool prepared = pid == 0;
    const std::string text = prepared ? what + " (prepared)" : what;
    const int preparer =
        prepared && common_.preparer_of ? common_.preparer_of(common_.monitor->prepared_before(pid_)) : -1;
    blockers.push_back({.actor = prepared ? preparer : common_.actors.actor_of(pid),
                        .object = object,
                        .what = text,
                        .lock = common_.describes_waits ? text : std::string()});
  }
  return blockers;
}

std::string PostgresSession::statement_of(const Request& request) const {
  const auto call = call_for(request, common_.isolation);
  return call ? text_of(*call) : std::string();
}

bool PostgresSession::finish_early(Pending& pending, Call& call) {
  const Request& request = pending.request;
  if (request.verb == Verb::abort && (lost_ || !in_transaction_)) return true;  // nothing is left to roll back
  if (lost_) {
    pending.error = request_error(Fault::unavailable, "", request, "the connection to PostgreSQL is lost");
  } else if (auto refused = refusal(request, in_transaction_); refused) {
    pending.error = std::move(refused);
  } else {
    auto made = call_for(request, common_.isolation);
    if (made) {
      call = std::move(made).value();
      return false;
    }
    pending.error = made.error();
  }
  return true;
}

Error PostgresSession::error_of(const Request& request, const ServerAnswer& outcome) const {
  Error error = sentence_of(request, outcome);
  error.facts = outcome.facts;
  for (auto& [name, said] : error.facts) {
    if (name == "detail") said = with_names(said, common_.actors);
  }
  return error;
}

Error PostgresSession::sentence_of(const Request& request, const ServerAnswer& outcome) const {
  const Fault told = fault_of_sqlstate(outcome.code);
  if (outcome.lost && (outcome.code.empty() || outcome.fatal)) {
    // A session that was ended because it idled never began the request. After any other end that is unknown.
    const bool answered = !outcome.sent || told == Fault::idle_timeout;
    const bool in_doubt = !answered && is_in_doubt_when_lost(request, in_transaction_);
    return request_error(in_doubt ? Fault::outcome_unknown : told, outcome.code, request, outcome.said);
  }
  const bool by_us = outcome.cancelled && outcome.code == "57014";
  return request_error(by_us ? *outcome.cancelled : told, outcome.code, request, outcome.said);
}

void PostgresSession::settle(Pending& pending, ServerAnswer outcome) {
  const Request& request = pending.request;
  const TransactionEffect effect = effect_of(request);
  const bool was_in_transaction = in_transaction_;
  if (request.verb == Verb::execute) {
    may_lock_ = may_lock_ || may_lock_session(request.key);
    if (may_set_limit(request.key)) may_have_limit_ = true;
  }
  if (request.verb == Verb::reset && !outcome.failed) may_lock_ = false;
  if (outcome.failed) {
    pending.error = error_of(request, outcome);
    pending.reply.results = std::move(outcome.results);
    if (!pending.reply.results.empty()) {
      pending.reply.results.push_back({.columns = {}, .rows = {}, .tag = {}, .error = pending.error});
    }
    lost_ = lost_ || outcome.lost;
    // A commit that failed has ended the transaction all the same.
    if (lost_ || effect == TransactionEffect::ends) in_transaction_ = false;
    if (outcome.in_transaction && !lost_) in_transaction_ = *outcome.in_transaction;
    if (in_transaction_ && !doomed_) doomed_ = pending.error;
    if (!in_transaction_) doomed_.reset();
    return;
  }
  // Without a tag: every statement after the first failure fails too, so one that succeeded has cleared doomed_.
  const bool rolled_back = outcome.tag == "ROLLBACK" || (outcome.tag.empty() && doomed_);
  if (request.verb == Verb::commit && rolled_back) {
    pending.error = request_error(doomed_ ? doomed_->fault : Fault::invalid, doomed_ ? doomed_->code : "25P02", request,
                                  fmt::format("nothing was committed, since the transaction had failed{}",
                                              doomed_ ? " at " + doomed_->message : ""));
  } else {
    pending.reply.results = std::move(outcome.results);
    fill_reply(pending.reply, request, std::move(outcome.table), outcome.rows);
  }
  lost_ = lost_ || outcome.lost;
  if (effect == TransactionEffect::begins) in_transaction_ = true;
  if (effect == TransactionEffect::ends || lost_) in_transaction_ = false;
  if (outcome.in_transaction && !lost_) in_transaction_ = *outcome.in_transaction;
  doomed_.reset();
  if (request.verb != Verb::execute || pending.error) return;
  pending.reply.autocommitted = !was_in_transaction && !in_transaction_ && may_autocommit(request.key);
  pending.reply.rolled_back =
      was_in_transaction && !in_transaction_ && (rolled_back || ends_without_commit(request.key));
}

Common* common_of(Session* session) noexcept {
  auto* const ours = dynamic_cast<PostgresSession*>(session);
  return ours == nullptr ? nullptr : &ours->common();
}

}  // namespace lockstep::postgres
