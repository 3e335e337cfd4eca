// connection.cc: connecting without libpq's own loop, so that the limit holds to the millisecond.
#include "engine/stores/postgres/connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"

namespace lockstep::postgres {
namespace {

using std::chrono::steady_clock;

/// A moment in real time, however the run's own clock goes.
class Deadline {
 public:
  explicit Deadline(Nanos span) : never_(span >= std::chrono::hours(24)) {
    if (!never_) at_ = steady_clock::now() + span;
  }
  /// Milliseconds for poll(): rounded up, -1 = no limit.
  int left_ms() const {
    if (never_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - steady_clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
  }

 private:
  bool never_;
  steady_clock::time_point at_;
};

/// False when the time is over.
bool wait_for(int fd, short events, const Deadline& deadline) {
  for (;;) {
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, deadline.left_ms());
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;  // libpq says what is wrong with the socket
    if (ready == 0) return false;
  }
}

void drop_notice(void*, const PGresult*) {}

/// A server that vanishes without notice (power, network) must not hold a session for the hours of TCP's defaults.
constexpr std::array kKeepAlive = {std::pair{"keepalives_idle", "5"}, std::pair{"keepalives_interval", "2"},
                                   std::pair{"keepalives_count", "3"}, std::pair{"tcp_user_timeout", "15000"}};

std::vector<std::pair<std::string, std::string>> with_defaults(const Dsn& dsn, const std::string& application) {
  auto settings = dsn.settings();
  const auto has = [&settings](std::string_view name) {
    return std::any_of(settings.begin(), settings.end(), [name](const auto& s) { return s.first == name; });
  };
  for (const auto& [name, value] : kKeepAlive) {
    if (!has(name)) settings.emplace_back(name, value);
  }
  std::erase_if(settings, [](const auto& s) { return s.first == "application_name" || s.first == "client_encoding"; });
  settings.emplace_back("application_name", application);
  settings.emplace_back("client_encoding", "UTF8");
  return settings;
}

Error lost(PGconn* connection) {
  return Error{
      Fault::unavailable, {}, fmt::format("the connection is lost: {}", one_line(::PQerrorMessage(connection)))};
}

}  // namespace

Result<Dsn> Dsn::parse(const std::string& text) {
  char* complaint = nullptr;
  PQconninfoOption* options = ::PQconninfoParse(text.c_str(), &complaint);
  ::PQfreemem(complaint);  // repeats the text, and with it the password
  if (options == nullptr) {
    return Error{Fault::invalid,
                 {},
                 "the DSN cannot be read: expected postgresql://USER@HOST:PORT/DATABASE or \"host=... dbname=...\""};
  }
  Dsn dsn;
  for (const auto* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) dsn.settings_.emplace_back(option->keyword, option->val);
  }
  ::PQconninfoFree(options);
  return dsn;
}

std::string Dsn::without_password() const {
  std::string result;
  for (const auto& [name, value] : settings_) {
    if (name == "password" || name == "sslpassword") continue;
    const bool is_plain = !value.empty() && value.find_first_of(" \t\n'\\") == std::string::npos;
    result += fmt::format("{}{}={}", result.empty() ? "" : " ", name, is_plain ? value : "'");
    if (is_plain) continue;
    for (const char c : value) {
      if (c == '\'' || c == '\\') result += '\\';
      result += c;
    }
    result += '\'';
  }
  return result;
}

Dsn Dsn::with(std::string_view name, std::string value) const {
  Dsn changed = *this;
  std::erase_if(changed.settings_, [name](const auto& setting) { return setting.first == name; });
  changed.settings_.emplace_back(name, std::move(value));
  return changed;
}

std::string Dsn::text(const std::string& application, Nanos connect_max) const {
  std::string result;
  auto settings = with_defaults(*this, application);
  std::erase_if(settings, [](const auto& s) { return s.first == "connect_timeout"; });
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::min<Nanos>(connect_max, std::chrono::hours(1)));
  settings.emplace_back("connect_timeout", std::to_string(std::max<std::int64_t>(seconds.count(), 2)));
  for (const auto& [name, value] : settings) {
    result += fmt::format("{}{}='", result.empty() ? "" : " ", name);
    for (const char c : value) {
      if (c == '\'' || c == '\\') result += '\\';
      result += c;
    }
    result += '\'';
  }
  return result;
}

std::string describe(PGconn* connection) {
  const auto text = [](const char* value) { return std::string_view(value == nullptr ? "" : value); };
  return fmt::format("host \"{}\" port {} as user \"{}\" to database \"{}\"", text(::PQhost(connection)),
                     text(::PQport(connection)), text(::PQuser(connection)), text(::PQdb(connection)));
}

Error no_connection(PGconn* connection, const std::string& reason) {
  return Error{
      Fault::unavailable, {}, fmt::format("no connection to PostgreSQL at {}: {}", describe(connection), reason)};
}

Result<Connection> begin_connecting(const Dsn& dsn, const std::string& application) {
  const auto settings = with_defaults(dsn, application);
  std::vector<const char*> names, values;
  for (const auto& [name, value] : settings) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  Connection connection(::PQconnectStartParams(names.data(), values.data(), 0));
  if (connection == nullptr) return Error{Fault::unavailable, {}, "out of memory while connecting to PostgreSQL"};
  ::PQsetNoticeReceiver(connection.get(), drop_notice, nullptr);
  if (::PQstatus(connection.get()) == CONNECTION_BAD) {
    return no_connection(connection.get(), one_line(::PQerrorMessage(connection.get())));
  }
  return connection;
}

