// locks.cc: mutexes, condition variables, reader-writer locks, semaphores, barriers, spin locks, once.
//
// Under control none of glibc's own is called but to initialise and destroy: the model stands for them.
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "engine/foreign/preload/clock.h"
#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

constexpr const char* kConditions = "GLIBC_2.3.2";  ///< of the functions on today's pthread_cond_t

std::uint64_t address(const volatile void* object) noexcept { return reinterpret_cast<std::uint64_t>(object); }

MutexKind kind_of(const pthread_mutex_t* mutex, std::uint64_t caller) noexcept {
  const int kind = mutex->__data.__kind;
  constexpr int kRobust = 16;
  if ((kind & kRobust) != 0) refuse(Refusal::unsupported, "a robust mutex", caller);
  switch (kind & 3) {
    case PTHREAD_MUTEX_RECURSIVE:
      return MutexKind::recursive;
    case PTHREAD_MUTEX_ERRORCHECK:
      return MutexKind::checked;
    default:
      return MutexKind::normal;
  }
}

int lock(pthread_mutex_t* mutex, Persistence patience, std::int64_t deadline, std::uint64_t caller) noexcept {
  return stand_before({.verb = Act::lock,
                       .patience = patience,
                       .kind = kind_of(mutex, caller),
                       .object = address(mutex),
                       .deadline = deadline,
                       .caller = caller});
}

int wait(pthread_cond_t* condition, pthread_mutex_t* mutex, Persistence patience, std::int64_t deadline,
         std::uint64_t caller) noexcept {
  return stand_before({.verb = Act::wait,
                       .patience = patience,
                       .kind = kind_of(mutex, caller),
                       .object = address(condition),
                       .mutex = address(mutex),
                       .deadline = deadline,
                       .caller = caller});
}

int on(Act verb, const volatile void* object, Persistence patience, std::int64_t deadline,
       std::uint64_t caller) noexcept {
  return stand_before(
      {.verb = verb, .patience = patience, .object = address(object), .deadline = deadline, .caller = caller});
}

/// How a semaphore answers.
int with_errno(int error) noexcept {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

std::int64_t deadline_of(const pthread_cond_t* condition, const timespec* until) noexcept {
  constexpr unsigned kMonotonic = 2;  // as pthread_condattr_setclock leaves it
  return virtual_time((condition->__data.__wrefs & kMonotonic) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME, until);
}

/// The semaphore as the model knows it. One that was made before main is taken over with its value.
void know_semaphore(sem_t* semaphore) noexcept {
  static auto* const value_of = next_function<int(sem_t*, int*)>("sem_getvalue");
  int value = 0;
  if (value_of(semaphore, &value) != 0 || value <= 0) return;
  // From now on its value is the model's.
  static auto* const take = next_function<int(sem_t*)>("sem_trywait");
  std::uint32_t known = board->model.semaphore(address(semaphore));
  while (take(semaphore) == 0) ++known;
  board->model.sets_semaphore(address(semaphore), known);
}

}  // namespace
}  // namespace lockstep::foreign

using namespace lockstep::foreign;

/// The next function in line, when the calling thread is not under control.
#define LOCKSTEP_UNLESS_CONTROLLED(NAME, VERSION, TYPE, ...)    \
  static auto* const next = next_function<TYPE>(NAME, VERSION); \
  if (!is_controlled()) return next(__VA_ARGS__)

// -- mutexes --

LOCKSTEP_EXPORTED int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) noexcept {
  static auto* const next = next_function<int(pthread_mutex_t*, const pthread_mutexattr_t*)>("pthread_mutex_init");
  if (is_controlled()) board->model.forgets(address(mutex));
  return next(mutex, attributes);
}

LOCKSTEP_EXPORTED int pthread_mutex_destroy(pthread_mutex_t* mutex) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_destroy", nullptr, int(pthread_mutex_t*), mutex);
  if (board->model.is_held(address(mutex))) return EBUSY;
  return next(mutex);
}

