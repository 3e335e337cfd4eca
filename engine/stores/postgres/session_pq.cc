// session_pq.cc: a session that never blocks (async_connection.h).
//
//   phase 0 --send--> phase 1: move bytes, take answers; finished when the last one has come
#include <fmt/format.h>

#include <cstdlib>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/async_connection.h"
#include "engine/stores/postgres/errors.h"
#include "engine/stores/postgres/session.h"

namespace lockstep::postgres {
namespace {

std::string field_of(const PGresult* answer, int field) {
  const char* text = ::PQresultErrorField(answer, field);
  return text == nullptr ? std::string() : std::string(text);
}

class PqSession final : public PostgresSession {
 public:
  PqSession(Common& common, int actor) : PostgresSession(common, actor) {}
  ~PqSession() override;

  std::optional<Error> open(const std::string& name);
  bool attempt(Pending& pending, Waiter& waiter) override;
  Arrival arrival() override;

 private:
  /// What makes an idle connection that of the session with this name.
  std::string setup_of(const std::string& name) const;
  void note_statement(std::string_view sql);
  bool send(const Call& call);
  bool is_still_there();
  /// Takes what has come; true when the whole answer has.
  bool take(Waiting& waiting);
  void take_answer(Answer answer);
  void tell_notices(Pending& pending);
  void note_loss(const Request& request);