Result<Connection> connect(const Dsn& dsn, const std::string& application, Nanos connect_max) {
  const Deadline deadline(connect_max);
  auto begun = begin_connecting(dsn, application);
  if (!begun) return begun;
  Connection connection = std::move(begun).value();
  auto state = PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(::PQsocket(connection.get()), events, deadline)) {
      return no_connection(connection.get(),
                           fmt::format("no answer within {} ms",
                                       std::chrono::duration_cast<std::chrono::milliseconds>(connect_max).count()));
    }
    state = ::PQconnectPoll(connection.get());
  }
  if (state != PGRES_POLLING_OK) return no_connection(connection.get(), one_line(::PQerrorMessage(connection.get())));
  return connection;
}

Error error_in(const PGresult* answer) {
  const char* const code = ::PQresultErrorField(answer, PG_DIAG_SQLSTATE);
  const char* said = ::PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
  if (said == nullptr) said = ::PQresultErrorMessage(answer);
  return Error{fault_of_sqlstate(code == nullptr ? "" : code), code == nullptr ? "" : code, one_line(said),
               facts_of(answer)};
}

Facts facts_of(const PGresult* answer) {
  static constexpr std::array kParts = {std::pair{"severity", PG_DIAG_SEVERITY_NONLOCALIZED},
                                        std::pair{"primary", PG_DIAG_MESSAGE_PRIMARY},
                                        std::pair{"detail", PG_DIAG_MESSAGE_DETAIL},
                                        std::pair{"hint", PG_DIAG_MESSAGE_HINT},
                                        std::pair{"context", PG_DIAG_CONTEXT},
                                        std::pair{"schema", PG_DIAG_SCHEMA_NAME},
                                        std::pair{"table", PG_DIAG_TABLE_NAME},
                                        std::pair{"column", PG_DIAG_COLUMN_NAME},
                                        std::pair{"constraint", PG_DIAG_CONSTRAINT_NAME},
                                        std::pair{"position", PG_DIAG_STATEMENT_POSITION}};
  Facts facts;
  for (const auto& [name, field] : kParts) {
    if (const char* const said = ::PQresultErrorField(answer, field)) facts.emplace_back(name, said);
  }
  return facts;
}

std::optional<Error> failure_in(const PGresult* answer) {
  const ExecStatusType status = ::PQresultStatus(answer);
  if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE) return std::nullopt;
  return error_in(answer);
}

Result<Answer> ask(PGconn* connection, const std::string& sql, std::span<const std::optional<std::string>> parameters,
                   Nanos limit) {
  const Deadline deadline(limit);
  std::vector<const char*> values;
  for (const auto& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
  const int sent = parameters.empty() ? ::PQsendQuery(connection, sql.c_str())
                                      : ::PQsendQueryParams(connection, sql.c_str(), static_cast<int>(values.size()),
                                                            nullptr, values.data(), nullptr, nullptr, 0);
  if (sent == 0) return lost(connection);
  // Blocking mode: the (short) statement has been sent whole.
  Answer last;
  for (;;) {
    while (::PQisBusy(connection) != 0) {
      if (!wait_for(::PQsocket(connection), POLLIN, deadline)) {
        return Error{Fault::unavailable, {}, "the server does not answer"};
      }
      if (::PQconsumeInput(connection) == 0) break;  // the reason comes with the next answer
    }
    Answer next(::PQgetResult(connection));
    if (next == nullptr) break;
    // The first failure ends the statements of one text; keep it.
    if (last == nullptr || ::PQresultStatus(last.get()) != PGRES_FATAL_ERROR) last = std::move(next);
  }
  if (last == nullptr) return lost(connection);
  const auto status = ::PQresultStatus(last.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) return last;
  const auto failure = failure_in(last.get());
  if (!failure || failure->code.empty()) return lost(connection);
  return *failure;
}

Table table_of(const PGresult* answer) {
  Table table(static_cast<std::size_t>(::PQntuples(answer)));
  const int columns = ::PQnfields(answer);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const int row = static_cast<int>(i);
    table[i].reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      if (::PQgetisnull(answer, row, column) != 0) {
        table[i].emplace_back(std::nullopt);
      } else {
        table[i].emplace_back(std::in_place, ::PQgetvalue(answer, row, column),
                              static_cast<std::size_t>(::PQgetlength(answer, row, column)));
      }
    }
  }
  return table;
}

std::vector<std::string> columns_of(const PGresult* answer) {
  std::vector<std::string> columns;
  for (int i = 0; i < ::PQnfields(answer); ++i) columns.emplace_back(::PQfname(answer, i));
  return columns;
}

std::string quoted_name(std::string_view name) {
  std::string result = "\"";
  for (const char c : name) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

std::string quoted_value(std::string_view value) {
  // E'' so that a backslash means the same whatever standard_conforming_strings says.
  std::string result = "E'";
  for (const char c : value) result += c == '\'' ? "''" : c == '\\' ? "\\\\" : std::string(1, c);
  return result + "'";
}

}  // namespace lockstep::postgres
