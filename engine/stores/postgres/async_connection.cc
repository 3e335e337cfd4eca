// async_connection.cc: bytes to and from the server, and its last words.
#include "engine/stores/postgres/async_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <memory>
#include <string_view>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"

namespace lockstep::postgres {

void AsyncConnection::adopt(Connection connection) noexcept {
  connection_ = std::move(connection);
  last_words_.reset();
  has_more_ = false;
  is_usable_ = true;
  const auto note = [](void* self, const PGresult* notice) {
    static_cast<AsyncConnection*>(self)->note_last_words(notice);
    static_cast<AsyncConnection*>(self)->note_notice(notice);
  };
  ::PQsetNoticeReceiver(get(), note, this);
}

Connection AsyncConnection::release() noexcept {
  const bool is_idle =
      is_open() && ::PQstatus(get()) == CONNECTION_OK && ::PQtransactionStatus(get()) == PQTRANS_IDLE && !last_words_;
  if (!is_idle || ::PQsetnonblocking(get(), 0) != 0) return nullptr;
  ::PQsetNoticeReceiver(get(), [](void*, const PGresult*) {}, nullptr);
  return std::move(connection_);
}

bool AsyncConnection::in_transaction() const noexcept {
  if (!is_open()) return false;
  const PGTransactionStatusType status = ::PQtransactionStatus(get());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool AsyncConnection::flush() noexcept {
  const int flushed = ::PQflush(get());
  has_more_ = flushed == 1;
  is_usable_ = flushed >= 0;
  return has_more_;
}

void AsyncConnection::move_bytes(bool sends) noexcept {
  is_usable_ = true;
  if (sends) (void)flush();
  is_usable_ = is_usable_ && ::PQconsumeInput(get()) != 0;
}

short AsyncConnection::events() const noexcept { return static_cast<short>(has_more_ ? POLLIN | POLLOUT : POLLIN); }

bool AsyncConnection::is_sound() noexcept {
  (void)::PQisBusy(get());  // takes in what was read: the last words may be there before the end of file
  return is_usable_ && !last_words_ && ::PQstatus(get()) == CONNECTION_OK;
}

void AsyncConnection::note_last_words(const PGresult* said) {
  if (ends_session(said)) last_words_ = error_in(said);
}

void AsyncConnection::note_notice(const PGresult* said) {
  if (!keeps_notices_) return;
  Notice notice{.severity = "NOTICE", .text = {}, .facts = facts_of(said)};
  for (const auto& [name, value] : notice.facts) {
    if (name == "severity") notice.severity = value;
    if (name == "primary") notice.text = value;
  }
  std::erase_if(notice.facts, [](const auto& fact) { return fact.first == "severity" || fact.first == "primary"; });
  notices_.push_back(std::move(notice));
}

std::vector<Notice> AsyncConnection::take_notices() {
  while (keeps_notices_ && is_open()) {
    const std::unique_ptr<PGnotify, void (*)(void*)> told(::PQnotifies(get()), ::PQfreemem);
    if (told == nullptr) break;
    notices_.push_back({.severity = "NOTIFY",
                        .text = fmt::format("\"{}\" with payload \"{}\"", told->relname, told->extra),
                        .facts = {{"sender", std::to_string(told->be_pid)}}});
  }
  return std::exchange(notices_, {});
}

Error AsyncConnection::loss() const {
  if (last_words_) return *last_words_;
  return Error{Fault::unavailable,
               {},
               fmt::format("the connection to PostgreSQL is lost: {}", one_line(::PQerrorMessage(get())))};
}

bool ends_session(const PGresult* answer) noexcept {
  const char* const severity = ::PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity != nullptr && (std::string_view(severity) == "FATAL" || std::string_view(severity) == "PANIC");
}

std::optional<Error> refused_copy(const PGresult* answer) {
  const ExecStatusType status = ::PQresultStatus(answer);
  if (status != PGRES_COPY_IN && status != PGRES_COPY_OUT && status != PGRES_COPY_BOTH) return std::nullopt;
  return Error{Fault::unsupported, "0A000",
               "COPY between server and client cannot be used here, and has ended the session"};
}

}  // namespace lockstep::postgres
