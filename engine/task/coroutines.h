// coroutines.h: where suspended coroutines stand and which task awaits which, as plain data for debuggers. They read it
// on a live process, an attached one and a core file alike. (A debugger sees the stacks of threads only, and a
// suspended coroutine is on none.)
//
// The program keeps it up to date by plain stores into what is there anyway: the promise of a task, and the strand or
// actor that the task belongs to. lockstep.py reads it as bytes, from lockstep_coroutines on:
//
//   CoroutineGroup ──first──▶ Coroutine ──next──▶ Coroutine …        the roots, or the children of a group
//                                 ├──innermost──▶ TaskFrame ──awaiter──▶ TaskFrame … the logical stack, to the root
//                                 task └──groups──▶ CoroutineGroup …       those that its frames hold
//                                 (runtime/group.h)
//
// A change of a layout here is a change of kCoroutinesVersion and of the script (engine/gdb/lockstep.py).
#pragma once

#include <cstdint>
#include <source_location>

namespace lockstep::debugging {

/// In the promise of every task.
struct TaskFrame {
  TaskFrame* awaiter = nullptr;  ///< the task that awaits this one; nullptr: the root of its coroutine
  std::source_location at;       ///< its latest `co_await`: file, line, function
};
// One pointer to a constant {const char* file; const char* function; unsigned line; unsigned column}: what the
// compilers'
// __builtin_source_location() gives, with libstdc++ and libc++ alike.
// CoroutinesInGdb.ALocationIsLaidOutAsTheScriptReadsIt
static_assert(sizeof(std::source_location) == sizeof(void*));

struct CoroutineGroup;

/// One coroutine with everything that it awaits: an actor, or a strand on a loop.
struct Coroutine {
  Coroutine* next = nullptr;  ///< in its group
  Coroutine* previous = nullptr;
  CoroutineGroup* groups = nullptr;      ///< the innermost of those that it has made
  const TaskFrame* innermost = nullptr;  ///< what it is suspended in; nullptr: it runs, or has not begun
  const char* label = "";
  std::uint32_t number = 0;  ///< of several with the same label; 0 = none
};

/// The coroutines that were begun in one place, the latest first.
struct CoroutineGroup {
  CoroutineGroup* next = nullptr;  ///< of the same owner
  CoroutineGroup* previous = nullptr;
  Coroutine* first = nullptr;

  void add(Coroutine& coroutine) noexcept {
    coroutine.previous = nullptr;
    coroutine.next = first;
    if (first != nullptr) first->previous = &coroutine;
    first = &coroutine;
  }
  void remove(Coroutine& coroutine) noexcept {
    (coroutine.previous == nullptr ? first : coroutine.previous->next) = coroutine.next;
    if (coroutine.next != nullptr) coroutine.next->previous = coroutine.previous;
  }
};

inline constexpr std::uint32_t kCoroutinesVersion = 1;

/// The roots of all coroutines of the program.
struct CoroutineRoots {
  char magic[16];         ///< "LOCKSTEP-TASKS"
  std::uint32_t version;  ///< kCoroutinesVersion
  std::uint32_t size;     ///< of this structure, in bytes
  CoroutineGroup* first;
};

/// A group of coroutines that nobody awaits, shown in lockstep_coroutines for as long as it lives. Belongs to one
/// thread, but for its making and its end.
class RootGroup : public CoroutineGroup {
 public:
  RootGroup() noexcept;
  ~RootGroup();
  RootGroup(const RootGroup&) = delete;
  RootGroup& operator=(const RootGroup&) = delete;
};

}  // namespace lockstep::debugging

extern "C" {
/// Where a debugger begins to read.
extern lockstep::debugging::CoroutineRoots lockstep_coroutines;
}
