// errors.h: what the server says went wrong, as a Fault and one sentence for people.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>
#include <string_view>

#include "engine/store/backend.h"
#include "kv/base/result.h"

namespace lockstep::mariadb {

/// Codes whose meaning goes beyond their fault (MariaDB error codes; those of the client in errmsg.h).
inline constexpr unsigned kLockWaitTimeout = 1205;
inline constexpr unsigned kDeadlock = 1213;
inline constexpr unsigned kRowChanged = 1020;
inline constexpr unsigned kKilledQuery = 1317;
inline constexpr unsigned kStatementTime = 1969;

/// The fault for a code; unknown codes are Fault::internal.
Fault fault_of(unsigned code) noexcept;

/// The connection is gone with this code.
bool is_loss(unsigned code) noexcept;

/// With this code the server ends a wait of its own accord: a deadlock, a limit, a kill.
bool is_given_up_by_server(unsigned code) noexcept;

/// With this code InnoDB has rolled the whole transaction back; with others the failed statement alone.
bool ends_transaction(unsigned code) noexcept;

/// "add account/3": what a request does, for messages. A statement is cut after 60 characters.
std::string text_of(const Request& request);

/// An error of `request`; `said` is the server's own message.
Error request_error(Fault fault, std::string_view code, const Request& request, std::string_view said);

/// Several lines as one: joined by spaces.
std::string one_line(std::string_view text);

}  // namespace lockstep::mariadb
