// level.h: the isolation levels that histories are held against, and that stores promise (isolation.h).
#pragma once

#include <cstdint>

namespace lockstep::check {

enum class Level : std::uint8_t { read_committed, snapshot, serializable };

}  // namespace lockstep::check
