// holds.h: what a plain operation of a transaction keeps from others until the transaction ends. Reports draw it, for
// recordings of every version.
#pragma once

#include <cstdint>

namespace lockstep {

enum class HoldsUntilEnd : std::uint8_t {
  nothing,           ///< conflicts show at the commit
  writes,            ///< a row that was written; reads see versions, or take no lock of the row
  reads_and_writes,  ///< two-phase locking
};

}  // namespace lockstep