LOCKSTEP_EXPORTED int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_lock", nullptr, int(pthread_mutex_t*), mutex);
  return lock(mutex, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_trylock", nullptr, int(pthread_mutex_t*), mutex);
  return lock(mutex, Persistence::tries, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_timedlock", nullptr, int(pthread_mutex_t*, const timespec*), mutex, until);
  return lock(mutex, Persistence::timed, virtual_time(CLOCK_REALTIME, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_clocklock", nullptr, int(pthread_mutex_t*, clockid_t, const timespec*),
                             mutex, clock, until);
  return lock(mutex, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_mutex_unlock", nullptr, int(pthread_mutex_t*), mutex);
  return stand_before({.verb = Act::unlock,
                       .kind = kind_of(mutex, LOCKSTEP_CALLER),
                       .object = address(mutex),
                       .caller = LOCKSTEP_CALLER});
}

// -- condition variables --

LOCKSTEP_EXPORTED int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_wait", kConditions, int(pthread_cond_t*, pthread_mutex_t*), condition,
                             mutex);
  return wait(condition, mutex, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_timedwait", kConditions,
                             int(pthread_cond_t*, pthread_mutex_t*, const timespec*), condition, mutex, until);
  return wait(condition, mutex, Persistence::timed, deadline_of(condition, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                             const timespec* until) {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_clockwait", nullptr,
                             int(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*), condition, mutex,
                             clock, until);
  return wait(condition, mutex, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_signal", kConditions, int(pthread_cond_t*), condition);
  return on(Act::signal, condition, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_broadcast", kConditions, int(pthread_cond_t*), condition);
  return on(Act::broadcast, condition, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_cond_destroy(pthread_cond_t* condition) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_cond_destroy", kConditions, int(pthread_cond_t*), condition);
  return 0;  // glibc's would wait for waiters that it does not know
}

// -- reader-writer locks --

LOCKSTEP_EXPORTED int pthread_rwlock_init(pthread_rwlock_t* lock, const pthread_rwlockattr_t* attributes) noexcept {
  static auto* const next = next_function<int(pthread_rwlock_t*, const pthread_rwlockattr_t*)>("pthread_rwlock_init");
  if (is_controlled()) board->model.forgets(address(lock));
  return next(lock, attributes);
}

LOCKSTEP_EXPORTED int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_rdlock", nullptr, int(pthread_rwlock_t*), lock);
  return on(Act::rdlock, lock, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_tryrdlock", nullptr, int(pthread_rwlock_t*), lock);
  return on(Act::rdlock, lock, Persistence::tries, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_timedrdlock", nullptr, int(pthread_rwlock_t*, const timespec*), lock,
                             until);
  return on(Act::rdlock, lock, Persistence::timed, virtual_time(CLOCK_REALTIME, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock,
                                                 const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_clockrdlock", nullptr, int(pthread_rwlock_t*, clockid_t, const timespec*),
                             lock, clock, until);
  return on(Act::rdlock, lock, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_wrlock", nullptr, int(pthread_rwlock_t*), lock);
  return on(Act::wrlock, lock, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_trywrlock", nullptr, int(pthread_rwlock_t*), lock);
  return on(Act::wrlock, lock, Persistence::tries, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_timedwrlock", nullptr, int(pthread_rwlock_t*, const timespec*), lock,
                             until);
  return on(Act::wrlock, lock, Persistence::timed, virtual_time(CLOCK_REALTIME, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock,
                                                 const timespec* until) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_clockwrlock", nullptr, int(pthread_rwlock_t*, clockid_t, const timespec*),
                             lock, clock, until);
  return on(Act::wrlock, lock, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_rwlock_unlock", nullptr, int(pthread_rwlock_t*), lock);
  return on(Act::rwunlock, lock, Persistence::waits, 0, LOCKSTEP_CALLER);
}

// -- semaphores --

LOCKSTEP_EXPORTED int sem_init(sem_t* semaphore, int shared, unsigned int value) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("sem_init", nullptr, int(sem_t*, int, unsigned int), semaphore, shared, value);
  const int failed = next(semaphore, shared, 0);
  if (failed != 0) return failed;
  board->model.forgets(address(semaphore));
  board->model.sets_semaphore(address(semaphore), value);
  return 0;
}

LOCKSTEP_EXPORTED int sem_getvalue(sem_t* semaphore, int* value) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("sem_getvalue", nullptr, int(sem_t*, int*), semaphore, value);
  know_semaphore(semaphore);
  *value = static_cast<int>(board->model.semaphore(address(semaphore)));
  return 0;
}

LOCKSTEP_EXPORTED int sem_wait(sem_t* semaphore) {
  LOCKSTEP_UNLESS_CONTROLLED("sem_wait", nullptr, int(sem_t*), semaphore);
  know_semaphore(semaphore);
  return with_errno(on(Act::sem_wait, semaphore, Persistence::waits, 0, LOCKSTEP_CALLER));
}

LOCKSTEP_EXPORTED int sem_trywait(sem_t* semaphore) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("sem_trywait", nullptr, int(sem_t*), semaphore);
  know_semaphore(semaphore);
  return with_errno(on(Act::sem_wait, semaphore, Persistence::tries, 0, LOCKSTEP_CALLER));
}

LOCKSTEP_EXPORTED int sem_timedwait(sem_t* semaphore, const timespec* until) {
  LOCKSTEP_UNLESS_CONTROLLED("sem_timedwait", nullptr, int(sem_t*, const timespec*), semaphore, until);
  know_semaphore(semaphore);
  return with_errno(
      on(Act::sem_wait, semaphore, Persistence::timed, virtual_time(CLOCK_REALTIME, until), LOCKSTEP_CALLER));
}

LOCKSTEP_EXPORTED int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* until) {
  LOCKSTEP_UNLESS_CONTROLLED("sem_clockwait", nullptr, int(sem_t*, clockid_t, const timespec*), semaphore, clock,
                             until);
  know_semaphore(semaphore);
  return with_errno(on(Act::sem_wait, semaphore, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER));
}

LOCKSTEP_EXPORTED int sem_post(sem_t* semaphore) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("sem_post", nullptr, int(sem_t*), semaphore);
  know_semaphore(semaphore);
  return with_errno(on(Act::sem_post, semaphore, Persistence::waits, 0, LOCKSTEP_CALLER));
}

// -- barriers --

namespace lockstep::foreign {
namespace {

/// How many a barrier waits for, kept where glibc keeps it.
unsigned int& needed_by(pthread_barrier_t* barrier) noexcept { return *reinterpret_cast<unsigned int*>(barrier); }

}  // namespace
}  // namespace lockstep::foreign

LOCKSTEP_EXPORTED int pthread_barrier_init(pthread_barrier_t* barrier, const pthread_barrierattr_t* attributes,
                                           unsigned int count) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_barrier_init", nullptr,
                             int(pthread_barrier_t*, const pthread_barrierattr_t*, unsigned int), barrier, attributes,
                             count);
  if (count == 0) return EINVAL;
  board->model.forgets(address(barrier));
  needed_by(barrier) = count;
  return 0;
}

LOCKSTEP_EXPORTED int pthread_barrier_destroy(pthread_barrier_t* barrier) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_barrier_destroy", nullptr, int(pthread_barrier_t*), barrier);
  return board->model.is_held(address(barrier)) ? EBUSY : 0;
}

LOCKSTEP_EXPORTED int pthread_barrier_wait(pthread_barrier_t* barrier) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_barrier_wait", nullptr, int(pthread_barrier_t*), barrier);
  return stand_before({.verb = Act::barrier,
                       .argument = static_cast<std::int32_t>(needed_by(barrier)),
                       .object = address(barrier),
                       .caller = LOCKSTEP_CALLER});
}

