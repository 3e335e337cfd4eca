// check.cc: the end of a process after a broken invariant.
#include "kv/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace lockstep {

void check_failed(const char* file, int line, const char* expression, const std::string& message) noexcept {
  std::fprintf(stderr, "%s:%d: check failed: %s%s%s\n", file, line, expression, message.empty() ? "" : ": ",
               message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace lockstep
