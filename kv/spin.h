// spin.h: a short wait before a long one. To park a thread and to wake it again costs tens of microseconds, which is
// longer than most locks are held.
#pragma once

#include <thread>

#include "kv/base/mutex.h"

namespace lockstep::kv {

/// Tells the processor that this thread looks at the same place again and again.
inline void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// On one processor nobody can end a wait while the waiting thread spins.
inline bool spinning_helps() noexcept {
  static const bool helps = std::thread::hardware_concurrency() > 1;
  return helps;
}

/// MutexLock for a mutex that is held for less than a microsecond at a time: spins a little before it parks.
class LOCKSTEP_ANNOTATION(scoped_lockable) SpinningLock {
 public:
  explicit SpinningLock(Mutex& mutex) LOCKSTEP_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) { acquire(mutex); }
  ~SpinningLock() LOCKSTEP_ANNOTATION(release_capability()) { mutex_.unlock(); }
  SpinningLock(const SpinningLock&) = delete;
  SpinningLock& operator=(const SpinningLock&) = delete;

 private:
  // Locks in one of two ways, which the analysis cannot follow.
  static void acquire(Mutex& mutex) LOCKSTEP_NO_ANALYSIS {
    constexpr int kSpins = 64;
    if (mutex.try_lock()) return;
    for (int spins = 0; spins < kSpins && spinning_helps(); ++spins) {
      spin_pause();
      if (mutex.try_lock()) return;
    }
    mutex.lock();
  }

  Mutex& mutex_;
};

}  // namespace lockstep::kv
