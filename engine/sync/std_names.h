// std_names.h: engine/sync under the names of the C++ standard library, for bodies that are copied from a program:
//
//   std::mutex m;                          std_names::mutex m{"m"};
//   std::lock_guard guard(m);              const std_names::lock_guard guard = co_await m.lock();
//   changed.wait(lock);                    co_await changed.wait(lock);
//   std::call_once(flag, connect);         co_await std_names::call_once(flag, connect(c));
//   worker.join();                         co_await std_names::join("worker");
//
// Each thing has a name for people, and whatever may wait is awaited. The rest reads as it did. A recursive mutex has
// no counterpart: to lock again what one holds is a wait for oneself.
#pragma once

#include <utility>

#include "engine/sync/join.h"
#include "engine/sync/once.h"
#include "engine/sync/pool.h"
#include "engine/sync/sync.h"

namespace lockstep::std_names {

using mutex = sync::Mutex;
using timed_mutex = sync::TimedMutex;
using shared_mutex = sync::SharedMutex;
using shared_timed_mutex = sync::SharedMutex;
using lock_guard = sync::Guard;
using unique_lock = sync::Guard;
using shared_lock = sync::Guard;
using condition_variable = sync::CondVar;
using counting_semaphore = sync::Semaphore;
using binary_semaphore = sync::Semaphore;
template <class T>
using atomic = sync::Shared<T>;
using future = sync::Future;
using once_flag = sync::Once;

inline Task<> call_once(once_flag& flag, Task<> body) { return flag.call(std::move(body)); }
using sync::join;

}  // namespace lockstep::std_names
