// errors.h: what the codes of the server mean, as a Fault.
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
inline constexpr unsigned kNodeNotReady = 1047;   // a node of a cluster is cut off from the majority, or not in step
inline constexpr unsigned kErrorInCommit = 1180;  // a node lost the majority while its commit was under way

/// The fault for a code. Unknown codes of the server are Fault::invalid: nearly all say that the request is wrong.
Fault fault_of(unsigned code) noexcept;

/// The connection is gone with this code.
bool is_loss(unsigned code) noexcept;

/// With this code the server ends a wait of its own accord: a deadlock, a limit, a kill.
bool is_given_up_by_server(unsigned code) noexcept;

/// With this code InnoDB has rolled the whole transaction back; with others the failed statement alone.
bool ends_transaction(unsigned code) noexcept;

}  // namespace lockstep::mariadb
