// commands.h: commands as data, their text for people, and what a command of a scenario's own may do.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::redis {

/// A command and its arguments, any bytes.
using RedisCommand = std::vector<std::string>;

/// "SET A 'two words'", as it would be typed.
std::string text_of(const RedisCommand& command);
/// Several, as they are sent: "WATCH A; GET A".
std::string text_of(const std::vector<RedisCommand>& commands);

/// Takes a text apart as redis-cli does: words, "…" with \n \r \t \" \\ \xHH in it, '…' with \' in it. Fault::invalid
/// for an open quote, and for no word at all.
Result<RedisCommand> command_in(std::string_view text);

/// The first word in capitals: "GET".
std::string name_of(const RedisCommand& command);

/// Why the command is not for a scenario: it would leave the run's own database, change the connection, stop the
/// server, or wait in it. nullopt: it may be sent.
std::optional<std::string> why_refused(const RedisCommand& command);

/// True when the command changes no key, whatever its arguments are.
bool only_reads(const RedisCommand& command);

}  // namespace lockstep::redis
