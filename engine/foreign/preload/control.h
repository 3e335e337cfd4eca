// control.h: the turns of a program's threads, inside the program.
//
// One thread runs at a time. It runs on until it stands before its next operation; there it gives up its turn, and goes
// on when it is its turn again. Everything here is called by the thread that has the turn.
//
// The library uses libc and nothing else: no allocation, no exceptions, no C++ runtime. It may be loaded into any
// program.
#pragma once

#include <dlfcn.h>

#include <cstdint>

#include "engine/foreign/model/board.h"

#define LOCKSTEP_EXPORTED extern "C" __attribute__((visibility("default")))
#define LOCKSTEP_CALLER reinterpret_cast<std::uint64_t>(__builtin_return_address(0))

namespace lockstep::foreign {

extern SharedBoard* board;  ///< nullptr: nobody controls this program
extern bool controlled;     ///< in a run, between the begin of main and the end of the process
/// The thread's index; -1: it is none of those that pthread_create made.
extern thread_local int self __attribute__((tls_model("initial-exec")));

/// True when the calling thread's operations are steps of the model.
inline bool is_controlled() noexcept { return controlled && self >= 0; }

/// The function that this one stands in front of.
template <class Function>
Function* next_function(const char* name, const char* version = nullptr) noexcept {
  void* found = version == nullptr ? nullptr : ::dlvsym(RTLD_NEXT, name, version);
  if (found == nullptr) found = ::dlsym(RTLD_NEXT, name);
  return reinterpret_cast<Function*>(found);
}

/// Stands before the operation until it is this thread's turn, and takes it. Answers what its function is to answer.
std::int32_t stand_before(const Operation& operation) noexcept;

/// How often the calling thread has stood before an operation.
std::uint32_t own_operations() noexcept;

/// What is touched now belongs to this.
Touches& touches_now() noexcept;

/// They were let go by what the calling thread has done, a bit each: they go on when it stands before its next
/// operation.
void run_after(std::uint32_t threads) noexcept;

/// A thread has been made: it runs up to its first operation, then this one goes on.
void run_first(int thread) noexcept;
/// Waits for the first turn of a thread that has just been made.
void wait_for_turn() noexcept;
/// The calling thread has ended: others go on.
void leave_turns() noexcept;

/// Says why the program cannot be controlled any further, and never comes back. `what` is for people.
[[noreturn]] void refuse(Refusal why, const char* what, std::uint64_t caller) noexcept;

/// The index of the nth thread that `parent` makes. Refuses when there are too many.
int index_of(int parent, int nth, std::uint64_t caller) noexcept;

/// Virtual time.
inline constexpr std::int64_t kRealBase = 1'767'225'600'000'000'000;  ///< 2026-01-01
inline constexpr std::int64_t kMonotonicBase = 1'000'000'000'000;

std::int64_t futex(std::atomic<std::uint32_t>* word, int what, std::uint32_t value) noexcept;

}  // namespace lockstep::foreign
