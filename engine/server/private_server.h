// private_server.h: a database server of this program's own: made in a temporary folder, reachable through a socket in
// it alone, gone with its owner however that ends (see supervisor.h), and swept up at the next start should even the
// sweepers have been killed. What differs from store to store is a recipe.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/server/server_folder.h"
#include "kv/base/mutex.h"
#include "kv/base/result.h"

namespace lockstep::server {

/// How a store makes its server. Used by one thread at a time.
class ServerRecipe {
 public:
  virtual ~ServerRecipe() = default;

  /// Outlives every server that is made from the recipe.
  virtual const ServerKind& kind() const noexcept = 0;
  /// Fills the folder's empty data/. `attempt` counts from 1. True: when the server does not come up on this data, a
  /// further attempt, in a new folder, may go better. Fault::unavailable with the reason.
  virtual Result<bool> make_data(const ServerFolder& folder, const ServerUser& user, int attempt) = 0;
  /// The server's command line: the program first, an absolute path.
  virtual std::vector<std::string> arguments(const ServerFolder& folder) const = 0;
  /// How a client names the server in the folder.
  virtual std::string dsn(const ServerFolder& folder) const = 0;
  /// Whether the server of this DSN takes connections by now. Waits for nobody for long.
  virtual bool accepts(const std::string& dsn) const = 0;
};

/// One server and its folder. Removed by the destructor (about 20 ms). Not thread-safe; the server itself serves
/// anybody.
class PrivateServer {
 public:
  /// Sweeps stale folders of this kind up, then starts a new server; returns when it accepts connections, at most
  /// `start_max` after its data was made. Fault::unavailable when the server does not come up (the message ends with
  /// the tail of its log); faults of make_data(); permission, disk_full, io for the folder.
  static Result<std::unique_ptr<PrivateServer>> start(ServerRecipe& recipe, std::chrono::milliseconds start_max);

  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  const std::string& dsn() const noexcept;
  /// The temporary folder: data/, log, s/ (the socket).
  const std::string& folder() const noexcept;
  /// False when the server has ended by itself (killed, crashed).
  bool alive() noexcept;
  /// Process id of the server, from its own pid file; 0 when it cannot be told.
  int server_pid() const;

  /// Stops the server at once and returns without waiting: for a last resort. Async-signal-safe.
  void let_go() noexcept;

 private:
  struct Parts;
  explicit PrivateServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// The one server of its kind that this process shares: started when first asked for, and again when it has died. As a
/// static of a function it is removed at exit (also by exit(), by a signal and by kill -9). Thread-safe; `mutex_` is
/// held while the server starts, so everybody waits for the same one.
class SharedServer {
 public:
  using Start = Result<std::unique_ptr<PrivateServer>> (*)();
  explicit SharedServer(Start start) noexcept : start_(start) {}

  /// Waits as `start` does; gives its faults.
  Result<std::string> dsn() LOCKSTEP_EXCLUDES(mutex_);
  bool exists() LOCKSTEP_EXCLUDES(mutex_);
  /// Removes it now, if there is one. No session may be open on it.
  void end() noexcept LOCKSTEP_EXCLUDES(mutex_);

 private:
  const Start start_;
  Mutex mutex_;
  std::unique_ptr<PrivateServer> server_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::server
