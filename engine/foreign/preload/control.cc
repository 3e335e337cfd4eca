// control.cc: the server before main, and whose turn it is in a run.
#include "engine/foreign/preload/control.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>

#include "engine/foreign/preload/crash.h"
#include "engine/foreign/preload/debugged.h"
#include "engine/foreign/preload/file_locks.h"
#include "engine/foreign/preload/files.h"
#include "engine/foreign/preload/processors.h"
#include "engine/foreign/preload/signals.h"
#include "engine/foreign/preload/threads.h"

namespace lockstep::foreign {

SharedBoard* board = nullptr;
bool controlled = false;
thread_local int self __attribute__((tls_model("initial-exec"))) = -1;

namespace {

using Main = int (*)(int, char**, char**);

Main program_main = nullptr;
std::uint32_t operations[kThreadsMost];

void ring() noexcept {
  board->bell.fetch_add(1, std::memory_order_release);
  futex(&board->bell, FUTEX_WAKE, 1);
}

void hand_turn(int thread) noexcept {
  board->running = thread;
  board->turn[thread].store(1, std::memory_order_release);
  if (thread != self) futex(&board->turn[thread], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

/// Stands still for ever: the driver ends the process.
[[noreturn]] void stand_still() noexcept {
  for (;;) ::pause();
}

std::uint64_t choices_now() noexcept {
  std::uint64_t choices = 0;
  for (int i = 0; i < kThreadsMost; ++i) {
    const Options options = board->model.options(i);
    if (options.goes) choices |= bit_of(i, false);
    if (options.times_out) choices |= bit_of(i, true);
  }
  return choices;
}

/// The driver's answer. With no choice there is none.
int ask(std::uint64_t choices) noexcept {
  board->choices = choices;
  const std::uint32_t question = board->asked.load(std::memory_order_relaxed) + 1;
  board->asked.store(question, std::memory_order_release);
  ring();
  if (choices == 0 && !board->debugged) stand_still();
  for (;;) {
    const std::uint32_t answered = board->answered.load(std::memory_order_acquire);
    if (answered == question) return board->debugged ? let_debugger_choose(choices, board->answer) : board->answer;
    futex(&board->answered, FUTEX_WAIT, answered);
  }
}

int choose(std::uint64_t choices) noexcept {
  if (board->debugged) return ask(choices);
  if (board->steps < board->planned) {
    const int planned = board->plan[board->steps];
    if ((choices >> static_cast<unsigned>(planned) & 1U) != 0) return planned;
    board->planned = board->steps;  // it does not do the same: the driver is to say so
    return ask(choices);
  }
  if (choices != 0 && (choices & (choices - 1)) == 0) return std::countr_zero(choices);
  return ask(choices);
}

/// What its step depends on and the model does not know.
void look_ahead_of(int thread) noexcept {
  Operation& operation = board->model.thread(thread).operation;
  switch (operation.verb) {
    case Act::futex_wait: {
      const auto* const word = reinterpret_cast<const std::atomic<std::uint32_t>*>(operation.object);
      operation.argument = word->load() == static_cast<std::uint32_t>(operation.mutex) ? 1 : 0;
      break;
    }
    case Act::sig_wait:
      operation.argument = is_signal_there(thread) ? 1 : 0;
      break;
    case Act::file_lock:
      operation.argument = ask_for_file_lock(thread) ? 1 : 0;
      break;
    default:
      break;
  }
}

/// Takes steps until a thread goes on in its own code.
void schedule() noexcept {
  PrimitiveModel& model = board->model;
  if (model.living() == 0) return;  // the process ends by itself
  for (;;) {
    look_at_files();
    while (choices_now() == 0 && wait_for_outside()) look_at_files();
    const int choice = choose(choices_now());
    if (board->steps == kStepsMost) refuse(Refusal::too_long, "", 0);
    if (model.is_full()) refuse(Refusal::too_many, "objects", 0);
    const int thread = choice / 2;
    ThreadState& state = model.thread(thread);
    StepRecord& record = board->step[board->steps];
    record.choices = choices_now();
    record.thread = static_cast<std::int8_t>(thread);
    record.times_out = choice % 2 != 0;
    look_ahead_of(thread);
    record.operation = state.operation;
    record.touches.clear();
    record.begun = record.ended = 0;
    ++board->steps;
    const std::uint32_t released = model.take(thread, record.times_out, record.touches);
    if (record.touches.ran == kEverybody && record.operation.verb != Act::exit) board->at_outside = true;
    record.result = state.result;
    record.at = model.now();
    run_after(released);
    if (state.place == ThreadState::Place::runs) {
      hand_turn(thread);
      return;
    }
    if (board->stack_size == 0) continue;
    hand_turn(board->stack[--board->stack_size]);
    return;
  }
}

void give_up_turn() noexcept {
  if (board->stack_size > 0) {
    hand_turn(board->stack[--board->stack_size]);
  } else {
    schedule();
  }
}

/// Without another thread there is no order: the operation is done at once, and is no step.
std::int32_t do_alone(const Operation& operation) noexcept {
  PrimitiveModel& model = board->model;
  ThreadState& state = model.thread(self);
  state.operation = operation;
  state.place = ThreadState::Place::at_gate;
  while (state.place == ThreadState::Place::at_gate) {
    look_at_files();
    Options options = model.options(self);
    while (!options.goes && !options.times_out) {
      if (!wait_for_outside()) (void)ask(0);
      look_at_files();
      options = model.options(self);
    }
    look_ahead_of(self);
    (void)model.take(self, !options.goes, touches_now());
  }
  return state.result;
}

void take_out_of_environment(char** environment, const char* name) noexcept {
  const std::size_t length = ::strlen(name);
  char** to = environment;
  for (char** from = environment; *from != nullptr; ++from) {
    if (::strncmp(*from, name, length) != 0 || (*from)[length] != '=') *to++ = *from;
  }
  *to = nullptr;
}

/// In a run.
int begin_run(int count, char** arguments, char** environment) noexcept {
  if (!board->debugged) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != board->server) ::_exit(1);
    if (board->output >= 0) {
      ::dup2(board->output, 1);
      ::dup2(board->output, 2);
    }
  }
  self = 0;
  controlled = true;
  if (!board->debugged) watch_for_crashes();  // else the debugger is told
  begin_thread();
  return program_main(count, arguments, environment);
}

/// In the place of main: forks a run whenever the driver wants one. Comes back in each of them.
int serve(int count, char** arguments, char** environment) noexcept {
  take_out_of_environment(environment, "LD_PRELOAD");
  take_out_of_environment(environment, kBoardVariable);
  const std::uint32_t stop_at = step_in(environment);
  take_out_of_environment(environment, kStepVariable);
  board->anchor = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
  board->server = static_cast<std::int32_t>(::getpid());
  prepare_threads();
  prepare_for_crashes();
  if (board->debugged) {
    begin_under_debugger(stop_at);
    const std::uint32_t mine = board->arrived.fetch_add(1, std::memory_order_release) + 1;
    ring();
    for (std::uint32_t wanted = 0; (wanted = board->wanted.load(std::memory_order_acquire)) != mine;)
      futex(&board->wanted, FUTEX_WAIT, wanted);
    return begin_run(count, arguments, environment);
  }
  keep_to_processor(board->processor);
  std::uint32_t done = 0;
  board->ready.store(1, std::memory_order_release);
  ring();
  for (;;) {
    const std::uint32_t wanted = board->wanted.load(std::memory_order_acquire);
    if (wanted == done) {
      futex(&board->wanted, FUTEX_WAIT, wanted);
      continue;
    }
    static auto* const fork_process = next_function<pid_t()>("fork");
    const pid_t run = fork_process();
    if (run == 0) return begin_run(count, arguments, environment);
    board->run = static_cast<std::int32_t>(run);
    int status = 0;
    if (run > 0) {
      while (::waitpid(run, &status, 0) < 0 && errno == EINTR) {
      }
    }
    board->status = run > 0 ? status : -1;
    board->run = 0;
    done = wanted;
    board->ended.store(done, std::memory_order_release);
    ring();
  }
}

/// The library is loaded: before any code of the program.
__attribute__((constructor)) void find_board() noexcept {
  const char* const where = ::getenv(kBoardVariable);
  if (where == nullptr) return;
  const int descriptor = *where == '/' ? ::open(where, O_RDWR | O_CLOEXEC) : ::atoi(where);
  void* const place = ::mmap(reinterpret_cast<void*>(kBoardAddress), sizeof(SharedBoard), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_FIXED_NOREPLACE, descriptor, 0);
  if (place != reinterpret_cast<void*>(kBoardAddress)) return;
  auto* const found = static_cast<SharedBoard*>(place);
  if (found->version == kBoardVersion && found->size == sizeof(SharedBoard)) board = found;
}

}  // namespace

std::int64_t futex(std::atomic<std::uint32_t>* word, int what, std::uint32_t value) noexcept {
  static auto* const call = next_function<long(long, ...)>("syscall");
  return call(SYS_futex, word, what, value, nullptr, nullptr, 0);
}

Touches& touches_now() noexcept { return board->steps == 0 ? board->before : board->step[board->steps - 1].touches; }

std::uint32_t own_operations() noexcept { return operations[self]; }

std::int32_t stand_before(const Operation& operation) noexcept {
  ++operations[self];
  if (board->model.is_alone()) return do_alone(operation);
  ThreadState& state = board->model.thread(self);
  state.operation = operation;
  state.place = ThreadState::Place::at_gate;
  give_up_turn();
  wait_for_turn();
  return state.result;
}

void wait_for_turn() noexcept {
  std::atomic<std::uint32_t>& turn = board->turn[self];
  while (turn.load(std::memory_order_acquire) == 0) futex(&turn, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0);
  turn.store(0, std::memory_order_relaxed);
}

void run_first(int thread) noexcept {
  board->stack[board->stack_size++] = static_cast<std::int8_t>(self);
  hand_turn(thread);
  wait_for_turn();
}

void run_after(std::uint32_t threads) noexcept {
  for (; threads != 0; threads &= threads - 1)
    board->stack[board->stack_size++] = static_cast<std::int8_t>(std::countr_zero(threads));
}

void leave_turns() noexcept { give_up_turn(); }

void refuse(Refusal why, const char* what, std::uint64_t caller) noexcept {
  ::strncpy(board->refused, what, sizeof board->refused - 1);
  board->refused_at = caller;
  board->refusal = why;
  ring();
  stand_still();
}

int index_of(int parent, int nth, std::uint64_t caller) noexcept {
  const auto count = static_cast<int>(board->identities);
  for (int i = 0; i < count; ++i) {
    if (board->identity[i].parent == parent && board->identity[i].nth == nth) return i;
  }
  if (count == kThreadsMost) refuse(Refusal::too_many, "threads", caller);
  board->identity[count] = {static_cast<std::int8_t>(parent), static_cast<std::uint16_t>(nth)};
  board->identities = static_cast<std::uint32_t>(count) + 1;
  return count;
}

}  // namespace lockstep::foreign

using lockstep::foreign::board;

LOCKSTEP_EXPORTED int __libc_start_main(int (*main)(int, char**, char**), int count, char** arguments, void (*init)(),
                                        void (*fini)(), void (*end_of_loader)(), void* end_of_stack) {
  using Start = int(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(), void (*)(), void*);
  auto* const start = lockstep::foreign::next_function<Start>("__libc_start_main");
  if (board != nullptr) {
    lockstep::foreign::program_main = main;
    main = [](int c, char** v, char** e) -> int { return ::exit(lockstep::foreign::serve(c, v, e)), 0; };
  }
  return start(main, count, arguments, init, fini, end_of_loader, end_of_stack);
}
