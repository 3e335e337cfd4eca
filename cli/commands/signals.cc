// signals.cc: the handlers. They do what is async-signal-safe and no more.
#include "cli/commands/signals.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/args/exit_code.h"

namespace lockstep::cli {
namespace {

/// A shutdown, or a CI job that is cancelled, waits no longer for the program. It then ends with what is on disk.
constexpr suseconds_t kEndsWithin_us = 800'000;

extern "C" void on_alarm(int) { ::_exit(kInterrupted); }

extern "C" void on_stop(int signal) {
  StopSource& stop = stop_source();
  if (stop.requested()) ::_exit(kInterrupted);
  stop.request();
  if (signal == SIGTERM) {
    itimerval once = {};
    once.it_value.tv_usec = kEndsWithin_us;
    ::setitimer(ITIMER_REAL, &once, nullptr);
  }
  constexpr char kText[] = "\nlockstep: stopping; once more ends at once\n";
  if (::isatty(STDERR_FILENO) == 1) (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

StopSource& stop_source() noexcept {
  static constinit StopSource stop;
  return stop;
}

void install_signals() {
  struct sigaction action = {};
  action.sa_handler = on_stop;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // A parent that starts the program with a signal ignored (nohup, a shell's background job) means it to stay
    // ignored.
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
  struct sigaction at_once = {};
  at_once.sa_handler = on_alarm;
  ::sigemptyset(&at_once.sa_mask);
  ::sigaction(SIGALRM, &at_once, nullptr);
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

}  // namespace lockstep::cli
