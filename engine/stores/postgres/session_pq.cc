// session_pq.cc: a session that never blocks, on libpq's asynchronous interface (PostgreSQL manual, 34.4).
//
//   phase 0 --send--> phase 1: flush, consume what has come; finished when PQgetResult gives nullptr
//
// PQconsumeInput need not drain the socket, so the executor must poll level-triggered.
#include <fmt/format.h>
#include <poll.h>

#include <cstdlib>
#include <cstring>

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

 private:
  /// The server's last words to a session that it ends while nothing is asked of it.
  static void note_farewell(void* self, const PGresult* notice);

  bool send(const Call& call);
  bool is_still_there();
  /// Takes what has come; true when the whole answer has.
  bool take(Waiting& waiting);
  void take_answer(Answer answer);
  void note_loss(const Request& request);

  Connection connection_;
  std::string name_;
  bool ran_sql_ = false;  // which may have changed settings, taken locks of the session, made temporary tables
  ServerAnswer outcome_;  // of the request in flight
  std::string farewell_code_, farewell_said_;
};

/// What DISCARD ALL does (PostgreSQL manual), except for prepared statements, which the next session needs too.
constexpr const char* kForget =
    "close all; set session authorization default; reset all; unlisten *; select pg_catalog.pg_advisory_unlock_all();"
    " discard temp; discard sequences;";

PqSession::~PqSession() {
  const bool is_idle = connection_ != nullptr && ::PQstatus(connection_.get()) == CONNECTION_OK &&
                       ::PQtransactionStatus(connection_.get()) == PQTRANS_IDLE && farewell_code_.empty();
  if (!is_idle || ::PQsetnonblocking(connection_.get(), 0) != 0) return;
  // Its locks are given back now, as if the connection had been closed. The portable verbs leave nothing.
  if (ran_sql_ && !ask(connection_.get(), kForget, {}, common_.connect_max)) return;
  ::PQsetNoticeReceiver(connection_.get(), [](void*, const PGresult*) {}, nullptr);
  common_.idle.give({std::move(connection_), ran_sql_ ? std::string() : name_});
}

std::optional<Error> PqSession::open(const std::string& name) {
  name_ = name;
  auto [idle, ready_for] = common_.idle.take(name);
  connection_ = std::move(idle);
  if (connection_ != nullptr && !is_still_there()) connection_ = nullptr;
  if (connection_ != nullptr && ready_for != name) {
    const std::string setup =
        common_.session_setup + fmt::format("set application_name = {};", quoted_value("lockstep " + name));
    if (!ask(connection_.get(), setup, {}, common_.connect_max)) connection_ = nullptr;  // gone meanwhile
  }
  if (connection_ == nullptr) {
    auto connection = connect(common_.dsn, "lockstep " + name, common_.connect_max);
    if (!connection) return connection.error();
    connection_ = std::move(connection).value();
    if (common_.processor != nullptr) common_.processor->take_in(::PQbackendPID(connection_.get()));
    std::string setup = common_.session_setup;
    for (const auto& statement : prepared_statements()) {
      setup += fmt::format("prepare {} ({}) as {};", statement.name, statement.types, statement.sql);
    }
    if (const auto done = ask(connection_.get(), setup, {}, common_.connect_max); !done) return done.error();
  }
  if (::PQsetnonblocking(connection_.get(), 1) != 0) {
    return Error{Fault::internal, {}, one_line(::PQerrorMessage(connection_.get()))};
  }
  ::PQsetNoticeReceiver(connection_.get(), note_farewell, this);
  attach(::PQbackendPID(connection_.get()));
  return std::nullopt;
}

void PqSession::note_farewell(void* self, const PGresult* notice) {
  const std::string severity = field_of(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != "FATAL" && severity != "PANIC") return;
  auto& session = *static_cast<PqSession*>(self);
  session.farewell_code_ = field_of(notice, PG_DIAG_SQLSTATE);
  session.farewell_said_ = field_of(notice, PG_DIAG_MESSAGE_PRIMARY);
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
  const bool readable = ::PQconsumeInput(connection_.get()) != 0;
  (void)::PQisBusy(connection_.get());  // takes in what was read: the farewell may be there before the end of file
  return readable && farewell_code_.empty() && ::PQstatus(connection_.get()) == CONNECTION_OK;
}

