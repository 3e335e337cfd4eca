// mutex.h: a mutex that clang's thread-safety analysis understands (libstdc++'s own carries no annotations).
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define LOCKSTEP_ANNOTATION(x) __attribute__((x))
#else
#define LOCKSTEP_ANNOTATION(x)
#endif

/// The annotated thing may be touched only while the named mutex is held.
#define LOCKSTEP_GUARDED_BY(x) LOCKSTEP_ANNOTATION(guarded_by(x))
/// The function may be called only while the named mutexes are held.
#define LOCKSTEP_REQUIRES(...) LOCKSTEP_ANNOTATION(requires_capability(__VA_ARGS__))
/// The function must not be called while the named mutexes are held.
#define LOCKSTEP_EXCLUDES(...) LOCKSTEP_ANNOTATION(locks_excluded(__VA_ARGS__))
/// The analysis cannot follow this function; a comment beside it says why it is right.
#define LOCKSTEP_NO_ANALYSIS LOCKSTEP_ANNOTATION(no_thread_safety_analysis)

namespace lockstep {

/// std::mutex with annotations.
class LOCKSTEP_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() LOCKSTEP_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() LOCKSTEP_ANNOTATION(release_capability()) { mutex_.unlock(); }
  bool try_lock() LOCKSTEP_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class LOCKSTEP_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LOCKSTEP_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() LOCKSTEP_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition variable for Mutex. Wait in a `while` loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) LOCKSTEP_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// Waits at most until `deadline` of the steady clock; false when it passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) LOCKSTEP_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace lockstep
