// signals.cc: the handlers. They do what is async-signal-safe and no more.
#include "cli/commands/signals.h"

#include <signal.h>
#include <unistd.h>

#include "cli/args/exit_code.h"

namespace lockstep::cli {
namespace {

extern "C" void on_stop(int) {
  StopSource& stop = stop_source();
  if (stop.requested()) ::_exit(kInterrupted);
  stop.request();
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
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

}  // namespace lockstep::cli
