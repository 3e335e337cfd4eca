// gate.h: boost::mutex and the boost::condition_variable that belongs to it, as one annotated thing.
//
// What condition variables, semaphores and the banker's manager are made of on the threads executor, as a user's own
// would be. On the others nobody waits in it, and only the mutex is used.
#pragma once

#include <boost/thread/condition_variable.hpp>
#include <boost/thread/mutex.hpp>

#include "kv/base/clock.h"
#include "kv/base/mutex.h"

namespace lockstep::sync {

class LOCKSTEP_ANNOTATION(capability("mutex")) Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void lock() LOCKSTEP_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() LOCKSTEP_ANNOTATION(release_capability()) { mutex_.unlock(); }

  /// Gives the mutex back, sleeps until somebody calls notify_all(), `span` is over or the thread is interrupted, and
  /// takes it again. May also return for no reason.
  void sleep(Nanos span) LOCKSTEP_REQUIRES(this);
  void notify_all() noexcept { changed_.notify_all(); }

 private:
  boost::mutex mutex_;
  boost::condition_variable changed_;
};

/// Holds a Gate for a scope.
class LOCKSTEP_ANNOTATION(scoped_lockable) GateLock {
 public:
  explicit GateLock(Gate& gate) LOCKSTEP_ANNOTATION(acquire_capability(gate)) : gate_(gate) { gate_.lock(); }
  ~GateLock() LOCKSTEP_ANNOTATION(release_capability()) { gate_.unlock(); }
  GateLock(const GateLock&) = delete;
  GateLock& operator=(const GateLock&) = delete;

 private:
  Gate& gate_;
};

}  // namespace lockstep::sync
