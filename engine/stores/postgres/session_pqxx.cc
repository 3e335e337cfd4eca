// session_pqxx.cc: a session that blocks its thread, on libpqxx 6.4 or 7.x. Every exception of the library ends here.
//
// libpqxx is used as a plain connection (pqxx::nontransaction). A transaction begins and ends by SQL, as in the other
// kind of session, so both run the same statements.
#include <sys/socket.h>

#include <cerrno>
#include <pqxx/pqxx>
#include <type_traits>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"
#include "engine/stores/postgres/session.h"

// What 7.x deprecates in favour of calls that 6.4 does not have.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#if defined(__SANITIZE_ADDRESS__) && PQXX_VERSION_MAJOR < 7
/// libpqxx 6 drops the answer of a statement whose connection was lost while it ran; that is its leak, not ours.
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx-6\n"; }
#endif

namespace lockstep::postgres {
namespace {

class PqxxSession final : public PostgresSession {
 public:
  PqxxSession(Common& common, int actor) : PostgresSession(common, actor) {}

  std::optional<Error> open(const std::string& name);
  bool attempt(Pending& pending, Waiter& waiter) override;
  /// So that it can be cancelled, and asked whom it waits for, while the library has the thread.
  bool blocks() const noexcept override { return true; }

 private:
  pqxx::result send(const Call& call);
  ServerAnswer run(const Call& call);

