// with_postgres.cc: runs a command with a private PostgreSQL: `with_postgres -- COMMAND...`.
//
// The command finds the server in LOCKSTEP_TEST_DSN. Its exit code is passed on (128 + signal when a signal ended it),
// SIGINT, SIGTERM and SIGHUP are forwarded to it, and the server is removed afterwards. Nothing is printed on success.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/stores/postgres/cluster.h"

namespace {

volatile std::sig_atomic_t g_command = 0;

extern "C" void forward(int signal) {
  if (g_command > 0) ::kill(static_cast<pid_t>(g_command), signal);
}

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

/// Starts the command and waits for its end. The signals are blocked meanwhile, so that none falls between fork and
/// the note of whom to forward it to.
int run(char** command) {
  sigset_t forwarded, before;
  ::sigemptyset(&forwarded);
  for (const int signal : kSignals) ::sigaddset(&forwarded, signal);
  ::sigprocmask(SIG_BLOCK, &forwarded, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : kSignals) ::signal(signal, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::execvp(command[0], command);
    std::fprintf(stderr, "with_postgres: %s: %s\n", command[0], std::strerror(errno));
    ::_exit(127);
  }
  if (child < 0) {
    std::perror("with_postgres: fork");
    return 4;
  }
  g_command = child;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  g_command = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || std::strcmp(argv[1], "--") != 0) {
    std::fputs("usage: with_postgres -- COMMAND...\n", stderr);
    return 2;
  }
  struct sigaction action{};
  action.sa_handler = forward;
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
  auto cluster = lockstep::postgres::start_private_cluster();
  if (!cluster) {
    std::fprintf(stderr, "with_postgres: %s\n", cluster.error().message.c_str());
    return 3;
  }
  ::setenv("LOCKSTEP_TEST_DSN", (*cluster)->dsn().c_str(), 1);
  return run(argv + 2);
}
