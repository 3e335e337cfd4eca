// choices.h: sets of choices, for searches.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/explore/search/search.h"

namespace lockstep {

/// A bit for every choice.
using Mask = std::uint64_t;
static_assert(2 * kMostActors <= 64, "a bit for every choice");

inline Mask bit_of(Choice choice) noexcept {
  return Mask{1} << static_cast<unsigned>(2 * choice.actor + (choice.timeout ? 1 : 0));
}
inline Mask mask_of(std::span<const Choice> choices) noexcept {
  Mask mask = 0;
  for (const Choice& each : choices) mask |= bit_of(each);
  return mask;
}

/// Of the `choices` that are `allowed`: the actor that went last goes on, else the first. Keeps the runs calm, so that
/// the first bad one is easy to read.
Choice calmest_of(std::span<const Choice> choices, Mask allowed, int last);

/// For people: that a program had other choices than before after the same ones. `step`: from 1.
std::string difference(std::size_t step, std::span<const Choice> before, std::span<const Choice> now);

}  // namespace lockstep
