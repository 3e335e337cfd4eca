// crash.h: what a signal that ends the process has met.
#pragma once

namespace lockstep::foreign {

/// In the server, before the first run: looks for what reads stacks.
void prepare_for_crashes() noexcept;
/// In a run, before its main: signals that end a process are seen, unless the program has asked for them before.
void watch_for_crashes() noexcept;
/// In a thread, first of all: a stack of its own for the case that it has used up the other one.
void keep_stack_for_crash() noexcept;

}  // namespace lockstep::foreign
