// stand_in.h: kv standing in for a database (engine/explore/model/model.h): what its own protocol leaves open, it does
// as that one. Asked for by the name of the protocol: "snapshot as postgres". Not among protocols(): nobody else has a
// use for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep::kv_backend {

enum class StandIn : std::uint8_t {
  none,
  postgres,                 ///< who closes a cycle gives up; a commit that fails ends the transaction
  postgres_read_committed,  ///< the same, and every operation sees what was committed when it began
  sqlite_immediate,         ///< a transaction takes the store when it begins
};

struct Manner {
  std::string protocol;  ///< of kv
  StandIn stand_in = StandIn::none;
};

/// "ssi" or "ssi as postgres"; nullopt when there is nothing of that name to stand in for.
inline std::optional<Manner> manner_named(std::string_view name) {
  constexpr std::array kNames = {
      std::pair{std::string_view(" as postgres"), StandIn::postgres},
      std::pair{std::string_view(" as postgres/read-committed"), StandIn::postgres_read_committed},
      std::pair{std::string_view(" as sqlite/immediate"), StandIn::sqlite_immediate}};
  const std::size_t at = name.find(" as ");
  if (at == std::string_view::npos) return Manner{std::string(name), StandIn::none};
  for (const auto& [suffix, stand_in] : kNames) {
    if (name.substr(at) == suffix) return Manner{std::string(name.substr(0, at)), stand_in};
  }
  return std::nullopt;
}

}  // namespace lockstep::kv_backend
