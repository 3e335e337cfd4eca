// sync.h: in-process locks for scenario bodies: mutexes, condition variable, semaphore. (The banker's manager:
// banker.h.)
//
//   struct Table { sync::Mutex left{"left fork"}, right{"right fork"}; };     // the scenario's world: .with<Table>()
//
//   Task<> eat(Context& c) {
//     auto& table = c.world<Table>();
//     sync::Guard left = co_await table.left.lock();      // waits: one step of the schedule
//     sync::Guard right = co_await table.right.lock();
//     co_await right.unlock();                            // a step; at the end of its scope a guard unlocks by itself
//   }
//
// Semantics are the same on every executor (sync/lock_core.h): first come, first served. Free threads are the
// exception: Boost's lock decides, and a mutex may be barged. On the threads executor Boost's own locks are underneath,
// so debuggers and race detectors see what they would see in a user's program.
//
// Mistakes. To lock again what one holds is a wait for oneself: a cycle of length one. What a guard does not hold
// cannot be unlocked (Fault::invalid). A lock that is destroyed while somebody holds it or waits for it ends the
// program (LOCKSTEP_CHECK).
//
// Every lock is thread-safe, has a name for people, outlives the guards and operations on it, and is neither copied nor
// moved. lockstep::Mutex (kv/base/mutex.h) is something else: the program's own.
#pragma once

#include <source_location>
#include <string>

#include "engine/sync/condition.h"
#include "engine/sync/lock.h"
#include "engine/sync/semaphore.h"
#include "engine/sync/shared.h"

namespace lockstep::sync {

/// A mutex: one holder at a time, not recursive. On threads: boost::timed_mutex.
class Mutex {
 public:
  Mutex(std::string name) : core_(std::move(name), make_real_mutex()) {}  // implicit: arrays

  const std::string& name() const noexcept { return core_.name(); }
  LockCore& core() noexcept { return core_; }

  /// Waits until it is held.
  LockOperation lock(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::exclusive, LockOperation::Patience::waits, kNever, where};
  }
  /// Gives an empty guard when it cannot be had at once.
  LockOperation try_lock(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::exclusive, LockOperation::Patience::tries, kNever, where};
  }

 private:
  LockCore core_;
};

/// A mutex that one can wait for with a limit.
class TimedMutex : public Mutex {
 public:
  using Mutex::Mutex;

  /// Ends the task with Fault::lock_timeout when it is not held within `limit` of the run's clock.
  LockOperation lock_for(Nanos limit, std::source_location where = std::source_location::current()) {
    return {core(), LockMode::exclusive, LockOperation::Patience::waits, limit, where};
  }
  /// Gives an empty guard instead.
  LockOperation try_lock_for(Nanos limit, std::source_location where = std::source_location::current()) {
    return {core(), LockMode::exclusive, LockOperation::Patience::waits_or_empty, limit, where};
  }
};

/// Many readers or one writer. A reader queues behind a waiting writer. So a reader that reads again while a writer
/// waits closes a cycle: it waits for the writer, and the writer for it. On threads: boost::shared_mutex.
class SharedMutex {
 public:
  SharedMutex(std::string name) : core_(std::move(name), make_real_shared_mutex()) {}

  const std::string& name() const noexcept { return core_.name(); }
  LockCore& core() noexcept { return core_; }

  LockOperation lock(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::exclusive, LockOperation::Patience::waits, kNever, where};
  }
  LockOperation try_lock(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::exclusive, LockOperation::Patience::tries, kNever, where};
  }
  LockOperation lock_for(Nanos limit, std::source_location where = std::source_location::current()) {
    return {core_, LockMode::exclusive, LockOperation::Patience::waits, limit, where};
  }
  LockOperation lock_shared(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::shared, LockOperation::Patience::waits, kNever, where};
  }
  LockOperation try_lock_shared(std::source_location where = std::source_location::current()) {
    return {core_, LockMode::shared, LockOperation::Patience::tries, kNever, where};
  }
  LockOperation lock_shared_for(Nanos limit, std::source_location where = std::source_location::current()) {
    return {core_, LockMode::shared, LockOperation::Patience::waits, limit, where};
  }

  /// From shared (or upgrade) to exclusive without letting go: waits until the others have left. Two readers that both
  /// do so wait for each other for ever; an UpgradeMutex exists to prevent that.
  ConvertOperation upgrade(Guard& guard, std::source_location where = std::source_location::current()) {
    return {core_, guard, LockMode::exclusive, kNever, where};
  }
  /// upgrade() that ends the task with Fault::lock_timeout at the limit.
  ConvertOperation upgrade_for(Guard& guard, Nanos limit,
                               std::source_location where = std::source_location::current()) {
    return {core_, guard, LockMode::exclusive, limit, where};
  }
  /// From exclusive (or upgrade) to shared; never waits.
  ConvertOperation downgrade(Guard& guard, std::source_location where = std::source_location::current()) {
    return {core_, guard, LockMode::shared, kNever, where};
  }

 private:
  LockCore core_;
};

/// A shared mutex with one upgrader among the readers. Only the upgrader may become exclusive, so two readers cannot
/// wait for each other. On threads: boost::upgrade_mutex.
class UpgradeMutex : public SharedMutex {
 public:
  using SharedMutex::SharedMutex;

  LockOperation lock_upgrade(std::source_location where = std::source_location::current()) {
    return {core(), LockMode::upgrade, LockOperation::Patience::waits, kNever, where};
  }
  LockOperation try_lock_upgrade(std::source_location where = std::source_location::current()) {
    return {core(), LockMode::upgrade, LockOperation::Patience::tries, kNever, where};
  }
  LockOperation lock_upgrade_for(Nanos limit, std::source_location where = std::source_location::current()) {
    return {core(), LockMode::upgrade, LockOperation::Patience::waits, limit, where};
  }
  /// From exclusive to upgrade; never waits.
  ConvertOperation downgrade_to_upgrade(Guard& guard, std::source_location where = std::source_location::current()) {
    return {core(), guard, LockMode::upgrade, kNever, where};
  }
};

}  // namespace lockstep::sync
