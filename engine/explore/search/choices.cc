// choices.cc: see choices.h.
#include "engine/explore/search/choices.h"

#include <fmt/format.h>

#include "kv/base/check.h"

namespace lockstep {
namespace {

std::string names_of(std::span<const Choice> choices) {
  std::string names;
  for (const Choice& each : choices)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(each, fmt::format("actor {}", each.actor)));
  return names;
}

}  // namespace

Choice calmest_of(std::span<const Choice> choices, Mask allowed, int last) {
  const Choice* best = nullptr;
  for (const Choice& each : choices) {
    if ((allowed & bit_of(each)) == 0) continue;
    if (each.actor == last && !each.timeout) return each;
    if (best == nullptr) best = &each;
  }
  LOCKSTEP_CHECK(best != nullptr, "no choice is left");
  return *best;
}

std::string difference(std::size_t step, std::span<const Choice> before, std::span<const Choice> now) {
  return fmt::format("before step {} it had the choice of {}, and then of {}", step, names_of(before), names_of(now));
}

}  // namespace lockstep
