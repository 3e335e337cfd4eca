// session.cc: see session.h.
#include "engine/stores/postgres-2/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres-2/outcome_log.h"

namespace lockstep::postgres_2 {
namespace {

/// A statement that begins or ends a transaction by itself, or must stand outside one.
bool is_of_transactions(std::string_view sql) {
  static constexpr std::array<std::string_view, 7> kWords = {"begin", "start",    "commit", "end",
                                                             "abort", "rollback", "prepare"};
  const std::vector<std::string> words = first_words(sql, {"--"});
  if (words.empty() || std::find(kWords.begin(), kWords.end(), words[0]) == kWords.end()) return false;
  return words[0] != "rollback" || words.size() < 2 || words[1] != "to";
}

bool is_scan(Verb verb) { return verb == Verb::scan || verb == Verb::scan_for_update; }

}  // namespace

void Preparers::prepared(const std::string& name, int actor) {
  const MutexLock lock(mutex_);
  actors_[name] = actor;
}

void Preparers::ended(const std::string& name) {
  const MutexLock lock(mutex_);
  actors_.erase(name);
}

void Preparers::clear() {
  const MutexLock lock(mutex_);
  actors_.clear();
}

int Preparers::actor_of(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = actors_.find(name);
  return found == actors_.end() ? -1 : found->second;
}

PairSession::PairSession(PairCommon& common, int actor, const std::string& name,
                         std::array<std::unique_ptr<postgres::PostgresSession>, kServers> sessions)
    : common_(common), actor_(actor), name_(name), sessions_(std::move(sessions)) {
  for (std::size_t server = 0; server < kServers; ++server) {
    pids_[server] = sessions_[server]->server_pid();
  }
  if (common_.detector != nullptr) common_.detector->add(actor, name, *this);
}

PairSession::~PairSession() {
  if (common_.detector != nullptr) common_.detector->remove(*this);
}

bool PairSession::in_transaction() const noexcept { return is_open_ || is_open(0) || is_open(1); }
bool PairSession::has_limit() const noexcept { return sessions_[0]->has_limit() || sessions_[1]->has_limit(); }
bool PairSession::holds_beyond_transaction() const noexcept {
  return sessions_[0]->holds_beyond_transaction() || sessions_[1]->holds_beyond_transaction();
}

// --- what is sent ----------------------------------------------------------------------------------------------------

std::string PairSession::next_name() const { return fmt::format("{}-{}", name_, commits_ + 1); }

PairSession::ServerPart PairSession::part_for(std::size_t server, PreparedName::Action action,
                                              std::string_view name) const {
  const Role role = action == PreparedName::Action::prepares  ? Role::prepare
                    : action == PreparedName::Action::commits ? Role::resolve
                                                              : Role::undo;
  return {.server = server, .role = role, .text = statement_on(action, common_.run, name)};
}

/// The branch that the next part needs, unless it is there.
void PairSession::plan_branch(std::vector<ServerPart>& parts, std::size_t server) const {
  if (branches_[server] == Branch::none && !is_open(server)) {
    parts.push_back({.server = server, .role = Role::begin, .verb = Verb::begin});
  }
}

std::vector<PairSession::ServerPart> PairSession::plan_commit() const {
  std::vector<ServerPart> parts;
  std::vector<std::size_t> open;
  for (std::size_t server = 0; server < kServers; ++server) {
    if (is_open(server)) open.push_back(server);
  }
  const bool is_doomed = doomed_[0] || doomed_[1];
  if (is_doomed && (open.size() > 1 || open.empty() || !doomed_[open.front()])) {
    for (const std::size_t server : open) parts.push_back({.server = server, .role = Role::undo, .verb = Verb::abort});
    return parts;
  }
  if (open.size() < kServers || common_.commits_in_turn) {
    for (const std::size_t server : open)
      parts.push_back({.server = server, .role = Role::commit, .verb = Verb::commit});
    return parts;
  }
  const std::string name = next_name();
  for (const std::size_t server : open) parts.push_back(part_for(server, PreparedName::Action::prepares, name));
  parts.push_back({.server = 0, .role = Role::decide, .text = decision_statement(name)});
  for (const std::size_t server : open) parts.push_back(part_for(server, PreparedName::Action::commits, name));
  return parts;
}

std::vector<PairSession::ServerPart> PairSession::plan_execute(const Request& request) const {
  std::vector<ServerPart> parts;
  const std::size_t server = server_named_in(request.key).value_or(0);
  std::string text(without_server(request.key));
  if (const auto prepared = prepared_named_in(text)) text = statement_on(prepared->action, common_.run, prepared->name);
  if (is_open_ && !is_of_transactions(text)) plan_branch(parts, server);
  parts.push_back({.server = server, .text = std::move(text)});
  return parts;
}

std::vector<PairSession::ServerPart> PairSession::plan(const Request& request) const {
  std::vector<ServerPart> parts;
  switch (request.verb) {
    case Verb::begin:
      break;
    case Verb::commit:
      return plan_commit();
    case Verb::execute:
      return plan_execute(request);
    case Verb::abort:
      for (std::size_t server = 0; server < kServers; ++server) {
        if (is_open(server)) parts.push_back({.server = server, .verb = Verb::abort});
      }
      break;
    case Verb::reset:
      for (std::size_t server = 0; server < kServers; ++server)
        parts.push_back({.server = server, .verb = Verb::reset});
      break;
    case Verb::scan:
    case Verb::scan_for_update:
    case Verb::savepoint:
    case Verb::rollback_to:
    case Verb::release:
      for (std::size_t server = 0; server < kServers; ++server) {
        plan_branch(parts, server);
        parts.push_back({.server = server, .verb = request.verb});
      }
      break;
    default:
      plan_branch(parts, server_of(request.key));
      parts.push_back({.server = server_of(request.key), .verb = request.verb});
      break;
  }
  return parts;
}

std::string PairSession::statement_of(const Request& request) const {
  if (request.verb == Verb::begin) {
    return fmt::format("begin isolation level {}, on each server with its first request", common_.isolation);
  }
  std::string text;
  for (const ServerPart& part : plan(request)) {
    Request one = request;
    one.verb = part.verb;
    // Without the name of the run, which is another one each time.
    std::string sent = part.verb == Verb::execute ? part.text : sessions_[part.server]->statement_of(one);
    if (const auto named = part.verb == Verb::execute ? prepared_named_in(sent) : std::nullopt) {
      sent = statement_on(named->action, {}, name_within(common_.run, named->name).value_or(named->name));
    }
    text += fmt::format("{}@{} {}", text.empty() ? "" : "; ", part.server + 1, sent);
  }
  return text;
}

// --- on their way ----------------------------------------------------------------------------------------------------

void PairSession::take_off(std::size_t server) {
  const MutexLock lock(mutex_);
  flight_ = {.number = common_.flights.fetch_add(1, std::memory_order_relaxed) + 1,
             .since = RealClock().now(),
             .server = server};
}

void PairSession::land() {
  const MutexLock lock(mutex_);
  flight_.reset();
}

std::optional<JointFlight> PairSession::flight() const {
  const MutexLock lock(mutex_);
  return flight_;
}

void PairSession::give_up(const JointFlight& flight, const std::string& text) {
  const MutexLock lock(mutex_);
  if (!flight_ || flight_->number != flight.number) return;
  cycle_ = text;
  Pending ignored;
  sessions_[flight.server]->cancel(ignored, Fault::deadlock);
}

void PairSession::cancel(Pending& pending, Fault why) {
  const MutexLock lock(mutex_);
  cancelled_ = why;
  if (flight_) sessions_[flight_->server]->cancel(pending, why);
}

std::vector<Blocker> PairSession::blockers(const Pending& pending) {
  std::optional<JointFlight> flight;
  {
    const MutexLock lock(mutex_);
    flight = flight_;
  }
  if (!flight) return {};
  std::vector<Blocker> blockers = sessions_[flight->server]->blockers(pending);
  if (blockers.empty() && common_.has_foreign_tables) {
    blockers = blockers_through(common_.servers, flight->server, pids_[flight->server]);
    return blockers;
  }
  // Without a detector of ours the engine takes every cycle for one that lasts (PairBackend::open()). One that a server
  // is about to break by itself is no wait for anybody.
  const bool is_alone = common_.detector == nullptr && !blockers.empty();
  if (is_alone && is_on_cycle_of(common_.servers, flight->server, actor_)) return {};
  for (Blocker& blocker : blockers) {
    blocker.what = at_server(blocker.what, flight->server);
    if (!blocker.lock.empty()) blocker.lock = at_server(blocker.lock, flight->server);
  }
  return blockers;
}

Arrival PairSession::arrival() {
  if (!is_on_way_) return {};
  return sessions_[parts_[next_].server]->arrival();
}

// --- how it ends -----------------------------------------------------------------------------------------------------

/// What needs no server. True: the request has finished.
bool PairSession::finish_early(Pending& pending) const {
  if (auto refused = refusal(pending.request, in_transaction())) {
    pending.error = std::move(refused);
    return true;
  }
  return false;
}

void PairSession::start(const ServerPart& part, const Request& request) {
  inner_ = Pending{};
  inner_.request = request;
  inner_.request.verb = part.verb;
  if (part.verb == Verb::execute) inner_.request.key = part.text;
  take_off(part.server);
  is_on_way_ = true;
}

bool PairSession::attempt(Pending& pending, Waiter& waiter) {
  if (pending.phase == 0) {
    if (finish_early(pending)) return true;
    {
      const MutexLock lock(mutex_);
      cancelled_.reset();
      cycle_.clear();
    }
    parts_ = plan(pending.request);
    next_ = 0;
    prepared_ = committed_ = {};
    is_decided_ = false;
    commit_failed_.reset();
    name_of_commit_ = next_name();
    pending.phase = 1;
  }
  for (; next_ < parts_.size();) {
    // A part may be replaced by what its end asks for.
    const ServerPart part = parts_[next_];
    if (!is_on_way_) start(parts_[next_], pending.request);
    const bool finished = sessions_[part.server]->attempt(inner_, waiter);
    std::move(inner_.notices.begin(), inner_.notices.end(), std::back_inserter(pending.notices));
    inner_.notices.clear();
    if (!finished) {
      pending.waiting = inner_.waiting;
      return false;
    }
    land();
    is_on_way_ = false;
    ++next_;
    took(part, pending);
  }
  finish(pending);
  return true;
}

/// The error of the part for people: the request, the server and, of the victim of a cycle over both, the cycle.
Error PairSession::error_at(const ServerPart& part, const Request& request) {
  Error error = *inner_.error;
  const MutexLock lock(mutex_);
  if (error.fault == Fault::deadlock && !cycle_.empty()) {
    error = request_error(Fault::deadlock, "", request, fmt::format("a deadlock that no server sees: {}", cycle_));
    error.facts.emplace_back("detail", cycle_);
    return error;
  }
  error.message = at_server(error.message, part.server);
  return error;
}

void PairSession::took(const ServerPart& part, Pending& pending) {
  const bool is_rolled_back = part.role == Role::prepare && inner_.reply.rolled_back;
  if (inner_.error || is_rolled_back) {
    failed(part, pending);
    return;
  }
  if (pending.request.verb == Verb::commit) {
    took_of_commit(part, pending);
  } else {
    took_request(part, pending);
  }
  // What was cancelled between two parts has not left for the next one.
  std::optional<Fault> cancelled;
  {
    const MutexLock lock(mutex_);
    cancelled = cancelled_;
  }
  if (!cancelled || next_ == parts_.size() || is_decided_ || committed_[0] || committed_[1]) return;
  if (pending.request.verb == Verb::abort || pending.request.verb == Verb::reset) return;
  inner_.error = request_error(*cancelled, "", pending.request, "given up between two servers");
  failed(part, pending);
}

void PairSession::took_request(const ServerPart& part, Pending& pending) {
  note_branches(part, pending.request, false);
  if (part.role == Role::begin) return;
  doomed_[part.server].reset();
  const bool is_prepare = part.verb == Verb::execute && prepared_named_in(part.text).has_value();
  if (is_prepare && inner_.reply.rolled_back && in_transaction()) {
    doomed_[part.server] = request_error(Fault::invalid, "25P02", pending.request, "it had failed and was rolled back");
  }
  if (!is_scan(pending.request.verb)) {
    pending.reply = std::move(inner_.reply);
    return;
  }
  std::move(inner_.reply.table.begin(), inner_.reply.table.end(), std::back_inserter(pending.reply.table));
}

void PairSession::took_of_commit(const ServerPart& part, Pending& pending) {
  switch (part.role) {
    case Role::prepare:
      prepared_[part.server] = true;
      common_.preparers.prepared(name_of_commit_, actor_);
      break;
    case Role::decide:
      is_decided_ = true;
      break;
    case Role::resolve:
    case Role::commit:
      committed_[part.server] = true;
      break;
    default:
      break;
  }
  if (part.role == Role::commit) pending.reply = std::move(inner_.reply);
}

/// Nothing of the transaction may stay: rolls back what has prepared, and what is still open.
void PairSession::undo_after(std::size_t failed) {
  parts_.resize(next_);
  for (std::size_t server = 0; server < kServers; ++server) {
    if (prepared_[server]) {
      parts_.push_back(part_for(server, PreparedName::Action::rolls_back, name_of_commit_));
    } else if (server != failed && is_open(server)) {
      parts_.push_back({.server = server, .role = Role::undo, .verb = Verb::abort});
    }
  }
}

void PairSession::failed_to_commit(const ServerPart& part, Pending& pending) {
  const Request& request = pending.request;
  switch (part.role) {
    case Role::prepare: {
      if (inner_.error) {
        commit_failed_ = error_at(part, request);
        // Whatever has become of the vote: without a decision in the log nothing commits.
        if (commit_failed_->fault == Fault::outcome_unknown) commit_failed_->fault = Fault::unavailable;
      } else {
        commit_failed_ =
            request_error(Fault::invalid, "25P02", request,
                          at_server("nothing was committed, since the transaction had failed", part.server));
      }
      undo_after(part.server);
      return;
    }
    case Role::commit:
      if (committed_[1 - part.server]) {
        commit_failed_ = request_error(
            Fault::outcome_unknown, inner_.error->code, request,
            fmt::format("server {} has committed and server {} has not: half of the transaction stands ({})",
                        2 - part.server, part.server + 1, inner_.error->message));
        return;
      }
      commit_failed_ = error_at(part, request);
      undo_after(part.server);
      return;
    case Role::decide:
      commit_failed_ = error_at(part, request);
      // A statement that the server has refused wrote nothing. After a lost connection the log alone knows.
      if (!inner_.error->code.empty() && inner_.error->fault != Fault::unavailable &&
          inner_.error->fault != Fault::outcome_unknown) {
        undo_after(kServers);
      } else {
        commit_failed_->fault = Fault::outcome_unknown;
        parts_.resize(next_);
      }
      return;
    case Role::resolve:
      commit_failed_ = request_error(
          Fault::outcome_unknown, inner_.error->code, request,
          fmt::format("the commit is decided and in the log, and server {} has not confirmed it: {}; recovery commits "
                      "it there",
                      part.server + 1, inner_.error->message));
      return;
    default:
      return;  // of what could not be undone, recovery takes care
  }
}

void PairSession::failed(const ServerPart& part, Pending& pending) {
  if (pending.request.verb == Verb::commit) {
    failed_to_commit(part, pending);
    return;
  }
  note_branches(part, pending.request, true);
  pending.reply = std::move(inner_.reply);
  pending.error = error_at(part, pending.request);
  // What the client's side has refused leaves the branch as it was.
  const bool is_of_server = !inner_.error->code.empty() || !is_open(part.server);
  if (in_transaction() && is_of_server && !doomed_[part.server]) doomed_[part.server] = pending.error;
  if (pending.request.verb == Verb::abort) return;  // the other branch is rolled back all the same
  parts_.resize(next_);
}

/// What the end of a part says of the branch on its server.
void PairSession::note_branches(const ServerPart& part, const Request& request, bool failed) {
  Branch& branch = branches_[part.server];
  const bool was_open = branch == Branch::open;
  if (is_open(part.server)) {
    branch = Branch::open;
  } else if (was_open && request.verb == Verb::execute) {
    branch = Branch::ended;
  }
  if (request.verb != Verb::execute || part.role == Role::begin) return;
  if (!failed) {
    if (const auto prepared = prepared_named_in(part.text)) {
      const std::string name = name_within(common_.run, prepared->name).value_or(prepared->name);
      if (prepared->action == PreparedName::Action::prepares && !inner_.reply.rolled_back) {
        common_.preparers.prepared(name, actor_);
      }
    }
  }
  const bool any_ended = branches_[0] == Branch::ended || branches_[1] == Branch::ended;
  if (any_ended && !is_open(0) && !is_open(1)) end_transaction();
}

void PairSession::end_transaction() noexcept {
  is_open_ = false;
  branches_ = {};
  doomed_ = {};
}

void PairSession::finish(Pending& pending) {
  const Request& request = pending.request;
  switch (request.verb) {
    case Verb::begin:
      is_open_ = true;
      break;
    case Verb::abort:
      end_transaction();
      break;
    case Verb::commit: {
      const std::optional<Error> doomed = doomed_[0] ? doomed_[0] : doomed_[1];
      if (prepared_[0] || prepared_[1]) {
        ++commits_;
        if (!commit_failed_) common_.preparers.ended(name_of_commit_);
      }
      if (commit_failed_) {
        pending.error = std::move(commit_failed_);
      } else if (doomed && !committed_[0] && !committed_[1]) {
        pending.error = request_error(doomed->fault, doomed->code, request,
                                      "nothing was committed, since the transaction had failed at " + doomed->message);
      }
      end_transaction();
      break;
    }
    case Verb::scan:
    case Verb::scan_for_update: {
      if (pending.error) break;
      Table& table = pending.reply.table;
      std::stable_sort(table.begin(), table.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
      if (table.size() > request.limit) table.resize(request.limit);
      pending.reply.rows = static_cast<std::int64_t>(table.size());
      break;
    }
    default:
      break;
  }
}

}  // namespace lockstep::postgres_2
