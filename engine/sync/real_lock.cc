// real_lock.cc: Boost's mutexes behind one face.
// Boost gives shared_mutex the conversion from shared to exclusive only on request.
#define BOOST_THREAD_PROVIDES_SHARED_MUTEX_UPWARDS_CONVERSIONS
#include "engine/sync/real_lock.h"

#include <boost/chrono/duration.hpp>
#include <boost/thread/mutex.hpp>
#include <boost/thread/shared_mutex.hpp>

#include "kv/base/check.h"

namespace lockstep::sync {
namespace {

boost::chrono::nanoseconds boosted(Nanos span) { return boost::chrono::nanoseconds(span.count()); }

class RealMutex final : public RealLock {
 public:
  bool is_exclusive() const noexcept override { return true; }
  bool try_lock(LockMode mode) override {
    check_exclusive(mode);
    return mutex_.try_lock();
  }
  bool try_lock_for(LockMode mode, Nanos span) override {
    check_exclusive(mode);
    return mutex_.try_lock_for(boosted(span));
  }
  void unlock(LockMode mode) override {
    check_exclusive(mode);
    mutex_.unlock();
  }
  bool try_upgrade_for(LockMode from, Nanos) override {
    check_exclusive(from);
    return true;
  }
  void downgrade(LockMode, LockMode to) override { check_exclusive(to); }

 private:
  static void check_exclusive(LockMode mode) {
    LOCKSTEP_CHECK(mode == LockMode::exclusive, "a mutex has no {} mode", name_of(mode));
  }

  boost::timed_mutex mutex_;
};

class RealSharedMutex final : public RealLock {
 public:
  bool is_exclusive() const noexcept override { return false; }
  bool try_lock(LockMode mode) override {
    switch (mode) {
      case LockMode::shared:
        return mutex_.try_lock_shared();
      case LockMode::upgrade:
        return mutex_.try_lock_upgrade();
      case LockMode::exclusive:
        break;
    }
    return mutex_.try_lock();
  }

  bool try_lock_for(LockMode mode, Nanos span) override {
    switch (mode) {
      case LockMode::shared:
        return mutex_.try_lock_shared_for(boosted(span));
      case LockMode::upgrade:
        return mutex_.try_lock_upgrade_for(boosted(span));
      case LockMode::exclusive:
        break;
    }
    return mutex_.try_lock_for(boosted(span));
  }

  void unlock(LockMode mode) override {
    switch (mode) {
      case LockMode::shared:
        return mutex_.unlock_shared();
      case LockMode::upgrade:
        return mutex_.unlock_upgrade();
      case LockMode::exclusive:
        return mutex_.unlock();
    }
  }

  // Not Boost's try_unlock_..._and_lock(): they fail while a writer blocks in the lock, though that writer waits for
  // us.
  bool try_upgrade_for(LockMode from, Nanos span) override {
    if (from == LockMode::upgrade) return mutex_.try_unlock_upgrade_and_lock_for(boosted(span));
    return mutex_.try_unlock_shared_and_lock_for(boosted(span));
  }

  void downgrade(LockMode from, LockMode to) override {
    if (from == LockMode::exclusive && to == LockMode::shared) return mutex_.unlock_and_lock_shared();
    if (from == LockMode::exclusive && to == LockMode::upgrade) return mutex_.unlock_and_lock_upgrade();
    if (from == LockMode::upgrade && to == LockMode::shared) return mutex_.unlock_upgrade_and_lock_shared();
    LOCKSTEP_CHECK(from == to, "{} is no downgrade of {}", name_of(to), name_of(from));
  }

 private:
  boost::upgrade_mutex mutex_;
};

}  // namespace

std::string_view name_of(LockMode mode) noexcept {
  switch (mode) {
    case LockMode::shared:
      return "shared";
    case LockMode::upgrade:
      return "upgrade";
    case LockMode::exclusive:
      break;
  }
  return "exclusive";
}

std::unique_ptr<RealLock> make_real_mutex() { return std::make_unique<RealMutex>(); }
std::unique_ptr<RealLock> make_real_shared_mutex() { return std::make_unique<RealSharedMutex>(); }

}  // namespace lockstep::sync
