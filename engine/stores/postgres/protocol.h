// protocol.h: the protocols of PostgreSQL: its isolation levels.
//
// Source: PostgreSQL manual, 13.2 (transaction isolation)
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/store/traits.h"

namespace lockstep::postgres {

/// What every protocol is; the first is the default.
std::vector<ProtocolTraits> protocol_list();

/// The server's name of the level ("repeatable read"); nullopt for a protocol that there is not.
std::optional<std::string_view> isolation_named(std::string_view protocol);

}  // namespace lockstep::postgres
