// threads.h: what control.cc needs of the threads that the program makes.
#pragma once

namespace lockstep::foreign {

/// In the server, before the first run.
void prepare_threads() noexcept;
/// In a thread that is under control, first of all.
void begin_thread() noexcept;

}  // namespace lockstep::foreign
