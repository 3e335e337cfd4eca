// debugged.cc: what a debugger reads and where it stops, inside of the program.
#include "engine/foreign/preload/debugged.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

LOCKSTEP_EXPORTED lockstep::debugging::Registry lockstep_registry;
lockstep::debugging::Registry lockstep_registry = {};

LOCKSTEP_EXPORTED __attribute__((noinline)) void lockstep_stop() {
  asm volatile("" ::: "memory");  // not to be optimised away
}

namespace lockstep::foreign {

std::uint32_t step_in(char** environment) noexcept {
  const std::size_t length = ::strlen(kStepVariable);
  for (; *environment != nullptr; ++environment) {
    if (::strncmp(*environment, kStepVariable, length) == 0 && (*environment)[length] == '=')
      return static_cast<std::uint32_t>(::strtoul(*environment + length + 1, nullptr, 10));
  }
  return UINT32_MAX;
}

void begin_under_debugger(std::uint32_t stop_at) noexcept {
  lockstep_registry.stop_at = stop_at;
  lockstep_registry.forced = -1;
  board->run = static_cast<std::int32_t>(::getpid());
  // As in the runs of a search: what is typed is for the debugger.
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, 0);
  if (nothing > 0) ::close(nothing);
}

int let_debugger_choose(std::uint64_t choices, int answer) noexcept {
  const std::uint32_t stop_at = lockstep_registry.stop_at;
  ::memcpy(&lockstep_registry, &board->registry, sizeof lockstep_registry);
  lockstep_registry.stop_at = stop_at;
  lockstep_registry.forced = -1;
  if (choices != 0 && board->steps < stop_at) return answer;
  lockstep_stop();
  if (choices == 0) ::_exit(0);
  const int forced = lockstep_registry.forced;
  if (forced < 0 || forced >= kThreadsMost) return answer;
  for (const bool times_out : {false, true}) {
    if ((choices & bit_of(forced, times_out)) != 0) return forced * 2 + (times_out ? 1 : 0);
  }
  return answer;
}

}  // namespace lockstep::foreign
