// supervisor.cc: forks. Between fork and exec (and in the supervisor, which never execs before its end) only
// async-signal-safe calls are made: another thread of the owner may have held any lock at the moment of the fork.
#include "engine/server/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

namespace lockstep::server {
namespace {

// The supervisor's descriptors; it closes every other one.
constexpr int kOwnerPipe = 0;
constexpr int kLock = 3;
constexpr int kFirstUnused = 4;

constexpr int kStopMsMax = 4000;      // for each signal
constexpr int kOwnerWaitsMs = 15000;  // for the supervisor: more than it takes in the worst case

/// Argument and environment vectors, made before the fork because they allocate.
class Vectors {
 public:
  explicit Vectors(const std::vector<std::string>& arguments) : arguments_(arguments) {
    // The user's locale, time zone and settings for database clients must not change what the server is;
    // LD_LIBRARY_PATH must stay.
    environment_ = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "LANG=C", "TZ=UTC", "HOME=/"};
    if (const char* path = std::getenv("LD_LIBRARY_PATH"))
      environment_.push_back(fmt::format("LD_LIBRARY_PATH={}", path));
    for (auto& argument : arguments_) argv_.push_back(argument.data());
    for (auto& variable : environment_) envp_.push_back(variable.data());
    argv_.push_back(nullptr);
    envp_.push_back(nullptr);
  }
  Vectors(const Vectors&) = delete;
  Vectors& operator=(const Vectors&) = delete;

  char* const* argv() const { return argv_.data(); }
  char* const* envp() const { return envp_.data(); }

 private:
  std::vector<std::string> arguments_, environment_;
  std::vector<char*> argv_, envp_;
};

/// Everything that the children need, as plain values.
struct Plan {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* folder;
  const char* supervisor;  ///< its name
  int stop_signal;
  ServerUser user;
};

Plan plan_of(const Vectors& vectors, const ServerUser& user, const ServerFolder& folder) {
  return {.program = vectors.argv()[0],
          .argv = vectors.argv(),
          .envp = vectors.envp(),
          .folder = folder.path().c_str(),
          .supervisor = folder.kind().name,
          .stop_signal = folder.kind().stop_signal,
          .user = user};
}

void sleep_ms(long ms) noexcept {
  timespec span{ms / 1000, ms % 1000 * 1'000'000};
  ::nanosleep(&span, nullptr);
}

/// Waits for the child's end, at most `ms_max`; asks often at first, then more slowly. False: it still runs.
bool reaped_within(pid_t child, long ms_max, int* status) noexcept {
  long step = 1;
  for (long waited = 0;; waited += step, step = step < 20 ? step + 1 : 20) {
    const pid_t done = ::waitpid(child, status, WNOHANG);
    if (done == child || (done < 0 && errno != EINTR)) return true;
    if (waited >= ms_max) return false;
    sleep_ms(step);
  }
}

/// Resets handlers and masks, which the child inherits from the owner.
void reset_signals() noexcept {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void say(const char* text) noexcept {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

/// Becomes the program: gives up privileges, dies with its parent. Never returns.
[[noreturn]] void become(const Plan& plan, pid_t parent, int signal_at_parents_death) noexcept {
  const bool dropped = !plan.user.drop ||
                       (::setgroups(0, nullptr) == 0 && ::setresgid(plan.user.gid, plan.user.gid, plan.user.gid) == 0 &&
                        ::setresuid(plan.user.uid, plan.user.uid, plan.user.uid) == 0);
  if (!dropped) {
    say("lockstep: cannot give up root's privileges to run the server\n");
    ::_exit(126);
  }
  // After the change of user, which clears it. The parent may have died before; then the child must end at once.
  ::prctl(PR_SET_PDEATHSIG, signal_at_parents_death);
  if (::getppid() != parent) ::_exit(125);
  if (::chdir(plan.folder) != 0) say("lockstep: the server's user cannot enter its folder\n");
  ::execve(plan.program, plan.argv, plan.envp);
  say("lockstep: cannot start ");
  say(plan.program);
  say("\n");
  ::_exit(127);
}

void close_from(int first) noexcept {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (int fd = first; fd < 65536; ++fd) ::close(fd);  // a kernel before 5.9
}

/// Immediate shutdown first: nothing of the server is kept, so there is nothing to check-point. SIGKILL if that fails.
void stop_server(pid_t server, int stop_signal) noexcept {
  int status = 0;
  for (const int signal : {stop_signal, SIGKILL}) {
    ::kill(server, signal);
    if (reaped_within(server, kStopMsMax, &status)) return;
  }
}

extern "C" void note_child(int) {}

/// The supervisor's life. `owner`: reading end of the owner's pipe; `lock`, `log`: of the folder.
[[noreturn]] void supervise(const Plan& plan, int owner, int lock, int log) noexcept {
  ::setsid();
  reset_signals();
  // Up and out of the way first, since the owner's numbers may be any.
  owner = ::fcntl(owner, F_DUPFD, 16);
  lock = ::fcntl(lock, F_DUPFD, 16);
  log = ::fcntl(log, F_DUPFD, 16);
  if (::dup2(owner, kOwnerPipe) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0 || ::dup2(lock, kLock) < 0) ::_exit(1);
  close_from(kFirstUnused);
  ::prctl(PR_SET_NAME, plan.supervisor);

  // SIGCHLD is let through only inside ppoll, so that an end between the checks is not missed.
  struct sigaction action{};
  action.sa_handler = note_child;
  ::sigaction(SIGCHLD, &action, nullptr);
  sigset_t blocked, open;
  ::sigemptyset(&open);
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);

  const pid_t self = ::getpid();
  const pid_t server = ::fork();
  if (server < 0) ::_exit(1);
  if (server == 0) {
    reset_signals();
    ::close(kLock);  // the server must not keep the folder's lock
    ::close(kOwnerPipe);
    if (::open("/dev/null", O_RDONLY) != 0) ::_exit(1);
    become(plan, self, plan.stop_signal);
  }
  for (;;) {
    pollfd pipe{kOwnerPipe, POLLIN, 0};
    const int ready = ::ppoll(&pipe, 1, nullptr, &open);
    int status = 0;
    // The server ended by itself. The folder stays, so that the owner can show the log; the owner removes it.
    if (::waitpid(server, &status, WNOHANG) == server) ::_exit(1);
    if (ready == 1) break;  // end of file: the owner let go or is dead
  }
  ::signal(SIGCHLD, SIG_DFL);
  stop_server(server, plan.stop_signal);
  // The lock is kept to the end (it is not close-on-exec): nobody else begins to remove the same folder.
  if (::chdir("/") != 0) ::_exit(1);
  char remove[] = "rm", options[] = "-rf", end_of_options[] = "--";
  char* const arguments[] = {remove, options, end_of_options, const_cast<char*>(plan.folder), nullptr};
  ::execve("/bin/rm", arguments, plan.envp);
  ::_exit(1);
}

Error no_process(const ServerKind& kind, const std::string& what) {
  return Error{
      Fault::unavailable, {}, fmt::format("cannot start a private {}: {}: {}", kind.title, what, std::strerror(errno))};
}

int open_log(const std::string& path) { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600); }

}  // namespace

