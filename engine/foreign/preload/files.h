// files.h: threads that stand before a file that has nothing for them yet.
#pragma once

namespace lockstep::foreign {

/// Before the choices are looked at: which threads at files could go on now.
void look_at_files() noexcept;
/// When no thread can go: waits for what comes from outside of the process. False: nobody waits for such a thing.
bool wait_for_outside() noexcept;

}  // namespace lockstep::foreign
