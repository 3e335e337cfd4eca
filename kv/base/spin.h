// spin.h: a short wait before a long one. To park a thread and to wake it again costs tens of microseconds, which is
// longer than most locks are held.
#pragma once

#include <atomic>
#include <chrono>
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

/// Calls `ready` until it answers true, for about as long as it costs to park and to be woken. So a wait costs at worst
/// twice as much as it must. False when `ready` has never answered true. (Not less after waits that were long: a thread
/// that parks makes its locks last longer, and so the waits of the others.)
template <class Ready>
bool spin_until(Ready ready) noexcept {
  constexpr auto kLongest = std::chrono::microseconds(8);
  constexpr int kLooks = 32;  // between two looks at the clock
  if (ready()) return true;
  if (!spinning_helps()) return false;
  const auto end = std::chrono::steady_clock::now() + kLongest;
  do {
    for (int i = 0; i < kLooks; ++i) {
      spin_pause();
      if (ready()) return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

/// A mutex for a few instructions that hardly anybody else wants: half the price of a Mutex, since it is given back by
/// a plain store. Who waits yields, so it is no place for long work.
class LOCKSTEP_ANNOTATION(capability("mutex")) SpinMutex {
 public:
  void lock() LOCKSTEP_ANNOTATION(acquire_capability()) {
    while (taken_.exchange(true, std::memory_order_acquire)) {
      for (int i = 0; i < 64 && taken_.load(std::memory_order_relaxed); ++i) spin_pause();
      if (taken_.load(std::memory_order_relaxed)) std::this_thread::yield();
    }
  }
  void unlock() LOCKSTEP_ANNOTATION(release_capability()) { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

/// Holds a SpinMutex for a scope.
class LOCKSTEP_ANNOTATION(scoped_lockable) SpinMutexLock {
 public:
  explicit SpinMutexLock(SpinMutex& mutex) LOCKSTEP_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~SpinMutexLock() LOCKSTEP_ANNOTATION(release_capability()) { mutex_.unlock(); }
  SpinMutexLock(const SpinMutexLock&) = delete;
  SpinMutexLock& operator=(const SpinMutexLock&) = delete;

 private:
  SpinMutex& mutex_;
};

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
    if (!spin_until([&mutex]() LOCKSTEP_NO_ANALYSIS { return mutex.try_lock(); })) mutex.lock();
  }

  Mutex& mutex_;
};

}  // namespace lockstep::kv
