// supervisor.h: child processes of a private server: a program run to its end, and a server under a supervisor.
//
// The supervisor is a small process between the owner and the server. It has a session of its own, so that a ^C in the
// terminal reaches neither of the two. It holds the reading end of a pipe; only the owner has the writing end. However
// the owner ends (return, exit, signal, kill -9), the pipe closes. Then the supervisor stops the server, reaps it and
// removes the folder. When the supervisor itself is killed, the kernel stops the server (PR_SET_PDEATHSIG). That works
// because the thread that forked the server is the supervisor's only one.
//
//   owner ──pipe──▶ supervisor ──parent of──▶ server
//
// A child that this process forks later without exec inherits the writing end; the server then lives until it ends too.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "engine/server/server_folder.h"
#include "kv/base/result.h"

namespace lockstep::server {

/// Runs `arguments` (the program first, an absolute path) as `user` in a session of its own, in the folder; its input
/// is the file `input`, its output is appended to the folder's log. Waits for its end, at most `limit`. The program
/// dies with the calling thread. Fault::unavailable with the reason when it cannot be started, fails, or takes longer
/// (then it is killed).
Result<void> run_to_end(const std::vector<std::string>& arguments, const ServerUser& user, const ServerFolder& folder,
                        const std::string& input, std::chrono::seconds limit);

/// A server under its supervisor. Movable; not thread-safe.
class SupervisedServer {
 public:
  SupervisedServer() = default;
  ~SupervisedServer();
  SupervisedServer(SupervisedServer&& other) noexcept;
  SupervisedServer& operator=(SupervisedServer&& other) noexcept;

  /// Starts `arguments` as `user`, output appended to the folder's log. Returns once the supervisor runs. When the
  /// server could not be started, ended() says so. Fault::unavailable when the machine gives no process or pipe.
  static Result<SupervisedServer> start(const std::vector<std::string>& arguments, const ServerUser& user,
                                        const ServerFolder& folder);

  /// True when the server has ended without stop(), or was never started.
  bool ended() noexcept;

  /// Stops the server and waits until it is reaped and the folder is removed, at most 15 s. After that it kills the
  /// supervisor, and the server ends with it. Does nothing the second time.
  void stop() noexcept;

  /// Closes the pipe and does not wait; async-signal-safe.
  void let_go() noexcept;

 private:
  int pipe_ = -1;
  pid_t supervisor_ = -1;
};

}  // namespace lockstep::server
