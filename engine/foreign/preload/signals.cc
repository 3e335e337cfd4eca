// signals.cc: sigwait and its like, and signals that are sent to be waited for.
//
// The kernel holds what is pending; the model says who waits, and whom a signal wakes. A signal that its sender does
// not block is none of those that are waited for: it is delivered as ever, and is no step.
#include "engine/foreign/preload/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

bool has_timers = false;

constexpr std::uint64_t bit_of_signal(int signal) noexcept {
  return signal >= 1 && signal <= 64 ? std::uint64_t{1} << static_cast<unsigned>(signal - 1) : 0;
}

std::uint64_t bits_of(const sigset_t* set) noexcept {
  std::uint64_t bits = 0;
  for (int signal = 1; signal <= 64; ++signal) {
    if (::sigismember(set, signal) == 1) bits |= bit_of_signal(signal);
  }
  return bits;
}

std::uint64_t number_behind(const char* text, const char* name) noexcept {
  const char* const found = ::strstr(text, name);
  return found == nullptr ? 0 : ::strtoull(found + ::strlen(name), nullptr, 16);
}

/// Of the thread and of the process. Only the kernel knows those of another thread.
std::uint64_t pending_of(int thread) noexcept {
  static auto* const call = next_function<long(long, ...)>("syscall");
  char text[4096];
  ::snprintf(text, sizeof text, "/proc/self/task/%d/status", static_cast<int>(board->kernel_ids[thread]));
  const int file = ::open(text, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const long size = call(SYS_read, file, text, sizeof text - 1);
  (void)call(SYS_close, file);
  text[size > 0 ? size : 0] = '\0';
  return number_behind(text, "SigPnd:") | number_behind(text, "ShdPnd:");
}

int wait_for_signal(const sigset_t* set, siginfo_t* what, Persistence patience, std::int64_t deadline,
                    std::uint64_t caller) noexcept {
  static auto* const next = next_function<int(const sigset_t*, siginfo_t*, const timespec*)>("sigtimedwait");
  constexpr timespec kNow{};
  for (;;) {
    const int error = stand_before({.verb = Act::sig_wait,
                                    .patience = patience,
                                    .object = kSignalsAddress,
                                    .mutex = bits_of(set),
                                    .deadline = deadline,
                                    .caller = caller});
    if (error != 0) {
      errno = error;
      return -1;
    }
    const int signal = next(set, what, &kNow);
    if (signal > 0 || (errno != EAGAIN && errno != EINTR)) return signal;
  }
}

/// `thread`: -1: whoever waits longest.
void stand_before_sending(int signal, int thread, std::uint64_t caller) noexcept {
  sigset_t blocked;
  if (!is_controlled() || signal <= 0 || ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked) != 0 ||
      ::sigismember(&blocked, signal) != 1)
    return;
  (void)stand_before({.verb = Act::sig_send,
                      .argument = thread,
                      .object = kSignalsAddress,
                      .mutex = bit_of_signal(signal),
                      .caller = caller});
}

int index_of_living(pthread_t handle) noexcept {
  for (int i = 0; i < kThreadsMost; ++i) {
    const ThreadState::Place place = board->model.thread(i).place;
    const bool lives = place == ThreadState::Place::runs || place == ThreadState::Place::at_gate;
    if (lives && board->handles[i] == handle) return i;
  }
  return -1;
}

bool waits_for_signal(int thread) noexcept {
  const ThreadState& state = board->model.thread(thread);
  return state.place == ThreadState::Place::at_gate && state.operation.verb == Act::in_sig_wait;
}

}  // namespace

bool is_signal_there(int thread) noexcept {
  return (pending_of(thread) & board->model.thread(thread).operation.mutex) != 0;
}

bool may_signal_come() noexcept {
  bool is_awaited = false;
  for (int i = 0; i < kThreadsMost && has_timers; ++i) is_awaited = is_awaited || waits_for_signal(i);
  return is_awaited;
}

