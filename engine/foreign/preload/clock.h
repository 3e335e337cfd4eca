// clock.h: the program's clocks, which show virtual time.
#pragma once

#include <time.h>

#include <cstdint>

namespace lockstep::foreign {

/// What that clock shows at the begin of virtual time, in nanoseconds.
std::int64_t base_of(clockid_t clock) noexcept;
/// A time on that clock as virtual nanoseconds.
std::int64_t virtual_time(clockid_t clock, const timespec* time) noexcept;

}  // namespace lockstep::foreign
