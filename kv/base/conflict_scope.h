// conflict_scope.h: whom a step of a transaction can depend on, or be of consequence to. A search takes steps that
// cannot meet for independent, so a scope that is too narrow hides interleavings; `store` is always right, and slow.
#pragma once

#include <cstdint>

namespace lockstep {

enum class ConflictScope : std::uint8_t {
  keys,      ///< those who touch the same keys, until the transaction ends
  snapshot,  ///< the same, and every commit decides what later requests see
  wounds,    ///< those of `keys`, and whoever waits may end anybody's transaction
  store,     ///< everybody
};

}  // namespace lockstep
