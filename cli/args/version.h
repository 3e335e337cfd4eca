// version.h: the version of the program.
#pragma once

namespace lockstep::cli {

/// Such as "0.1.0".
extern const char* const kVersion;

}  // namespace lockstep::cli
