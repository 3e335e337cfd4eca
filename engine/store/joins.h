// joins.h: several processes that work on what one of them has set up in a server: a load of many machines.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

/// In StoreTraits::own_options of a store that can join. In BackendOptions::own its value is the place: a backend so
/// opened makes nothing and removes nothing there. It is not set up, and goes before the one that it has joined.
inline constexpr std::string_view kJoinsOption = "joins";

/// Where a backend of such a store works, from its Backend::environment(): the schema or database of its own. Empty
/// where none is said.
inline std::string place_of(const std::vector<std::pair<std::string, std::string>>& environment) {
  for (const auto& [name, value] : environment) {
    if (name == "schema" || name == "database") return value;
  }
  return {};
}

}  // namespace lockstep
