// crash.cc: writes down where the process stood when a signal ended it, and lets the signal end it.
//
// The unwinder is that of the compiler's own library (libgcc_s), which is loaded before main where it is not there yet.
// A handler that the program sets takes the place of ours: then the board says who ran, and no more.
#include "engine/foreign/preload/crash.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
constexpr std::size_t kStackOfHandler = 64 * 1024;

// As in <unwind.h>, which belongs to the compiler.
using Visit = int (*)(void* context, void* argument);
int (*walk_stack)(Visit, void*) = nullptr;
std::uint64_t (*place_of)(void*) = nullptr;

bool has_address_sanitizer = false;  ///< which would unmap what it finds at the end of a thread
alignas(16) char stacks[kThreadsMost][kStackOfHandler];

std::uint64_t place_in(const void* context) noexcept {
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uint64_t>(registers.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return registers.pc;
#else
#error "not known where this machine keeps its place"
#endif
}

/// Begins to write where the signal came in: what lies before is the handler.
int visit(void* context, void* argument) noexcept {
  CrashRecord& crash = board->crash;
  bool& has_begun = *static_cast<bool*>(argument);
  const std::uint64_t place = place_of(context);
  if (!has_begun) {
    has_begun = place + 1 == crash.frame[0];
    return 0;
  }
  if (place == 0 || crash.depth == kFramesMost) return 5;  // _URC_END_OF_STACK: what is not 0 ends the walk
  crash.frame[crash.depth++] = place;
  return 0;
}

void note(int signal, siginfo_t* what, void* context) {
  if (board->crash.signal == 0) {
    CrashRecord& crash = board->crash;
    crash.signal = signal;
    crash.thread = self;
    crash.address = signal == SIGSEGV || signal == SIGBUS ? reinterpret_cast<std::uint64_t>(what->si_addr) : 0;
    crash.frame[0] = place_in(context) + 1;
    crash.depth = 1;
    self = -1;  // what the unwinder locks is no step
    bool has_begun = false;
    if (walk_stack != nullptr) (void)walk_stack(visit, &has_begun);
  }
  // Delivered when this handler has returned, and by nobody but the kernel.
  struct sigaction end{};
  end.sa_handler = SIG_DFL;
  ::sigaction(signal, &end, nullptr);
  static auto* const call = next_function<long(long, ...)>("syscall");
  (void)call(SYS_tgkill, ::getpid(), ::gettid(), signal);
}

}  // namespace

void prepare_for_crashes() noexcept {
  has_address_sanitizer = ::dlsym(RTLD_DEFAULT, "__asan_init") != nullptr;
  void* const library = ::dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) return;
  walk_stack = reinterpret_cast<int (*)(Visit, void*)>(::dlsym(library, "_Unwind_Backtrace"));
  place_of = reinterpret_cast<std::uint64_t (*)(void*)>(::dlsym(library, "_Unwind_GetIP"));
  if (place_of == nullptr) walk_stack = nullptr;
}

void watch_for_crashes() noexcept {
  for (const int signal : kSignals) {
    struct sigaction known{};
    if (::sigaction(signal, nullptr, &known) != 0 || known.sa_handler != SIG_DFL) continue;
    struct sigaction ours{};
    ours.sa_sigaction = note;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
    ::sigaction(signal, &ours, nullptr);
  }
}

void keep_stack_for_crash() noexcept {
  if (has_address_sanitizer) return;
  stack_t known{};
  if (::sigaltstack(nullptr, &known) != 0 || (known.ss_flags & SS_DISABLE) == 0) return;
  const stack_t ours{.ss_sp = stacks[self], .ss_flags = 0, .ss_size = kStackOfHandler};
  ::sigaltstack(&ours, nullptr);
}

}  // namespace lockstep::foreign