  AsyncConnection connection_;
  std::string name_;
  bool is_changed_ = false;     // SQL may have changed settings, taken locks of the session, made temporary tables
  bool has_traces_ = false;     // SQL may have left something that kForget does not take away
  ServerAnswer outcome_;        // of the request in flight
  bool waits_ = false;          // a request is in flight
  bool is_whole_ = false;       // its whole answer has come
  bool keeps_results_ = false;  // of each statement of the request in flight
};

/// What DISCARD ALL does (PostgreSQL manual), except for prepared statements, which the next session needs too.
constexpr const char* kForget =
    "close all; set session authorization default; reset all; unlisten *; select pg_catalog.pg_advisory_unlock_all();"
    " discard temp; discard sequences;";

PqSession::~PqSession() {
  Connection idle = connection_.release();
  if (idle == nullptr) return;
  // Its locks are given back now, as if the connection had been closed. The portable verbs leave nothing.
  if (has_traces_) return;
  if (is_changed_ && !ask(idle.get(), kForget + setup_of(name_), {}, common_.connect_max)) return;
  common_.idle.give({std::move(idle), name_});
}

std::optional<Error> PqSession::open(const std::string& name) {
  name_ = name;
  auto [connection, ready_for] = common_.idle.take(name);
  if (connection != nullptr) {
    connection_.adopt(std::move(connection));
    if (!is_still_there()) connection_.close();
  }
  if (connection_.is_open() && ready_for != name) {
    if (!ask(connection_.get(), setup_of(name), {}, common_.connect_max)) connection_.close();  // gone meanwhile
  }
  if (!connection_.is_open()) {
    auto connected = connect(common_.dsn, common_.application_of(name), common_.connect_max);
    if (!connected) return connected.error();
    connection_.adopt(std::move(connected).value());
    if (common_.processor != nullptr) common_.processor->take_in(::PQbackendPID(connection_.get()));
    std::string setup = common_.session_setup;
    for (const auto& statement : common_.bare_name.empty() ? prepared_statements() : std::span<const Prepared>()) {
      setup += fmt::format("prepare {} ({}) as {};", statement.name, statement.types, statement.sql);
    }
    if (!setup.empty()) {
      if (const auto done = ask(connection_.get(), setup, {}, common_.connect_max); !done) return done.error();
    }
  }
  if (!connection_.stop_blocking()) {
    return Error{Fault::internal, {}, one_line(::PQerrorMessage(connection_.get()))};
  }
  attach(::PQbackendPID(connection_.get()), name);
  connection_.keep_notices();
  return std::nullopt;
}

std::string PqSession::setup_of(const std::string& name) const {
  return common_.session_setup + fmt::format("set application_name = {};", quoted_value(common_.application_of(name)));
}

void PqSession::note_statement(std::string_view sql) {
  is_changed_ = is_changed_ || !common_.knows_plain || !is_plain(sql);
  has_traces_ = has_traces_ || common_.ddl_leaves_traces || leaves_traces(sql);
  if (sees_layout(sql)) common_.has_seen_layout = true;
}

bool PqSession::send(const Call& call) {
  if (call.prepared == nullptr) return ::PQsendQuery(connection_.get(), call.text.c_str()) != 0;
  const char* values[3] = {};
  for (std::size_t i = 0; i < call.parameters.size(); ++i) {
    values[i] = call.parameters[i] ? call.parameters[i]->c_str() : nullptr;
  }
  return ::PQsendQueryPrepared(connection_.get(), call.prepared->name, call.prepared->parameters, values, nullptr,
                               nullptr, 0) != 0;
}

/// Before a commit: a connection that was lost earlier is told apart from one that is lost with the commit on its way.
/// Asks the socket, not the server.
bool PqSession::is_still_there() {
  connection_.move_bytes(false);
  return connection_.is_sound();
}

void PqSession::take_answer(Answer answer) {
  if (const auto refused = refused_copy(answer.get())) {
    outcome_.failed = true;
    outcome_.lost = true;
    outcome_.code = refused->code;
    outcome_.said = refused->message;
    connection_.close();
    return;
  }
  switch (::PQresultStatus(answer.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
      if (outcome_.failed) return;
      // Of several statements in one text the last one answers.
      outcome_.tag = ::PQcmdStatus(answer.get());
      outcome_.rows = std::strtoll(::PQcmdTuples(answer.get()), nullptr, 10);
      outcome_.table = table_of(answer.get());
      if (keeps_results_) {
        outcome_.results.push_back(
            {.columns = columns_of(answer.get()), .rows = outcome_.table, .tag = outcome_.tag, .error = {}});
      }
      return;
    default:
      break;
  }
  // The first failure with a code counts. After the server's own message comes libpq's about the lost connection.
  if (outcome_.failed && !outcome_.code.empty()) return;
  outcome_.failed = true;
  outcome_.code = field_of(answer.get(), PG_DIAG_SQLSTATE);
  outcome_.said = field_of(answer.get(), PG_DIAG_MESSAGE_PRIMARY);
  outcome_.facts = facts_of(answer.get());
  outcome_.fatal = ends_session(answer.get());
  if (outcome_.said.empty()) outcome_.said = one_line(::PQresultErrorMessage(answer.get()));
}

bool PqSession::take(Waiting& waiting) {
  if (!is_whole_) {
    connection_.move_bytes();
    is_whole_ = connection_.take_answers([this](Answer answer) {
      if (answer == nullptr) return true;
      take_answer(std::move(answer));
      return !connection_.is_open();
    });
  }
  if (is_whole_) return true;
  waiting = Waiting{};
  waiting.fd = connection_.socket();
  waiting.events = connection_.events();
  waiting.external = true;
  return false;
}

/// Gives the engine what the server has said. A notification tells who sent it.
void PqSession::tell_notices(Pending& pending) {
  for (Notice& notice : connection_.take_notices()) {
    if (notice.severity == "NOTIFY") {
      const std::string pid = notice.facts.front().second;
      const std::string name = common_.actors.name_of(std::atoi(pid.c_str()));
      notice.text += " from " + (name.empty() ? "process " + pid : name);
    }
    pending.notices.push_back(std::move(notice));
  }
}

/// Completes the outcome of a request whose connection is gone by now.
void PqSession::note_loss(const Request& request) {
  outcome_.lost = true;
  // It was sent as one text, so the answer comes after the commit. (That of a prepared statement may come before.)
  if (request.verb == Verb::commit && !outcome_.failed && outcome_.tag == "COMMIT") return;
  outcome_.failed = true;
  if (const auto& last_words = connection_.last_words(); outcome_.code.empty() && last_words) {
    outcome_.code = last_words->code;
    outcome_.said = last_words->message;
    outcome_.fatal = true;
  }
  if (outcome_.said.empty() && connection_.is_open()) outcome_.said = one_line(::PQerrorMessage(connection_.get()));
  if (outcome_.said.empty()) outcome_.said = "the connection to PostgreSQL is lost";
}

Arrival PqSession::arrival() {
  if (!waits_) return {};
  Waiting ignored;
  const bool complete = take(ignored);
  return {.complete = complete, .gave_up = outcome_.failed && is_given_up_by_server(outcome_.code)};
}

bool PqSession::attempt(Pending& pending, Waiter& /*waiter*/) {
  if (pending.phase == 0) {
    Call call;
    if (finish_early(pending, call)) return true;
    if (pending.request.verb == Verb::execute) note_statement(pending.request.key);
    outcome_ = ServerAnswer{};
    keeps_results_ = pending.request.verb == Verb::execute;
    outcome_.sent = pending.request.verb != Verb::commit || is_still_there();
    flight_begins();
    if (!outcome_.sent || !send(call)) {
      outcome_.cancelled = flight_ends();
      note_loss(pending.request);
      settle(pending, std::move(outcome_));
      return true;
    }
    pending.phase = 1;
    is_whole_ = false;
    waits_ = true;
  }
  const bool finished = take(pending.waiting);
  tell_notices(pending);
  if (!finished) return false;
  waits_ = false;
  outcome_.cancelled = flight_ends();
  if (!connection_.is_open() || ::PQstatus(connection_.get()) != CONNECTION_OK) {
    note_loss(pending.request);
  } else {
    outcome_.in_transaction = connection_.in_transaction();
  }
  settle(pending, std::move(outcome_));
  return true;
}

}  // namespace

Result<std::unique_ptr<PostgresSession>> open_nonblocking_session(Common& common, int actor, const std::string& name) {
  auto session = std::make_unique<PqSession>(common, actor);
  if (auto failed = session->open(name)) return *std::move(failed);
  return std::unique_ptr<PostgresSession>(std::move(session));
}

}  // namespace lockstep::postgres