  std::unique_ptr<pqxx::connection> connection_;
#if PQXX_VERSION_MAJOR < 8
  std::unique_ptr<pqxx::quiet_errorhandler> quiet_;  // notices would go to stderr; destroyed before the connection
#endif
  std::unique_ptr<pqxx::nontransaction> statements_;
};

/// 6.4 keeps no SQLSTATE in the classes below transaction_rollback; there the type is the code.
template <class Failure>
std::string code_of(const Failure& failure, const char* code_of_type) {
  if constexpr (std::is_base_of_v<pqxx::sql_error, Failure>) {
    if (!failure.sqlstate().empty()) return failure.sqlstate();
  }
  return code_of_type;
}

Table table_of(const pqxx::result& rows) {
  Table table;
  table.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    auto& columns = table.emplace_back();
    for (const auto& field : row) {
      if (field.is_null()) {
        columns.emplace_back(std::nullopt);
      } else {
        columns.emplace_back(std::in_place, field.c_str(), static_cast<std::size_t>(field.size()));
      }
    }
  }
  return table;
}

/// The first line of the message, without the "ERROR:  " (in the server's language) that libpqxx puts before it.
std::string message_of(const std::exception& failure) {
  std::string_view text = failure.what();
  text = text.substr(0, text.find('\n'));
  if (const auto gap = text.find(":  "); gap != std::string_view::npos) text.remove_prefix(gap + 3);
  return std::string(text);
}

/// What the server said while nothing was asked of it.
struct Farewell {
  std::string code, said;
};

/// The code and the message of an ErrorResponse (PostgreSQL manual, 55.7 and 55.8) in what waits to be read.
Farewell read_farewell(std::string_view bytes) {
  Farewell farewell;
  const auto length_of = [](std::string_view message) {  // of what follows the type byte, in network order
    std::size_t length = 0;
    for (int i = 1; i <= 4; ++i)
      length = length << 8U | static_cast<unsigned char>(message[static_cast<std::size_t>(i)]);
    return length;
  };
  while (bytes.size() > 5 && bytes[0] != 'E') bytes.remove_prefix(std::min(bytes.size(), 1 + length_of(bytes)));
  if (bytes.size() <= 5) return farewell;
  bytes = bytes.substr(5, length_of(bytes));
  while (bytes.size() > 1 && bytes[0] != '\0') {
    const auto end = std::min(bytes.find('\0'), bytes.size());
    if (bytes[0] == 'C') farewell.code = bytes.substr(1, end - 1);
    if (bytes[0] == 'M') farewell.said = bytes.substr(1, end - 1);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return farewell;
}

/// Looks whether the server has ended the session since the last request, without taking anything from the library.
/// libpqxx 6.4 loses the server's last message, and a commit that was never sent must not be reported as in doubt.
/// nullopt: the session stands, or that cannot be told (TLS).
std::optional<Farewell> look_for_farewell(int socket) {
  char bytes[2048];
  const auto count = ::recv(socket, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::nullopt;
    return Farewell{{}, "the connection to PostgreSQL is lost"};
  }
  if (count == 0) return Farewell{{}, "the server has closed the connection"};
  Farewell farewell = read_farewell({bytes, static_cast<std::size_t>(count)});
  return farewell.code.empty() ? std::nullopt : std::optional(std::move(farewell));
}

std::optional<Error> PqxxSession::open(const std::string& name) {
  try {
    connection_ =
        std::make_unique<pqxx::connection>(common_.dsn.text(common_.application_of(name), common_.connect_max));
#if PQXX_VERSION_MAJOR < 8
    quiet_ = std::make_unique<pqxx::quiet_errorhandler>(*connection_);
#endif
#if PQXX_VERSION_MAJOR < 7
    // A session that came back silently would have lost its transaction and its settings.
    connection_->inhibit_reactivation(true);
#endif
    const bool is_bare = !common_.bare_name.empty();
    for (const auto& statement : is_bare ? std::span<const Prepared>() : prepared_statements()) {
      connection_->prepare(std::string(statement.name), std::string(statement.sql));
    }
    statements_ = std::make_unique<pqxx::nontransaction>(*connection_);
    if (!is_bare) statements_->exec(common_.session_setup);
#if PQXX_VERSION_MAJOR < 7
    // 6.4 would prepare at the first use, in the middle of a transaction.
    for (const auto& statement : is_bare ? std::span<const Prepared>() : prepared_statements())
      connection_->prepare_now(std::string(statement.name));
#endif
    attach(connection_->backendpid(), name);
    return std::nullopt;
  } catch (const pqxx::sql_error& failure) {
    return Error{fault_of_sqlstate(failure.sqlstate()), failure.sqlstate(), message_of(failure)};
  } catch (const std::exception& failure) {
    return Error{Fault::unavailable,
                 {},
                 "no connection to PostgreSQL at " + common_.monitor->where() + ": " + one_line(failure.what())};
  }
}

pqxx::result PqxxSession::send(const Call& call) {
  if (call.prepared == nullptr) return statements_->exec(call.text);
  const char* values[3] = {};
  for (std::size_t i = 0; i < call.parameters.size(); ++i) {
    values[i] = call.parameters[i] ? call.parameters[i]->c_str() : nullptr;
  }
  const std::string name(call.prepared->name);
#if PQXX_VERSION_MAJOR >= 8
  pqxx::params parameters;
  for (int i = 0; i < call.prepared->parameters; ++i) parameters.append(values[i]);
  return statements_->exec(pqxx::prepped{name}, parameters);
#else
  switch (call.prepared->parameters) {
    case 1:
      return statements_->exec_prepared(name, values[0]);
    case 2:
      return statements_->exec_prepared(name, values[0], values[1]);
    default:
      return statements_->exec_prepared(name, values[0], values[1], values[2]);
  }
#endif
}

PostgresSession::ServerAnswer PqxxSession::run(const Call& call) {
  ServerAnswer outcome;
  const auto failed = [&outcome](std::string code, const std::exception& failure) {
    outcome.failed = true;
    outcome.code = std::move(code);
    outcome.said = message_of(failure);
  };
  try {
    const pqxx::result rows = send(call);
    outcome.table = table_of(rows);
    // affected_rows() is 0 for a query on some versions; its rows are what it found.
    outcome.rows = outcome.table.empty() ? static_cast<std::int64_t>(rows.affected_rows())
                                         : static_cast<std::int64_t>(outcome.table.size());
  } catch (const pqxx::deadlock_detected& failure) {
    failed(code_of(failure, "40P01"), failure);
  } catch (const pqxx::serialization_failure& failure) {
    failed(code_of(failure, "40001"), failure);
  } catch (const pqxx::statement_completion_unknown& failure) {
    failed(code_of(failure, "40003"), failure);
  } catch (const pqxx::transaction_rollback& failure) {
    failed(code_of(failure, "40000"), failure);
  } catch (const pqxx::broken_connection& failure) {
    failed("", failure);
    outcome.lost = true;
  } catch (const pqxx::in_doubt_error& failure) {
    failed("40003", failure);
    outcome.lost = true;
  } catch (const pqxx::sql_error& failure) {
    failed(failure.sqlstate(), failure);
  } catch (const std::exception& failure) {
    failed("XX000", failure);
  }
  if (!connection_->is_open()) {
    // The server's last message (57P01, 25P03) came as an error of the statement.
    outcome.lost = outcome.failed = true;
    outcome.fatal = true;
    // What 6.4 says here is about its own next step, not about the loss.
    if (outcome.code.empty()) outcome.said = "the connection to PostgreSQL is lost";
  }
  return outcome;
}

bool PqxxSession::attempt(Pending& pending, Waiter& /*waiter*/) {
  Call call;
  if (finish_early(pending, call)) return true;
  ServerAnswer outcome;
  if (auto farewell = look_for_farewell(connection_->sock())) {
    outcome.failed = outcome.lost = outcome.fatal = true;
    outcome.sent = false;
    outcome.code = std::move(farewell->code);
    outcome.said = std::move(farewell->said);
  } else {
    flight_begins();
    outcome = run(call);
    outcome.cancelled = flight_ends();
  }
  settle(pending, std::move(outcome));
  return true;
}

}  // namespace

Result<std::unique_ptr<Session>> open_blocking_session(Common& common, int actor, const std::string& name) {
  auto session = std::make_unique<PqxxSession>(common, actor);
  if (auto failed = session->open(name)) return *std::move(failed);
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace lockstep::postgres
