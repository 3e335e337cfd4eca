// version.cc: the version, as CMake knows it.
#include "cli/args/version.h"

namespace lockstep::cli {

const char* const kVersion = LOCKSTEP_VERSION;

}  // namespace lockstep::cli
