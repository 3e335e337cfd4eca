// connection.h: libmariadb as values: a parsed DSN, a connection, the answer to a statement. Connecting and asking have
// a limit in time.
#pragma once

#include <mysql.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep::mariadb {

struct EndMariaConnection {
  void operator()(MYSQL* connection) const noexcept { ::mysql_close(connection); }
};
using Connection = std::unique_ptr<MYSQL, EndMariaConnection>;

/// "mysql://user:password@host:port/?socket=/path", taken apart. Immutable, hence thread-safe.
class MariaDsn {
 public:
  /// Takes "mysql://" and "mariadb://"; names may be percent-encoded. Fault::invalid without the text itself in the
  /// message, since it may hold a password.
  static Result<MariaDsn> parse(const std::string& text);

  /// The same without what is secret.
  std::string without_password() const;
  /// "host db1, port 3306, as user bob". Never the password.
  std::string where() const;

  const std::string& host() const noexcept { return host_; }
  const std::string& user() const noexcept { return user_; }
  const std::string& password() const noexcept { return password_; }
  const std::string& socket() const noexcept { return socket_; }
  unsigned port() const noexcept { return port_; }

 private:
  std::string host_, user_, password_, socket_;
  unsigned port_ = 0;  ///< 0: the client's default
};

/// Whether calls on a connection may wait.
enum class MariaCalls : bool { wait, never_wait };

/// Connects, which waits at most `connect_max` (rounded up to seconds) also where later calls never wait. Statements
/// may be several in one text. An update counts the rows that it found. Fault::unavailable, with what was tried, when
/// there is no server or the time is over; Fault::permission when it refuses the user.
Result<Connection> connect(const MariaDsn& dsn, MariaCalls calls, Nanos connect_max);

/// What one statement of a text gave.
struct MariaAnswer {
  std::vector<std::string> columns;
  Table rows;
  std::int64_t touched = 0;    ///< rows found, or changed
  std::int64_t insert_id = 0;  ///< what last_insert_id(…) was set to
};

/// Takes the answer that `rows` holds (nullptr: a statement without rows) and that the connection tells of.
MariaAnswer answer_of(MYSQL* connection, MYSQL_RES* rows);

/// Runs the statements and waits for the last answer, which it gives. A statement that fails gives the fault of its
/// code. When the connection is lost: Fault::unavailable, and it is of no further use.
Result<MariaAnswer> ask(MYSQL* connection, const std::string& sql);

/// What the connection says went wrong last, in one line.
Error error_in(MYSQL* connection);

/// `name` in backticks, or `value` in single quotes, for use in SQL under the modes that sessions set.
std::string quoted_name(std::string_view name);
std::string quoted_value(std::string_view value);

}  // namespace lockstep::mariadb