void PqSession::take_answer(Answer answer) {
  switch (::PQresultStatus(answer.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
      if (outcome_.failed) return;
      // Of several statements in one text the last one answers.
      outcome_.tag = ::PQcmdStatus(answer.get());
      outcome_.rows = std::strtoll(::PQcmdTuples(answer.get()), nullptr, 10);
      outcome_.table = table_of(answer.get());
      return;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      // The stream of a COPY would have to be drained; ending the session is the way out that always works.
      outcome_.failed = true;
      outcome_.lost = true;
      outcome_.code = "0A000";
      outcome_.said = "COPY between server and client cannot be used here, and has ended the session";
      connection_.reset();
      return;
    default:
      break;
  }
  // The first failure with a code counts. After the server's own message comes libpq's about the lost connection.
  if (outcome_.failed && !outcome_.code.empty()) return;
  outcome_.failed = true;
  outcome_.code = field_of(answer.get(), PG_DIAG_SQLSTATE);
  outcome_.said = field_of(answer.get(), PG_DIAG_MESSAGE_PRIMARY);
  const std::string severity = field_of(answer.get(), PG_DIAG_SEVERITY_NONLOCALIZED);
  outcome_.fatal = severity == "FATAL" || severity == "PANIC";
  if (outcome_.said.empty()) outcome_.said = one_line(::PQresultErrorMessage(answer.get()));
}

bool PqSession::take(Waiting& waiting) {
  PGconn* const connection = connection_.get();
  const int flushed = ::PQflush(connection);
  // A failure to send or to read is not the end yet. The server's last message may have come before: PQgetResult gives
  // it, then the failure itself. It cannot block on a closed connection.
  const bool usable = flushed >= 0 && ::PQconsumeInput(connection) != 0;
  while (!usable || ::PQisBusy(connection) == 0) {
    Answer answer(::PQgetResult(connection));
    if (answer == nullptr) return true;
    take_answer(std::move(answer));
    if (connection_ == nullptr) return true;
  }
  waiting = Waiting{};
  waiting.fd = ::PQsocket(connection);
  waiting.events = static_cast<short>(flushed == 1 ? POLLIN | POLLOUT : POLLIN);
  waiting.external = true;
  return false;
}

/// Completes the outcome of a request whose connection is gone by now.
void PqSession::note_loss(const Request& request) {
  outcome_.lost = true;
  // It was sent as one text, so the answer comes after the commit. (That of a prepared statement may come before.)
  if (request.verb == Verb::commit && !outcome_.failed && outcome_.tag == "COMMIT") return;
  outcome_.failed = true;
  if (outcome_.code.empty() && !farewell_code_.empty()) {
    outcome_.code = farewell_code_;
    outcome_.said = farewell_said_;
    outcome_.fatal = true;
  }
  if (outcome_.said.empty() && connection_ != nullptr) outcome_.said = one_line(::PQerrorMessage(connection_.get()));
  if (outcome_.said.empty()) outcome_.said = "the connection to PostgreSQL is lost";
}

bool PqSession::attempt(Pending& pending, Waiter& /*waiter*/) {
  if (pending.phase == 0) {
    Call call;
    if (finish_early(pending, call)) return true;
    ran_sql_ = ran_sql_ || pending.request.verb == Verb::execute;
    outcome_ = ServerAnswer{};
    outcome_.sent = pending.request.verb != Verb::commit || is_still_there();
    flight_begins();
    if (!outcome_.sent || !send(call)) {
      outcome_.cancelled = flight_ends();
      note_loss(pending.request);
      settle(pending, std::move(outcome_));
      return true;
    }
    pending.phase = 1;
  }
  if (!take(pending.waiting)) return false;
  outcome_.cancelled = flight_ends();
  if (connection_ == nullptr || ::PQstatus(connection_.get()) != CONNECTION_OK) {
    note_loss(pending.request);
  } else {
    const auto status = ::PQtransactionStatus(connection_.get());
    outcome_.in_transaction = status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
  }
  settle(pending, std::move(outcome_));
  return true;
}

}  // namespace

Result<std::unique_ptr<Session>> open_nonblocking_session(Common& common, int actor, const std::string& name) {
  auto session = std::make_unique<PqSession>(common, actor);
  if (auto failed = session->open(name)) return *std::move(failed);
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace lockstep::postgres
