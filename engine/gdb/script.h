// script.h: engine/gdb/lockstep.py, as part of the program.
#pragma once

#include <string_view>

namespace lockstep::debugging {

/// The gdb commands, to be written to a file and loaded with `source`.
extern const std::string_view kScript;

}  // namespace lockstep::debugging
