// file_locks.cc: locks of files that the kernel keeps.
//
// It is asked for the lock without waiting; who does not get it waits here. When a lock is given back, those that wait
// for the file are asked for again, who has waited longest first. So what excludes what is the kernel's own rule: flock
// and F_OFD_SETLKW go by open file, F_SETLKW and lockf by process, whose threads never keep each other waiting.
#include "engine/foreign/preload/file_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

constexpr int kFilesMost = 1024;  ///< descriptors above are not known to be closed

/// What a thread asks for.
struct Wanted {
  int file = -1;
  FileCall call = FileCall::none;
  int how = 0;                    ///< flock: LOCK_EX or LOCK_SH; fcntl: the command that does not wait
  struct flock* range = nullptr;  ///< fcntl
  int error = 0;                  ///< the answer
};
Wanted wanted[kThreadsMost];

struct Held {
  std::uint64_t object = 0;
  int thread = -1;
};
Held held[kFilesMost];  ///< by descriptor

using Flock = int(int, int);
using Fcntl = int(int, int, ...);

Flock* real_flock() noexcept {
  static auto* const next = next_function<Flock>("flock");
  return next;
}

Fcntl* real_fcntl() noexcept {
  static auto* const next = next_function<Fcntl>("fcntl64");
  return next;
}

/// By its path, which is the same in every run. A path that is too long is cut.
std::uint64_t object_of(int file) noexcept {
  char link[48];
  NamedFile found;
  ::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (::readlink(link, found.path, sizeof found.path - 1) < 0) found.path[0] = '\0';
  std::uint32_t hash = 0x811c9dc5U;
  for (const char* each = found.path; *each != '\0'; ++each)
    hash = (hash ^ static_cast<unsigned char>(*each)) * 0x01000193U;
  found.object = kFileLocksAddress | std::uint64_t{hash} << 4U;
  std::uint32_t i = 0;
  while (i < board->named_files && board->named_file[i].object != found.object) ++i;
  if (i == board->named_files && i < kNamedFilesMost) board->named_file[board->named_files++] = found;
  return found.object;
}

bool waits_for_file(int thread) noexcept {
  const ThreadState& state = board->model.thread(thread);
  return state.place == ThreadState::Place::at_gate && state.operation.verb == Act::in_file_lock;
}

/// Who waits longest for the file, of those who came after that ticket; -1: nobody.
int next_at(std::uint64_t object, std::uint64_t after) noexcept {
  int first = -1;
  for (int i = 0; i < kThreadsMost; ++i) {
    const ThreadState& state = board->model.thread(i);
    if (waits_for_file(i) && state.operation.object == object && state.ticket > after &&
        (first < 0 || state.ticket < board->model.thread(first).ticket))
      first = i;
  }
  return first;
}

/// The lock has been given back, or a part of it.
void let_in(std::uint64_t object) noexcept {
  for (int i = next_at(object, 0); i >= 0; i = next_at(object, board->model.thread(i).ticket)) {
    if (!ask_for_file_lock(i)) continue;
    board->model.lets_in(i, touches_now());
    run_after(1U << static_cast<unsigned>(i));
  }
}

void forget(int file) noexcept {
  if (file < 0 || file >= kFilesMost || held[file].thread < 0) return;
  board->model.gives_file(held[file].object, held[file].thread);
  held[file] = Held{};
}

/// `excludes`: others may not even share it.
int take(const Wanted& what, Persistence patience, bool excludes, std::uint64_t caller) noexcept {
  const std::uint64_t object = object_of(what.file);
  wanted[self] = what;
  int error = stand_before(
      {.verb = Act::file_lock, .patience = patience, .call = what.call, .object = object, .caller = caller});
  if (error == 0) error = wanted[self].error;
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (what.file < kFilesMost && what.how != F_SETLK) {
    forget(what.file);
    held[what.file] = {.object = object, .thread = self};
    board->model.takes_file(object, self, excludes);
  }
  return 0;
}

template <class Unlock>
int give_back(int file, FileCall call, std::uint64_t caller, const Unlock& unlock) noexcept {
  const std::uint64_t object = object_of(file);
  (void)stand_before({.verb = Act::file_unlock, .call = call, .object = object, .caller = caller});
  const int failed = unlock();
  const int error = errno;
  if (failed == 0) {
    forget(file);
    let_in(object);
  }
  errno = error;
  return failed;
}

