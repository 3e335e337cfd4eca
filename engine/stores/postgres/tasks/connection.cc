// connection.cc: the states of a connection, and what moves it from one to the next: the socket, a timer, a task.
#include "engine/stores/postgres/tasks/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"
#include "engine/stores/postgres/statements.h"
#include "engine/stores/postgres/tasks/cancel.h"

namespace lockstep::runtime {
namespace {

/// How often a draining connection looks whether the helper thread has told the server.
constexpr Nanos kLookEvery = std::chrono::milliseconds(1);
/// A cancel that comes before the server has begun the statement has no effect, so it is sent again.
constexpr Nanos kCancelAgainAfter = std::chrono::milliseconds(100);

Request request_of(std::string_view sql) { return {.verb = Verb::execute, .key = sql}; }

Error text_error(Fault fault, std::string_view code, std::string_view sql, std::string_view said) {
  return request_error(fault, code, request_of(sql), said);
}

bool is_in_pipeline(PGconn* connection) { return ::PQpipelineStatus(connection) != PQ_PIPELINE_OFF; }

}  // namespace

// -- exchanges --

bool PgExchange::queue() noexcept { return connection_.begin(*this); }

void PgExchange::cancel(Fault why) noexcept {
  if (connection_.exchange_ != this) return;  // it is answered: the task goes on, and its next wait ends
  const bool has_turn = std::exchange(connection_.has_turn_, false);
  connection_.abandon();
  has_turn ? end_in_turn_with(why) : end_with(why);
}

bool PgExchange::waits_again() noexcept {
  if (connection_.exchange_ != this) return false;
  connection_.take_input();
  connection_.has_turn_ = false;
  return connection_.exchange_ == this;
}

bool PgQuery::take(postgres::Answer answer) noexcept {
  if (auto failure = postgres::failure_in(answer.get())) {
    note(text_error(failure->fault, failure->code, text(), failure->message));
  } else if (auto refused = connection_.refused_commit(answer.get(), text())) {
    note(std::move(refused));
  } else {
    rows_ = PgRows(std::move(answer));
  }
  return false;
}

bool PgText::is_in_doubt(bool in_transaction) const {
  return postgres::is_in_doubt_when_lost(request_of(sql_), in_transaction);
}

bool PgExecute::send(PGconn* connection) noexcept {
  if (parameters_.has_zero_byte()) {
    note(text_error(Fault::invalid, "", text(), "PostgreSQL cannot store a text with a zero byte"));
    return false;
  }
  return ::PQsendQueryPrepared(connection, statement_.name, parameters_.count(), parameters_.values(), nullptr, nullptr,
                               0) != 0;
}

bool PgExecute::is_in_doubt(bool in_transaction) const {
  return !statement_.only_reads && postgres::is_in_doubt_when_lost(request_of(statement_.sql), in_transaction);
}

// -- opening --

Result<void> PgConnection::Open::await_resume() noexcept {
  if (connection_.state_ == State::idle) return {};
  return connection_.why_closed_;
}

bool PgConnection::Open::queue() noexcept {
  LOCKSTEP_CHECK(connection_.state_ != State::busy, "a connection is opened while a statement is on its way");
  if (connection_.state_ == State::closed) connection_.connect();
  if (connection_.state_ == State::idle || connection_.state_ == State::closed) return false;
  outer_ = std::exchange(connection_.owner_, static_cast<Owner*>(this));
  return true;
}

void PgConnection::Open::on_settled(PgConnection& connection) noexcept {
  connection.owner_ = outer_;
  complete();
}

void PgConnection::Open::cancel(Fault why) noexcept {
  if (connection_.owner_ != this) return;
  connection_.owner_ = outer_;
  end_with(why);
}

// -- connections --

PgConnection::PgConnection(Loop& loop, const PgOptions& options, Owner* owner) noexcept
    : loop_(loop), options_(options), owner_(owner) {}

PgConnection::~PgConnection() {
  LOCKSTEP_CHECK(exchange_ == nullptr, "a connection is destroyed while a statement is on its way");
  loop_.timers().cancel(*this);
  loop_.unwatch(*this);
}

void PgConnection::connect() noexcept {
  LOCKSTEP_CHECK(state_ == State::closed, "a connection that is not closed cannot connect");
  state_ = State::connecting;
  step_ = Step::connect;
  failure_.reset();
  doomed_.reset();
  cancel_.reset();
  deadline_ = options_.connect_max == kNever ? kNever : loop_.now() + options_.connect_max;
  auto begun = postgres::begin_connecting(options_.dsn, options_.application);
  if (!begun) {
    // The owner is not told: it sees the state itself, and no task waits yet.
    state_ = State::closed;
    why_closed_ = begun.error();
    return;
  }
  connection_.adopt(std::move(begun).value());
  if (deadline_ != kNever) loop_.timers().set(*this, deadline_);
  (void)loop_.watch(*this, ::PQsocket(connection_.get()), POLLOUT);
}

void PgConnection::go_on_connecting() noexcept {
  PGconn* const connection = connection_.get();
  const PostgresPollingStatusType next = ::PQconnectPoll(connection);
  if (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
    // It may be another socket by now: of the next address, or of the next way to encrypt.
    (void)loop_.watch(*this, ::PQsocket(connection), next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    return;
  }
  if (next != PGRES_POLLING_OK || !connection_.stop_blocking()) {
    return close(postgres::no_connection(connection, one_line(::PQerrorMessage(connection))));
  }
  watch_socket();
  if (options_.setup.empty()) return prepare_statements();
  send_internally(options_.setup.c_str(), Step::set_up);
}

/// All in one trip. By the protocol, since SQL's PREPARE takes no BEGIN and no COMMIT.
void PgConnection::prepare_statements() noexcept {
  if (options_.statements.empty()) return become_idle();
  PGconn* const connection = connection_.get();
  step_ = Step::prepare;
  failure_.reset();
  bool is_sent = ::PQenterPipelineMode(connection) != 0;
  for (const PgStatement& statement : options_.statements) {
    is_sent = is_sent && ::PQsendPrepare(connection, statement.name, statement.sql, 0, nullptr) != 0;
  }
  if (!is_sent || ::PQpipelineSync(connection) == 0) return lose();
  take_input();
}

void PgConnection::watch_socket() noexcept {
  const short events = is_flushing_ ? POLLIN | POLLOUT : POLLIN;
  LOCKSTEP_CHECK(loop_.keep_watching(*this, connection_.socket(), events), "a socket cannot be watched");
}

void PgConnection::send_internally(const char* sql, Step step) noexcept {
  step_ = step;
  failure_.reset();
  if (::PQsendQuery(connection_.get(), sql) == 0) return lose();
  take_input();  // what does not fit into the socket's buffer is sent as it becomes writable
}

bool PgConnection::begin(PgExchange& exchange) noexcept {
  LOCKSTEP_CHECK(state_ == State::idle || state_ == State::closed,
                 "a statement is sent on a connection that another one uses: \"{}\"", exchange.text());
  if (state_ == State::closed) {
    exchange.note(text_error(Fault::unavailable, why_closed_.code, exchange.text(), why_closed_.message));
    return false;
  }
  was_in_transaction_ = in_transaction();
  if (!exchange.send(connection_.get())) {
    exchange.note(text_error(Fault::unavailable, "", exchange.text(), one_line(::PQerrorMessage(connection_.get()))));
    // What went half of the way cannot be taken back.
    if (::PQstatus(connection_.get()) != CONNECTION_OK || is_in_pipeline(connection_.get())) lose();
    return false;
  }
  state_ = State::busy;
  exchange_ = &exchange;
  (void)connection_.flush();
  watch_for_writing();
  return true;
}

void PgConnection::on_ready() noexcept {
  if (state_ == State::connecting && step_ == Step::connect) {
    go_on_connecting();
  } else if (exchange_ == nullptr) {
    take_input();
  } else if (!std::exchange(has_turn_, true)) {
    exchange_->complete();  // reads in its turn; until then the socket stays ready
  }
}

void PgConnection::take_input() noexcept {
  connection_.move_bytes(is_flushing_ || state_ != State::busy);
  if (state_ == State::idle || (state_ == State::draining && has_answer_ && step_ == Step::answer)) {
    if (!connection_.is_sound()) lose();
    return;
  }
  const bool is_answered =
      connection_.take_answers([this](postgres::Answer answer) { return take(std::move(answer)); });
  if (state_ == State::closed) return;
  is_answered ? answered() : watch_for_writing();
}

/// The loop watches the socket for writing as long as libpq has more to send.
void PgConnection::watch_for_writing() noexcept {
  if (connection_.has_more_to_send() == is_flushing_) return;
  is_flushing_ = connection_.has_more_to_send();
  watch_socket();
}

/// True: nothing more comes.
bool PgConnection::take(postgres::Answer answer) noexcept {
  // In a pipeline it stands between two statements.
  if (answer == nullptr) return !is_in_pipeline(connection_.get()) || ::PQstatus(connection_.get()) != CONNECTION_OK;
  if (auto refused = postgres::refused_copy(answer.get())) {
    close(*std::move(refused));
    return true;
  }
  const ExecStatusType status = ::PQresultStatus(answer.get());
  connection_.note_last_words(answer.get());
  if (exchange_ != nullptr) return exchange_->take(std::move(answer));
  if (auto failure = postgres::failure_in(answer.get()); failure && !failure_) failure_ = std::move(failure);
  return status == PGRES_PIPELINE_SYNC;
}

/// The whole answer is there.
void PgConnection::answered() noexcept {
  if (is_flushing_) {
    is_flushing_ = false;
    watch_socket();
  }
  if (::PQstatus(connection_.get()) != CONNECTION_OK) return lose();
  if (exchange_ != nullptr) return finish();
  if (is_in_pipeline(connection_.get())) (void)::PQexitPipelineMode(connection_.get());
  if (step_ == Step::answer) {
    has_answer_ = true;
    return roll_back_when_ready();
  }
  if (failure_ && step_ == Step::roll_back && failure_->code == "57014") {
    return send_internally("rollback", Step::roll_back);  // the cancel has met it: the next one is safe from it
  }
  if (failure_) return close(*std::move(failure_));
  if (step_ == Step::set_up) return prepare_statements();
  become_idle();
}

void PgConnection::finish() noexcept {
  PgExchange& exchange = *std::exchange(exchange_, nullptr);
  exchange.end(connection_.get());
  state_ = State::idle;
  if (!in_transaction()) {
    doomed_.reset();
  } else if (exchange.failure_ && !doomed_) {
    doomed_ = exchange.failure_;
  }
  if (!has_turn_) exchange.complete();
}

std::optional<Error> PgConnection::refused_commit(const PGresult* answer, std::string_view sql) const {
  if (!doomed_ || std::string_view(::PQcmdStatus(const_cast<PGresult*>(answer))) != "ROLLBACK") return std::nullopt;
  const char first = sql.empty() ? ' ' : sql.front();
  if (first != 'c' && first != 'C' && first != 'e' && first != 'E') return std::nullopt;  // commit, end
  return text_error(doomed_->fault, doomed_->code, sql,
                    "nothing was committed, since the transaction had failed at " + doomed_->message);
}

// -- draining --

void PgConnection::abandon() noexcept {
  exchange_ = nullptr;
  state_ = State::draining;
  step_ = Step::answer;
  has_answer_ = false;
  failure_.reset();
  const Nanos now = loop_.now();
  deadline_ = options_.drain_max == kNever ? kNever : now + options_.drain_max;
  tell_to_cancel(now);
  loop_.timers().set(*this, now + kLookEvery);
}

void PgConnection::tell_to_cancel(Nanos now) noexcept {
  cancel_ = PgCancel::begin(connection_.get());
  cancelled_at_ = now;
}

void PgConnection::reset() noexcept {
  if (state_ != State::idle) return;
  state_ = State::draining;
  deadline_ = options_.drain_max == kNever ? kNever : loop_.now() + options_.drain_max;
  if (deadline_ != kNever) loop_.timers().set(*this, deadline_);
  send_internally("rollback", Step::roll_back);
}

void PgConnection::roll_back_when_ready() noexcept {
  if (cancel_ != nullptr && !cancel_->has_returned()) return;  // else it could meet a later statement
  cancel_.reset();
  send_internally("rollback", Step::roll_back);
}

void PgConnection::fire() noexcept {
  const Nanos now = loop_.now();
  if (now >= deadline_) {
    const char* const doing = state_ == State::connecting ? "no answer" : "a cancelled statement did not end";
    const Nanos limit = state_ == State::connecting ? options_.connect_max : options_.drain_max;
    return close(postgres::no_connection(
        connection_.get(),
        fmt::format("{} within {} ms", doing, std::chrono::duration_cast<std::chrono::milliseconds>(limit).count())));
  }
  if (state_ != State::draining || cancel_ == nullptr) {
    if (deadline_ != kNever) loop_.timers().set(*this, deadline_);
    return;
  }
  loop_.timers().set(*this, now + kLookEvery);
  if (has_answer_) {
    roll_back_when_ready();
  } else if (cancel_->has_returned() && now - cancelled_at_ >= kCancelAgainAfter) {
    tell_to_cancel(now);
  }
}

void PgConnection::become_idle() noexcept {
  loop_.timers().cancel(*this);
  state_ = State::idle;
  doomed_.reset();
  if (owner_ != nullptr) owner_->on_settled(*this);
}

// -- ends --

void PgConnection::close(Error why) noexcept {
  loop_.timers().cancel(*this);
  loop_.unwatch(*this);
  connection_.close();
  state_ = State::closed;
  is_flushing_ = false;
  why_closed_ = std::move(why);
  PgExchange* const exchange = std::exchange(exchange_, nullptr);
  if (exchange == nullptr) {
    if (owner_ != nullptr) owner_->on_settled(*this);
    return;
  }
  // A session that was ended because it idled has not begun the statement. After any other end that is unknown. An
  // error of the statement that came before is its answer.
  const bool has_failed =
      exchange->failure_ && !exchange->failure_->code.empty() && exchange->failure_->code != why_closed_.code;
  const bool in_doubt = !has_failed && why_closed_.fault != Fault::idle_timeout &&
                        why_closed_.fault != Fault::unsupported && exchange->is_in_doubt(was_in_transaction_);
  if (!has_failed)
    exchange->failure_ = text_error(in_doubt ? Fault::outcome_unknown : why_closed_.fault, why_closed_.code,
                                    exchange->text(), why_closed_.message);
  if (!has_turn_) exchange->complete();
}

}  // namespace lockstep::runtime
