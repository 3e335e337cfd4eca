// connection.h: libpq as values: a parsed DSN, a connection, a result. Connecting and asking have a limit in time.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

struct EndConnection {
  void operator()(PGconn* connection) const noexcept { ::PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, EndConnection>;

struct ClearAnswer {
  void operator()(PGresult* answer) const noexcept { ::PQclear(answer); }
};
using Answer = std::unique_ptr<PGresult, ClearAnswer>;

/// A connection string, taken apart. Immutable, hence thread-safe.
class Dsn {
 public:
  /// Takes "postgresql://..." and "key=value ..." (PostgreSQL manual 34.1.1). Fault::invalid without the text itself in
  /// the message, since it may hold a password.
  static Result<Dsn> parse(const std::string& text);

  /// The settings as "key='value' ...", for libraries that take a string. With the name that the server shows for the
  /// session, and a limit for connecting (rounded up to seconds, at least 2: libpq's own rule). Holds the password.
  std::string text(const std::string& application, Nanos connect_max) const;

  /// As "key=value ...", in quotes only where they are needed, and without what is secret.
  std::string without_password() const;
  /// The same with another value of one setting.
  Dsn with(std::string_view name, std::string value) const;

  const std::vector<std::pair<std::string, std::string>>& settings() const noexcept { return settings_; }

 private:
  std::vector<std::pair<std::string, std::string>> settings_;
};

/// "host "db1" port 5432 as user "bob" to database "shop"", as libpq understood it. Never the password.
std::string describe(PGconn* connection);

/// Begins to connect and does not wait, except for the resolver when a host's name is looked up. PQconnectPoll goes on
/// as the socket becomes ready, first for writing (manual 34.1). Notices of the server are dropped. Fault::unavailable
/// when connecting has failed already.
Result<Connection> begin_connecting(const Dsn& dsn, const std::string& application);

/// Fault::unavailable: "no connection to PostgreSQL at host …: REASON".
Error no_connection(PGconn* connection, const std::string& reason);

/// Connects; waits at most `connect_max` (looking up a host's name is the resolver's business and not limited by it).
/// Notices of the server are dropped. Fault::unavailable, with what was tried, when there is no server, the password is
/// wrong, or the time is over.
Result<Connection> connect(const Dsn& dsn, const std::string& application, Nanos connect_max);

/// Sends one statement with text parameters (nullopt = NULL), or several statements without any. Waits for the last
/// answer, at most `limit` of real time. A statement that fails gives the fault of its SQLSTATE. When the time is over
/// or the connection is lost: Fault::unavailable, and the connection is of no further use.
Result<Answer> ask(PGconn* connection, const std::string& sql, std::span<const std::optional<std::string>> parameters,
                   Nanos limit);

/// The fault, the SQLSTATE and the server's message (one line) of a result that is an error or a notice. The code is
/// empty when libpq made the error itself, because the connection is lost.
Error error_in(const PGresult* answer);
/// The failure of a result whose statement failed; nullopt for any other.
std::optional<Error> failure_in(const PGresult* answer);

/// What the server said in an error or a notice, part by part: "severity", "primary", "detail", "hint", "context",
/// "schema", "table", "column", "constraint", "position". Parts that it did not send are left out.
Facts facts_of(const PGresult* answer);

/// The rows as text.
Table table_of(const PGresult* answer);
/// The names of the columns; empty for a command without rows.
std::vector<std::string> columns_of(const PGresult* answer);

/// `name` in double quotes, or `value` in single ones, for use in SQL.
std::string quoted_name(std::string_view name);
std::string quoted_value(std::string_view value);

}  // namespace lockstep::postgres
