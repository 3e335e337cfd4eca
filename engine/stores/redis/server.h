// server.h: a private Redis (engine/server/private_server.h). Nothing is installed beforehand and there are no users:
// whoever reaches the socket may do everything, and the folder of the socket is closed to others. It keeps everything
// in memory alone: nothing of it is to outlive the program.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/server/private_server.h"
#include "kv/base/result.h"

namespace lockstep::redis {

/// Of the environment: the server where none is named by --dsn.
inline constexpr const char* kDsnVariable = "LOCKSTEP_REDIS_DSN";

/// The absolute path of redis-server, or of redis-check-rdb: the same program, which looks at the name it is called by.
/// (Debian's redis-tools has the latter alone, and starts nothing by its installation.) Looks in LOCKSTEP_REDIS_BIN
/// alone when it is set; else in PATH and where distributions install it. Fault::unavailable: the message says what to
/// install.
Result<std::string> find_server_program();

/// Sweeps stale servers up, then starts a new one (some 20 ms). Faults as PrivateServer::start(), and of
/// find_server_program().
Result<std::unique_ptr<server::PrivateServer>> start_private_server();

/// Removes the folders of private servers whose owner is gone. Gives their paths.
std::vector<std::string> remove_stale_servers();

/// True when a server is named: by `dsn`, or by the environment.
bool is_server_named(const std::string& dsn);

/// The server that is named; only when is_server_named().
std::string named_server(const std::string& dsn);

/// True while this process has its shared server.
bool has_private_server();

/// A database of the one private server that this process shares, from when it is taken until it is destroyed. The
/// server is started if need be. Thread-safe as to take().
class PrivateDatabase {
 public:
  /// Fault::unavailable when all databases are taken, and as start_private_server().
  static Result<std::unique_ptr<PrivateDatabase>> take();
  ~PrivateDatabase();
  PrivateDatabase(const PrivateDatabase&) = delete;
  PrivateDatabase& operator=(const PrivateDatabase&) = delete;

  const std::string& dsn() const noexcept { return dsn_; }

 private:
  PrivateDatabase(int number, std::string dsn) : number_(number), dsn_(std::move(dsn)) {}
  const int number_;
  const std::string dsn_;
};

}  // namespace lockstep::redis