/// F_SETLKW of another process's lock: its threads do not keep each other waiting, so what is free is no step.
int lock_for_process(int file, struct flock* range, std::uint64_t caller) noexcept {
  if (real_fcntl()(file, F_SETLK, range) == 0) return 0;
  if (errno != EAGAIN && errno != EACCES) return -1;
  return take({.file = file, .call = FileCall::fcntl, .how = F_SETLK, .range = range}, Persistence::waits, true,
              caller);
}

int lock_range(int file, int command, struct flock* range, std::uint64_t caller) noexcept {
  if (command == F_SETLKW) return lock_for_process(file, range, caller);
  if (range->l_type == F_UNLCK)
    return give_back(file, FileCall::fcntl, caller, [&] { return real_fcntl()(file, command, range); });
  return take({.file = file, .call = FileCall::fcntl, .how = F_OFD_SETLK, .range = range},
              command == F_OFD_SETLK ? Persistence::tries : Persistence::waits, range->l_type == F_WRLCK, caller);
}

}  // namespace

bool ask_for_file_lock(int thread) noexcept {
  Wanted& what = wanted[thread];
  const int failed = what.call == FileCall::flock ? real_flock()(what.file, what.how | LOCK_NB)
                                                  : real_fcntl()(what.file, what.how, what.range);
  what.error = failed == 0 ? 0 : errno;
  return what.error != EAGAIN && what.error != EACCES;
}

bool may_file_lock_come() noexcept {
  for (int i = 0; i < kThreadsMost; ++i) {
    if (waits_for_file(i) && board->model.holder(board->model.thread(i).operation.object) < 0) return true;
  }
  return false;
}

bool has_file_lock_come() noexcept {
  bool has_come = false;
  for (int i = 0; i < kThreadsMost; ++i) {
    if (!waits_for_file(i) || board->model.holder(board->model.thread(i).operation.object) >= 0) continue;
    if (!ask_for_file_lock(i)) continue;
    board->model.thread(i).operation.argument = 1;
    has_come = true;
  }
  return has_come;
}

std::uint64_t file_locked_by(int file) noexcept {
  return file >= 0 && file < kFilesMost && held[file].thread >= 0 ? held[file].object : 0;
}

void give_file_lock_back(int file, std::uint64_t object) noexcept {
  forget(file);
  touches_now().add({.object = object, .touch = TouchKind::changes});
  let_in(object);
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED int flock(int file, int how) noexcept {
  if (!is_controlled()) return real_flock()(file, how);
  const std::uint64_t caller = LOCKSTEP_CALLER;
  if ((how & LOCK_UN) != 0) return give_back(file, FileCall::flock, caller, [&] { return real_flock()(file, how); });
  return take({.file = file, .call = FileCall::flock, .how = how & ~LOCK_NB},
              (how & LOCK_NB) != 0 ? Persistence::tries : Persistence::waits, (how & LOCK_EX) != 0, caller);
}

// Both have one meaning where files may be large anyway.
#define LOCKSTEP_FCNTL(NAME)                                                                     \
  LOCKSTEP_EXPORTED int NAME(int file, int command, ...) {                                       \
    va_list list;                                                                                \
    va_start(list, command);                                                                     \
    void* const argument = va_arg(list, void*);                                                  \
    va_end(list);                                                                                \
    const bool locks = command == F_SETLKW || command == F_OFD_SETLKW || command == F_OFD_SETLK; \
    if (!locks || !is_controlled()) return real_fcntl()(file, command, argument);                \
    return lock_range(file, command, static_cast<struct flock*>(argument), LOCKSTEP_CALLER);     \
  }

LOCKSTEP_FCNTL(fcntl)
LOCKSTEP_FCNTL(fcntl64)

LOCKSTEP_EXPORTED int lockf(int file, int command, off_t size) {
  static auto* const next = next_function<int(int, int, off_t)>("lockf");
  if (command != F_LOCK || !is_controlled()) return next(file, command, size);
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_CUR;
  range.l_len = size;
  return lock_for_process(file, &range, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int lockf64(int file, int command, off64_t size) { return lockf(file, command, size); }
