// tracing.h: whether a debugger may trace this process, and the setting to change where it may not.
#pragma once

#include <string>

namespace lockstep::debugging {

/// Why a debugger that this process starts could not trace what it runs, and what to do about it; empty: it can. Tries
/// it with a child that does nothing else.
std::string why_no_tracing();

/// why_no_tracing() for a debugger that attaches to this process.
std::string why_no_attaching();

}  // namespace lockstep::debugging
