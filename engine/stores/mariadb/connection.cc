// connection.cc: DSNs, connecting, asking.
#include "engine/stores/mariadb/connection.h"

#include <errmsg.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "engine/store/statement_text.h"
#include "engine/stores/mariadb/errors.h"

namespace lockstep::mariadb {
namespace {

/// "%2F" and its like; nullopt when one is cut off.
std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned char byte = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

/// Takes what stands before the first `mark` off the text; all of it without one.
std::string_view taken_before(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

Error not_a_dsn(std::string_view why) {
  return {Fault::invalid, {}, fmt::format("not a DSN of MariaDB ({}): mysql://USER:PASSWORD@HOST:PORT", why)};
}

unsigned seconds_of(Nanos span) {
  constexpr Nanos kMost = std::chrono::hours(1);
  return static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(std::min(span, kMost)).count());
}

/// The library's own start is not thread-safe.
void begin_library() {
  static std::once_flag begun;
  std::call_once(begun, [] { (void)::mysql_server_init(0, nullptr, nullptr); });
}

}  // namespace

Result<MariaDsn> MariaDsn::parse(const std::string& text) {
  std::string_view rest = text;
  constexpr std::string_view kSchemes[] = {"mysql://", "mariadb://"};
  const auto* const scheme = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                          [&rest](std::string_view each) { return rest.starts_with(each); });
  if (scheme == std::end(kSchemes)) return not_a_dsn("it does not begin with mysql://");
  rest.remove_prefix(scheme->size());
  std::string_view options = rest;
  std::string_view authority = taken_before(options, '?');
  authority = authority.substr(0, authority.find('/'));
  std::string_view address = authority, login;
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    login = authority.substr(0, at);
    address = authority.substr(at + 1);
  }
  MariaDsn dsn;
  const auto put = [](std::string& where, std::string_view encoded) {
    auto plain = decoded(encoded);
    if (plain) where = std::move(*plain);
    return plain.has_value();
  };
  bool is_whole = put(dsn.user_, taken_before(login, ':')) && put(dsn.password_, login);
  if (address.starts_with('[')) {  // an address of IPv6
    address.remove_prefix(1);
    is_whole = is_whole && put(dsn.host_, taken_before(address, ']'));
    if (address.starts_with(':')) address.remove_prefix(1);
  } else {
    is_whole = is_whole && put(dsn.host_, taken_before(address, ':'));
  }
  if (!is_whole) return not_a_dsn("a percent sign is not followed by two hexadecimal digits");
  if (!address.empty()) {
    const auto [end, failed] = std::from_chars(address.data(), address.data() + address.size(), dsn.port_);
    if (failed != std::errc() || end != address.data() + address.size() || dsn.port_ == 0 || dsn.port_ > 65535)
      return not_a_dsn("the port is not a number from 1 to 65535");
  }
  while (!options.empty()) {
    std::string_view value = taken_before(options, '&');
    const std::string_view name = taken_before(value, '=');
    if (name != "socket") return not_a_dsn("the only option is socket=PATH");
    if (!put(dsn.socket_, value)) return not_a_dsn("a percent sign is not followed by two hexadecimal digits");
  }
  return dsn;
}

std::string MariaDsn::without_password() const {
  return fmt::format("mysql://{}{}{}{}{}{}", user_, user_.empty() ? "" : "@", host_,
                     port_ == 0 ? std::string() : fmt::format(":{}", port_),
                     socket_.empty() ? "" : "/?socket=", socket_);
}

std::string MariaDsn::where() const {
  const std::string place = !socket_.empty() ? fmt::format("socket {}", socket_)
                            : port_ == 0     ? fmt::format("host {}", host_.empty() ? "localhost" : host_)
                                             : fmt::format("host {}, port {}", host_, port_);
  return user_.empty() ? place : fmt::format("{}, as user {}", place, user_);
}

Result<Connection> connect(const MariaDsn& dsn, MariaCalls calls, Nanos connect_max) {
  begin_library();
  Connection connection(::mysql_init(nullptr));
  if (connection == nullptr) return Error{Fault::internal, {}, "no memory for a connection to MariaDB"};
  const unsigned limit = std::max(seconds_of(connect_max), 1U);
  ::mysql_options(connection.get(), MYSQL_OPT_CONNECT_TIMEOUT, &limit);
  ::mysql_options(connection.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (calls == MariaCalls::never_wait) {
    ::mysql_options(connection.get(), MYSQL_OPT_NONBLOCK, nullptr);
  } else {
    constexpr unsigned kAnswerMax = 30;
    ::mysql_options(connection.get(), MYSQL_OPT_READ_TIMEOUT, &kAnswerMax);
  }
  const auto text = [](const std::string& value) { return value.empty() ? nullptr : value.c_str(); };
  if (::mysql_real_connect(connection.get(), text(dsn.host()), text(dsn.user()), text(dsn.password()), nullptr,
                           dsn.port(), text(dsn.socket()), CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS) == nullptr) {
    const Error said = error_in(connection.get());
    return Error{said.fault == Fault::permission ? Fault::permission : Fault::unavailable, said.code,
                 fmt::format("no connection to MariaDB at {}: {}", dsn.where(), said.message)};
  }
  return connection;
}

MariaAnswer answer_of(MYSQL* connection, MYSQL_RES* rows) {
  MariaAnswer answer;
  answer.touched = static_cast<std::int64_t>(::mysql_affected_rows(connection));
  answer.insert_id = static_cast<std::int64_t>(::mysql_insert_id(connection));
  if (rows == nullptr) return answer;
  const unsigned columns = ::mysql_num_fields(rows);
  for (unsigned i = 0; i < columns; ++i) answer.columns.emplace_back(::mysql_fetch_field_direct(rows, i)->name);
  while (const MYSQL_ROW row = ::mysql_fetch_row(rows)) {
    const unsigned long* const lengths = ::mysql_fetch_lengths(rows);
    auto& taken = answer.rows.emplace_back();
    for (unsigned i = 0; i < columns; ++i) {
      taken.push_back(row[i] == nullptr ? std::nullopt : std::optional(std::string(row[i], lengths[i])));
    }
  }
  answer.touched = static_cast<std::int64_t>(answer.rows.size());
  return answer;
}

Result<MariaAnswer> ask(MYSQL* connection, const std::string& sql) {
  MariaAnswer last;
  int more = ::mysql_real_query(connection, sql.data(), sql.size());
  while (more == 0) {
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> rows(::mysql_store_result(connection), ::mysql_free_result);
    if (rows == nullptr && ::mysql_errno(connection) != 0) return error_in(connection);
    last = answer_of(connection, rows.get());
    more = ::mysql_next_result(connection);
  }
  if (more > 0) return error_in(connection);
  return last;
}

Error error_in(MYSQL* connection) {
  const unsigned number = ::mysql_errno(connection);
  return Error{fault_of(number), std::to_string(number), one_line(::mysql_error(connection))};
}

std::string quoted_name(std::string_view name) {
  std::string quoted = "`";
  for (const char each : name) quoted.append(each == '`' ? 2 : 1, each);
  return quoted + "`";
}

std::string quoted_value(std::string_view value) {
  // Bytes that are no text of the connection's would be refused, so they are not said to be text.
  const bool is_ascii =
      std::all_of(value.begin(), value.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
  std::string quoted = is_ascii ? "'" : "_binary'";
  for (const char each : value) {
    if (each == '\0') {
      quoted += "\\0";
      continue;
    }
    if (each == '\'' || each == '\\') quoted += '\\';
    quoted += each;
  }
  return quoted + "'";
}

}  // namespace lockstep::mariadb
