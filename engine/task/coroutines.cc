// coroutines.cc: the list of roots in the registry.
#include "engine/task/coroutines.h"

#include "engine/gdb/registry.h"
#include "kv/base/mutex.h"

namespace lockstep::debugging {
namespace {

Mutex& roots_mutex() {
  static Mutex mutex;
  return mutex;
}

}  // namespace

RootGroup::RootGroup() noexcept {
  MutexLock lock(roots_mutex());
  next = lockstep_registry.coroutines;
  if (next != nullptr) next->previous = this;
  lockstep_registry.coroutines = this;
}

RootGroup::~RootGroup() {
  MutexLock lock(roots_mutex());
  (previous == nullptr ? lockstep_registry.coroutines : previous->next) = next;
  if (next != nullptr) next->previous = previous;
}

}  // namespace lockstep::debugging
