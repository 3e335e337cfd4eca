// placement.h: which of the two servers a key lies on, which one a statement names, and what a prepared transaction is
// called there.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/stores/postgres/connection.h"

namespace lockstep::postgres_2 {

inline constexpr std::size_t kServers = 2;

/// The server of a key, 0 or 1, by its last byte: an odd one lies on the first server (A, C, 1, 3), an even one on the
/// second (B, D, 2, 4).
std::size_t server_of(std::string_view key) noexcept;

/// "@2 select …" is for the second server. nullopt: the text names none.
std::optional<std::size_t> server_named_in(std::string_view sql) noexcept;
/// The text without the server's name.
std::string_view without_server(std::string_view sql) noexcept;

/// How a statement of a set-up on one server speaks of the other one: what stands in the place of "$other_server" (the
/// options of a foreign server), "$other_user" (those of a user mapping) and "$other_schema".
struct OtherServer {
  std::string server, user, schema;
};
/// Of the server of this DSN, whose run has that schema.
OtherServer other_server(const postgres::Dsn& dsn, std::string schema);
std::string filled_in(std::string_view sql, const OtherServer& other);
/// The statement is about foreign tables.
bool links_servers(std::string_view sql);

/// "A, on server 2": for people.
std::string at_server(std::string_view text, std::size_t server);

/// A statement that speaks of a prepared transaction, and of which.
struct PreparedName {
  enum class Action : unsigned char { prepares, commits, rolls_back };
  Action action = Action::prepares;
  std::string name;  ///< as it was written
};
/// nullopt: it is another statement.
std::optional<PreparedName> prepared_named_in(std::string_view sql);

/// The statement for a prepared transaction of that name. Names are known to the whole server, so that of the run
/// stands before them: "RUN/NAME".
std::string statement_on(PreparedName::Action action, std::string_view run, std::string_view name);
/// The name as a literal of SQL.
std::string literal_of(std::string_view name);
/// The name without that of the run; nullopt: it belongs to somebody else.
std::optional<std::string> name_within(std::string_view run, std::string_view global);

/// Two DSNs with a semicolon between them; nullopt where the text is none such.
std::optional<std::pair<std::string, std::string>> two_dsns_in(const std::string& text);

}  // namespace lockstep::postgres_2