bool has_signal_come() noexcept {
  bool has_come = false;
  for (int i = 0; i < kThreadsMost && has_timers; ++i) {
    if (!waits_for_signal(i) || !is_signal_there(i)) continue;
    board->model.thread(i).operation.argument = 1;
    has_come = true;
  }
  return has_come;
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED int sigwaitinfo(const sigset_t* set, siginfo_t* what) {
  static auto* const next = next_function<int(const sigset_t*, siginfo_t*)>("sigwaitinfo");
  if (!is_controlled()) return next(set, what);
  return wait_for_signal(set, what, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int sigwait(const sigset_t* set, int* signal) {
  static auto* const next = next_function<int(const sigset_t*, int*)>("sigwait");
  if (!is_controlled()) return next(set, signal);
  const int got = wait_for_signal(set, nullptr, Persistence::waits, 0, LOCKSTEP_CALLER);
  if (got < 0) return errno;
  *signal = got;
  return 0;
}

LOCKSTEP_EXPORTED int sigtimedwait(const sigset_t* set, siginfo_t* what, const timespec* most) {
  static auto* const next = next_function<int(const sigset_t*, siginfo_t*, const timespec*)>("sigtimedwait");
  if (!is_controlled()) return next(set, what, most);
  const std::int64_t span = most == nullptr ? -1 : most->tv_sec * 1'000'000'000 + most->tv_nsec;
  return wait_for_signal(set, what,
                         span < 0    ? Persistence::waits
                         : span == 0 ? Persistence::tries
                                     : Persistence::timed,
                         board->model.now() + span, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int kill(pid_t process, int signal) noexcept {
  static auto* const next = next_function<int(pid_t, int)>("kill");
  if (process == ::getpid()) stand_before_sending(signal, -1, LOCKSTEP_CALLER);
  return next(process, signal);
}

LOCKSTEP_EXPORTED int sigqueue(pid_t process, int signal, const sigval value) noexcept {
  static auto* const next = next_function<int(pid_t, int, sigval)>("sigqueue");
  if (process == ::getpid()) stand_before_sending(signal, -1, LOCKSTEP_CALLER);
  return next(process, signal, value);
}

LOCKSTEP_EXPORTED int raise(int signal) noexcept {
  static auto* const next = next_function<int(int)>("raise");
  stand_before_sending(signal, self, LOCKSTEP_CALLER);
  return next(signal);
}

LOCKSTEP_EXPORTED int pthread_kill(pthread_t thread, int signal) noexcept {
  static auto* const next = next_function<int(pthread_t, int)>("pthread_kill");
  if (const int index = is_controlled() ? index_of_living(thread) : -1; index >= 0)
    stand_before_sending(signal, index, LOCKSTEP_CALLER);
  return next(thread, signal);
}

LOCKSTEP_EXPORTED int pthread_sigqueue(pthread_t thread, int signal, const sigval value) noexcept {
  static auto* const next = next_function<int(pthread_t, int, sigval)>("pthread_sigqueue");
  if (const int index = is_controlled() ? index_of_living(thread) : -1; index >= 0)
    stand_before_sending(signal, index, LOCKSTEP_CALLER);
  return next(thread, signal, value);
}

// -- what sends signals when its time has come --

LOCKSTEP_EXPORTED unsigned int alarm(unsigned int seconds) noexcept {
  static auto* const next = next_function<unsigned int(unsigned int)>("alarm");
  has_timers = has_timers || seconds > 0;
  return next(seconds);
}

LOCKSTEP_EXPORTED useconds_t ualarm(useconds_t first, useconds_t others) noexcept {
  static auto* const next = next_function<useconds_t(useconds_t, useconds_t)>("ualarm");
  has_timers = has_timers || first > 0;
  return next(first, others);
}

LOCKSTEP_EXPORTED int setitimer(__itimer_which_t which, const itimerval* wanted, itimerval* before) noexcept {
  static auto* const next = next_function<int(__itimer_which_t, const itimerval*, itimerval*)>("setitimer");
  has_timers = true;
  return next(which, wanted, before);
}

LOCKSTEP_EXPORTED int timer_settime(timer_t timer, int flags, const itimerspec* wanted, itimerspec* before) noexcept {
  static auto* const next = next_function<int(timer_t, int, const itimerspec*, itimerspec*)>("timer_settime");
  has_timers = true;
  return next(timer, flags, wanted, before);
}
