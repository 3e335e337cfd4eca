// coroutines.cc: the list of roots.
#include "engine/task/coroutines.h"

#include "kv/base/mutex.h"

extern "C" {
// "LOCKSTEP-TASKS" also tells a debugger that the symbol is this one.
lockstep::debugging::CoroutineRoots lockstep_coroutines = {.magic = "LOCKSTEP-TASKS",
                                                           .version = lockstep::debugging::kCoroutinesVersion,
                                                           .size = sizeof(lockstep::debugging::CoroutineRoots),
                                                           .first = nullptr};
}

namespace lockstep::debugging {
namespace {

Mutex& roots_mutex() {
  static Mutex mutex;
  return mutex;
}

}  // namespace

RootGroup::RootGroup() noexcept {
  MutexLock lock(roots_mutex());
  next = lockstep_coroutines.first;
  if (next != nullptr) next->previous = this;
  lockstep_coroutines.first = this;
}

RootGroup::~RootGroup() {
  MutexLock lock(roots_mutex());
  (previous == nullptr ? lockstep_coroutines.first : previous->next) = next;
  if (next != nullptr) next->previous = previous;
}

}  // namespace lockstep::debugging
