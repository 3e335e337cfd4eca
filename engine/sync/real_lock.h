// real_lock.h: the lock of Boost.Thread that stands under an in-process lock while actors have threads of their own.
//
// A narrow face, so that the model (lock_core.h) need not know which of Boost's mutexes it drives. The calls are thin:
// a debugger shows the frame of the real lock one below them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "kv/base/clock.h"

namespace lockstep::sync {

/// How a lock is held. Two holds of different actors go together when both are shared, or one is shared and one
/// upgrade.
enum class LockMode : std::uint8_t {
  shared,     ///< with other readers, and with one upgrader
  upgrade,    ///< with readers; the only hold that may become exclusive without first giving the lock back
  exclusive,  ///< alone
};

std::string_view name_of(LockMode mode) noexcept;

/// True when two actors may hold these modes at the same time.
constexpr bool compatible(LockMode a, LockMode b) noexcept {
  if (a == LockMode::shared) return b != LockMode::exclusive;
  return a == LockMode::upgrade && b == LockMode::shared;
}

/// Thread-safe. A thread that takes a mode must give it back itself.
class RealLock {
 public:
  virtual ~RealLock() = default;

  /// True when it can only be held by one at a time.
  virtual bool is_exclusive() const noexcept = 0;
  /// Never blocks.
  virtual bool try_lock(LockMode mode) = 0;
  /// Blocks the thread for at most `span`.
  virtual bool try_lock_for(LockMode mode, Nanos span) = 0;
  virtual void unlock(LockMode mode) = 0;
  /// From `from` up to exclusive, for at most `span`; at 0 it does not block. False: `from` is still held.
  virtual bool try_upgrade_for(LockMode from, Nanos span) = 0;
  /// From `from` to a weaker mode; never blocks.
  virtual void downgrade(LockMode from, LockMode to) = 0;
};

/// boost::timed_mutex; exclusive only.
std::unique_ptr<RealLock> make_real_mutex();
/// boost::upgrade_mutex, which is boost::shared_mutex as well: all modes.
std::unique_ptr<RealLock> make_real_shared_mutex();

}  // namespace lockstep::sync
