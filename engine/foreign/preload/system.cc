// system.cc: futexes that the program waits in by itself, and what would make another process.
#include <errno.h>
#include <linux/futex.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/foreign/preload/clock.h"
#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

using SystemCall = long(long, ...);

int futex_kind(long what) noexcept {
  return static_cast<int>(what & ~static_cast<long>(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
}

/// libstdc++ waits so in std::future and std::atomic.
long on_futex(long word, long what, long value, long time, std::uint64_t caller) noexcept {
  const int kind = futex_kind(what);
  if (kind == FUTEX_WAKE || kind == FUTEX_WAKE_BITSET) {
    return stand_before({.verb = Act::futex_wake,
                         .argument = static_cast<std::int32_t>(value),
                         .object = static_cast<std::uint64_t>(word),
                         .caller = caller});
  }
  const auto* const until = reinterpret_cast<const timespec*>(time);
  std::int64_t deadline = 0;
  if (until != nullptr && kind == FUTEX_WAIT) {
    deadline = board->model.now() + until->tv_sec * 1'000'000'000 + until->tv_nsec;
  } else if (until != nullptr) {
    deadline = virtual_time((what & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, until);
  }
  const int error = stand_before({.verb = Act::futex_wait,
                                  .patience = until == nullptr ? Persistence::waits : Persistence::timed,
                                  .object = static_cast<std::uint64_t>(word),
                                  .mutex = static_cast<std::uint64_t>(static_cast<std::uint32_t>(value)),
                                  .deadline = deadline,
                                  .caller = caller});
  if (error == 0) return 0;
  errno = error;
  return -1;
}

bool is_known(int kind) noexcept {
  return kind == FUTEX_WAIT || kind == FUTEX_WAKE || kind == FUTEX_WAIT_BITSET || kind == FUTEX_WAKE_BITSET;
}

}  // namespace
}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& each : argument) each = va_arg(list, long);
  va_end(list);
  static auto* const next = next_function<SystemCall>("syscall");
  if (number == SYS_futex && is_controlled()) {
    if (is_known(futex_kind(argument[1])))
      return on_futex(argument[0], argument[1], argument[2], argument[3], LOCKSTEP_CALLER);
    refuse(Refusal::unsupported, "a futex operation that is none of wait and wake", LOCKSTEP_CALLER);
  }
  return next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

#define LOCKSTEP_REFUSED(NAME, TYPE, ...)                                    \
  static auto* const next = next_function<TYPE>(#NAME);                      \
  if (is_controlled()) refuse(Refusal::unsupported, #NAME, LOCKSTEP_CALLER); \
  return next(__VA_ARGS__)

LOCKSTEP_EXPORTED pid_t fork() noexcept { LOCKSTEP_REFUSED(fork, pid_t()); }

LOCKSTEP_EXPORTED int execve(const char* path, char* const arguments[], char* const environment[]) noexcept {
  LOCKSTEP_REFUSED(execve, int(const char*, char* const[], char* const[]), path, arguments, environment);
}

LOCKSTEP_EXPORTED int execv(const char* path, char* const arguments[]) noexcept {
  LOCKSTEP_REFUSED(execv, int(const char*, char* const[]), path, arguments);
}

LOCKSTEP_EXPORTED int execvp(const char* path, char* const arguments[]) noexcept {
  LOCKSTEP_REFUSED(execvp, int(const char*, char* const[]), path, arguments);
}

LOCKSTEP_EXPORTED int system(const char* command) { LOCKSTEP_REFUSED(system, int(const char*), command); }

LOCKSTEP_EXPORTED FILE* popen(const char* command, const char* mode) {
  LOCKSTEP_REFUSED(popen, FILE * (const char*, const char*), command, mode);
}

LOCKSTEP_EXPORTED int posix_spawn(pid_t* process, const char* path, const posix_spawn_file_actions_t* actions,
                                  const posix_spawnattr_t* attributes, char* const arguments[],
                                  char* const environment[]) {
  LOCKSTEP_REFUSED(posix_spawn,
                   int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const[],
                       char* const[]),
                   process, path, actions, attributes, arguments, environment);
}

LOCKSTEP_EXPORTED int posix_spawnp(pid_t* process, const char* path, const posix_spawn_file_actions_t* actions,
                                   const posix_spawnattr_t* attributes, char* const arguments[],
                                   char* const environment[]) {
  LOCKSTEP_REFUSED(posix_spawnp,
                   int(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const[],
                       char* const[]),
                   process, path, actions, attributes, arguments, environment);
}

LOCKSTEP_EXPORTED int execvpe(const char* path, char* const arguments[], char* const environment[]) noexcept {
  LOCKSTEP_REFUSED(execvpe, int(const char*, char* const[], char* const[]), path, arguments, environment);
}

// What takes its arguments one by one. Outside of a run they are put together.
namespace {

constexpr int kWordsMost = 1024;

struct Words {
  char* word[kWordsMost] = {};
  Words(const char* first, va_list& list) noexcept {
    word[0] = const_cast<char*>(first);
    for (int i = 1; i < kWordsMost - 1 && word[i - 1] != nullptr; ++i) word[i] = va_arg(list, char*);
  }
};

}  // namespace

LOCKSTEP_EXPORTED int execl(const char* path, const char* first, ...) noexcept {
  if (is_controlled()) refuse(Refusal::unsupported, "execl", LOCKSTEP_CALLER);
  va_list list;
  va_start(list, first);
  const Words words(first, list);
  va_end(list);
  return execv(path, words.word);
}

LOCKSTEP_EXPORTED int execlp(const char* path, const char* first, ...) noexcept {
  if (is_controlled()) refuse(Refusal::unsupported, "execlp", LOCKSTEP_CALLER);
  va_list list;
  va_start(list, first);
  const Words words(first, list);
  va_end(list);
  return execvp(path, words.word);
}

LOCKSTEP_EXPORTED int daemon(int stays, int keeps) noexcept { LOCKSTEP_REFUSED(daemon, int(int, int), stays, keeps); }
