// signals.h: threads that wait for a signal to be sent.
#pragma once

namespace lockstep::foreign {

/// True when a signal that the thread waits for is pending.
bool is_signal_there(int thread) noexcept;
/// True when some thread waits for a signal, and a timer of the program may send one.
bool may_signal_come() noexcept;
/// Lets those go on whose signal has come by itself. False: none has.
bool has_signal_come() noexcept;

}  // namespace lockstep::foreign
