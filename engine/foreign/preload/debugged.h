// debugged.h: a run under a debugger: it stops where gdb's commands want it to (engine/gdb/lockstep.py).
#pragma once

#include <cstdint>

namespace lockstep::foreign {

/// What kStepVariable says; without it the largest there is.
std::uint32_t step_in(char** environment) noexcept;
/// Before main.
void begin_under_debugger(std::uint32_t stop_at) noexcept;
/// After a question: stops where that is wanted, and answers what the debugger has chosen instead. With no choice the
/// run ends here.
int let_debugger_choose(std::uint64_t choices, int answer) noexcept;

}  // namespace lockstep::foreign