Result<void> run_to_end(const std::vector<std::string>& arguments, const ServerUser& user, const ServerFolder& folder,
                        const std::string& input, std::chrono::seconds limit) {
  const Vectors vectors(arguments);
  const Plan plan = plan_of(vectors, user, folder);
  const int read_from = ::open(input.c_str(), O_RDONLY | O_CLOEXEC);
  if (read_from < 0) return no_process(folder.kind(), input);
  const int output = open_log(folder.log());
  if (output < 0) {
    ::close(read_from);
    return no_process(folder.kind(), folder.log());
  }
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    reset_signals();
    if (::dup2(read_from, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) ::_exit(1);
    close_from(3);
    become(plan, self, SIGKILL);
  }
  ::close(output);
  ::close(read_from);
  if (child < 0) return no_process(folder.kind(), "fork");
  int status = 0;
  if (!reaped_within(child, std::chrono::milliseconds(limit).count(), &status)) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return Error{Fault::unavailable, {}, fmt::format("{} took more than {} s", arguments.front(), limit.count())};
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{Fault::unavailable, {}, fmt::format("{} failed:\n{}", arguments.front(), tail_of(folder.log(), 12))};
}

SupervisedServer::~SupervisedServer() { stop(); }

SupervisedServer::SupervisedServer(SupervisedServer&& other) noexcept
    : pipe_(std::exchange(other.pipe_, -1)), supervisor_(std::exchange(other.supervisor_, -1)) {}

SupervisedServer& SupervisedServer::operator=(SupervisedServer&& other) noexcept {
  if (this != &other) {
    stop();
    pipe_ = std::exchange(other.pipe_, -1);
    supervisor_ = std::exchange(other.supervisor_, -1);
  }
  return *this;
}

Result<SupervisedServer> SupervisedServer::start(const std::vector<std::string>& arguments, const ServerUser& user,
                                                 const ServerFolder& folder) {
  const Vectors vectors(arguments);
  const Plan plan = plan_of(vectors, user, folder);
  const int log = open_log(folder.log());
  if (log < 0) return no_process(folder.kind(), folder.log());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    ::close(log);
    return no_process(folder.kind(), "pipe");
  }
  SupervisedServer result;
  result.pipe_ = ends[1];
  result.supervisor_ = ::fork();
  if (result.supervisor_ == 0) supervise(plan, ends[0], folder.lock_fd(), log);
  ::close(ends[0]);
  ::close(log);
  if (result.supervisor_ < 0) return no_process(folder.kind(), "fork");
  return result;
}

bool SupervisedServer::ended() noexcept {
  if (supervisor_ > 0) {
    int status = 0;
    const pid_t done = ::waitpid(supervisor_, &status, WNOHANG);
    if (done == supervisor_ || (done < 0 && errno == ECHILD)) supervisor_ = -1;
  }
  return supervisor_ <= 0;
}

void SupervisedServer::let_go() noexcept {
  if (pipe_ >= 0) ::close(std::exchange(pipe_, -1));
}

void SupervisedServer::stop() noexcept {
  let_go();
  if (supervisor_ <= 0) return;
  int status = 0;
  if (!reaped_within(supervisor_, kOwnerWaitsMs, &status)) {
    ::kill(supervisor_, SIGKILL);
    ::waitpid(supervisor_, &status, 0);
  }
  supervisor_ = -1;
}

}  // namespace lockstep::server
