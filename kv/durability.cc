// durability.cc: the names of the durabilities.
#include "kv/durability.h"

#include <algorithm>
#include <array>

namespace lockstep::kv {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"sync", "async", "none"};

}  // namespace

std::string_view name_of(Durability durability) noexcept { return kNames[static_cast<std::size_t>(durability)]; }

std::optional<Durability> durability_named(std::string_view name) noexcept {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  return found == kNames.end() ? std::nullopt : std::optional(static_cast<Durability>(found - kNames.begin()));
}

}  // namespace lockstep::kv