// -- spin locks --

namespace lockstep::foreign {
namespace {

int spin(pthread_spinlock_t* lock, Persistence patience, std::uint64_t caller) noexcept {
  return stand_before(
      {.verb = Act::lock, .patience = patience, .kind = MutexKind::spin, .object = address(lock), .caller = caller});
}

}  // namespace
}  // namespace lockstep::foreign

LOCKSTEP_EXPORTED int pthread_spin_init(pthread_spinlock_t* lock, int shared) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_spin_init", nullptr, int(pthread_spinlock_t*, int), lock, shared);
  board->model.forgets(address(lock));
  return next(lock, shared);
}

LOCKSTEP_EXPORTED int pthread_spin_lock(pthread_spinlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_spin_lock", nullptr, int(pthread_spinlock_t*), lock);
  return spin(lock, Persistence::waits, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_spin_trylock(pthread_spinlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_spin_trylock", nullptr, int(pthread_spinlock_t*), lock);
  return spin(lock, Persistence::tries, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_spin_unlock(pthread_spinlock_t* lock) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_spin_unlock", nullptr, int(pthread_spinlock_t*), lock);
  return stand_before(
      {.verb = Act::unlock, .kind = MutexKind::spin, .object = address(lock), .caller = LOCKSTEP_CALLER});
}

// -- once --

LOCKSTEP_EXPORTED int pthread_once(pthread_once_t* once, void (*function)()) {
  LOCKSTEP_UNLESS_CONTROLLED("pthread_once", nullptr, int(pthread_once_t*, void (*)()), once, function);
  constexpr int kDone = 2;             // as glibc writes it
  if ((*once & kDone) != 0) return 0;  // before main
  if (on(Act::once, once, Persistence::waits, 0, LOCKSTEP_CALLER) == 1) {
    function();
    board->model.once_done(address(once), false, touches_now());
  }
  return 0;
}

// Guards of function-local statics. Their first byte says that all is done, and is looked at by the program itself.

LOCKSTEP_EXPORTED int __cxa_guard_acquire(std::uint64_t* guard) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("__cxa_guard_acquire", nullptr, int(std::uint64_t*), guard);
  if (*reinterpret_cast<const char*>(guard) != 0) return 0;
  return on(Act::once, guard, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED void __cxa_guard_release(std::uint64_t* guard) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("__cxa_guard_release", nullptr, void(std::uint64_t*), guard);
  *reinterpret_cast<char*>(guard) = 1;
  board->model.once_done(address(guard), false, touches_now());
}

LOCKSTEP_EXPORTED void __cxa_guard_abort(std::uint64_t* guard) noexcept {
  LOCKSTEP_UNLESS_CONTROLLED("__cxa_guard_abort", nullptr, void(std::uint64_t*), guard);
  board->model.once_done(address(guard), true, touches_now());
}
