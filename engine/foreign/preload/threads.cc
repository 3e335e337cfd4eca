// threads.cc: threads are made, joined and ended.
#include "engine/foreign/preload/threads.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/foreign/preload/clock.h"
#include "engine/foreign/preload/control.h"
#include "engine/foreign/preload/crash.h"

namespace lockstep::foreign {
namespace {

struct Begin {
  void* (*function)(void*);
  void* argument;
};
Begin begins[kThreadsMost];
pthread_key_t end_of_thread;
int threads_before_main = 0;

/// A thread's last act is the last round of its keys' destructors: C++'s own destructors have run before.
void end_round(void* round) noexcept {
  const auto number = reinterpret_cast<std::intptr_t>(round);
  if (number < PTHREAD_DESTRUCTOR_ITERATIONS) {
    ::pthread_setspecific(end_of_thread, reinterpret_cast<void*>(number + 1));
    return;
  }
  if (board->steps > 0) board->step[board->steps - 1].ended |= 1U << static_cast<unsigned>(self);
  board->model.ends(self, touches_now());
  leave_turns();
  self = -1;
}

void* run_thread(void* argument) {
  self = static_cast<int>(reinterpret_cast<std::intptr_t>(argument));
  wait_for_turn();
  begin_thread();
  return begins[self].function(begins[self].argument);
}

/// As asked for, but on a stack of ours.
bool give_stack(int index, const pthread_attr_t* asked, pthread_attr_t& attributes) noexcept {
  if (asked != nullptr) {
    ::memcpy(&attributes, asked, sizeof attributes);
    void* place = nullptr;
    std::size_t size = 0;
    // One of the program's own is left to it.
    if (::pthread_attr_getstack(asked, &place, &size) == 0 && place != nullptr &&
        reinterpret_cast<std::uint64_t>(place) + size != 0 && size != 0 && place != reinterpret_cast<void*>(-size))
      return true;
  } else {
    ::pthread_attr_init(&attributes);
  }
  std::size_t size = 0;
  ::pthread_attr_getstacksize(&attributes, &size);
  constexpr std::size_t kPage = 4096;
  size = (size + kPage - 1) / kPage * kPage;
  if (size + kPage > kStackRoom) return false;
  const std::uint64_t top = kStacksAddress + static_cast<std::uint64_t>(index + 1) * kStackRoom;
  void* const place = ::mmap(reinterpret_cast<void*>(top - size), size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (place == MAP_FAILED) return false;
  return ::pthread_attr_setstack(&attributes, place, size) == 0;
}

int index_of_handle(pthread_t handle) noexcept {
  for (int i = 0; i < kThreadsMost; ++i) {
    const ThreadState& thread = board->model.thread(i);
    if (thread.place != ThreadState::Place::none && board->handles[i] == handle && !thread.joined) return i;
  }
  return -1;
}

int join(pthread_t handle, void** result, Persistence patience, std::int64_t deadline, std::uint64_t caller) noexcept {
  static auto* const join_thread = next_function<int(pthread_t, void**)>("pthread_join");
  if (!is_controlled()) return join_thread(handle, result);
  const int index = index_of_handle(handle);
  if (index < 0) return ESRCH;
  if (index == self) return EDEADLK;
  const int refused = stand_before({.verb = Act::join,
                                    .patience = patience,
                                    .argument = index,
                                    .object = PrimitiveModel::handle_of(index),
                                    .deadline = deadline,
                                    .caller = caller});
  return refused != 0 ? refused : join_thread(handle, result);
}

}  // namespace

void prepare_threads() noexcept {
  if (threads_before_main > 0) refuse(Refusal::threads_before_main, "", 0);
  ::pthread_key_create(&end_of_thread, end_round);
}

void begin_thread() noexcept {
  ::pthread_setspecific(end_of_thread, reinterpret_cast<void*>(1));
  keep_stack_for_crash();
  board->kernel_ids[self] = static_cast<std::int32_t>(::gettid());
  if (self == 0) {
    board->handles[0] = ::pthread_self();
    return;
  }
  char name[16];
  ::snprintf(name, sizeof name, "T%d", static_cast<int>(board->identity[self].nth));
  if (board->identity[self].parent == 0) ::prctl(PR_SET_NAME, name, 0, 0, 0);
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*),
                                     void* argument) {
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const create = next_function<Create>("pthread_create");
  if (!is_controlled()) {
    ++threads_before_main;
    return create(handle, attributes, function, argument);
  }
  ThreadState& parent = board->model.thread(self);
  const int index = index_of(self, ++parent.children, LOCKSTEP_CALLER);
  pthread_attr_t with_stack;
  if (!give_stack(index, attributes, with_stack)) return EAGAIN;
  int detached = PTHREAD_CREATE_JOINABLE;
  ::pthread_attr_getdetachstate(&with_stack, &detached);
  begins[index] = {function, argument};
  const int failed =
      create(handle, &with_stack, run_thread, reinterpret_cast<void*>(static_cast<std::intptr_t>(index)));
  if (failed != 0) return failed;
  board->handles[index] = *handle;
  board->model.begins(index, self, detached == PTHREAD_CREATE_DETACHED);
  touches_now().ran |= 1U << static_cast<unsigned>(index);
  if (board->steps > 0) board->step[board->steps - 1].begun |= 1U << static_cast<unsigned>(index);
  run_first(index);
  return 0;
}

LOCKSTEP_EXPORTED int pthread_join(pthread_t handle, void** result) {
  return join(handle, result, Persistence::waits, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_tryjoin_np(pthread_t handle, void** result) {
  return join(handle, result, Persistence::tries, 0, LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_timedjoin_np(pthread_t handle, void** result, const timespec* until) {
  return join(handle, result, Persistence::timed, virtual_time(CLOCK_REALTIME, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_clockjoin_np(pthread_t handle, void** result, clockid_t clock, const timespec* until) {
  return join(handle, result, Persistence::timed, virtual_time(clock, until), LOCKSTEP_CALLER);
}

LOCKSTEP_EXPORTED int pthread_detach(pthread_t handle) {
  static auto* const detach = next_function<int(pthread_t)>("pthread_detach");
  if (is_controlled()) {
    const int index = index_of_handle(handle);
    if (index >= 0) board->model.detaches(index);
  }
  return detach(handle);
}

LOCKSTEP_EXPORTED int pthread_cancel(pthread_t handle) {
  static auto* const cancel = next_function<int(pthread_t)>("pthread_cancel");
  if (is_controlled()) refuse(Refusal::unsupported, "pthread_cancel", LOCKSTEP_CALLER);
  return cancel(handle);
}

LOCKSTEP_EXPORTED __attribute__((noreturn)) void exit(int code) {
  static auto* const end = next_function<void(int)>("exit");
  if (is_controlled()) (void)stand_before({.verb = Act::exit, .argument = code, .caller = LOCKSTEP_CALLER});
  end(code);
  __builtin_unreachable();
}
