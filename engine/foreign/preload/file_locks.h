// file_locks.h: threads that wait for the lock of a file: flock, fcntl, lockf.
#pragma once

#include <cstdint>

namespace lockstep::foreign {

/// Asks the kernel for the lock that the thread stands before. False: it is to wait.
bool ask_for_file_lock(int thread) noexcept;
/// True when some thread waits for a lock that no thread of this process has.
bool may_file_lock_come() noexcept;
/// Lets those go on that have got such a lock. False: none has.
bool has_file_lock_come() noexcept;

/// What is locked by way of this descriptor; 0: nothing. For before it is closed.
std::uint64_t file_locked_by(int file) noexcept;
/// The descriptor has been closed.
void give_file_lock_back(int file, std::uint64_t object) noexcept;

}  // namespace lockstep::foreign
