// protocol.h: the protocols of Redis. In each of them writes are queued here and sent at the commit, between MULTI and
// EXEC, which the server carries out with nothing in between. They differ in what is watched until then.
//
//   protocol      WATCH                                     EXEC gives nil when another session has changed
//   watch-reads   every key that is read or written         anything that the transaction has seen
//   watch-writes  keys that are written, or read for update  a key that it writes
//   multi         nothing                                   never
//
// Source: https://redis.io/docs/latest/develop/using-commands/transactions/ (optimistic locking by check-and-set).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/store/traits.h"

namespace lockstep::redis {

/// What a transaction watches.
enum class RedisWatch : std::uint8_t { nothing, what_is_written, what_is_read_too };

/// What every protocol is; the first is the default.
std::vector<ProtocolTraits> protocol_list();

/// nullopt for a protocol that there is not.
std::optional<RedisWatch> watch_named(std::string_view protocol);

}  // namespace lockstep::redis
