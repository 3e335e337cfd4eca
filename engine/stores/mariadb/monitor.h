// monitor.h: the backend's own connection beside those of the sessions. It asks the server who waits for whom, ends
// what a session waits for, and reads and writes outside every session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/stores/mariadb/connection.h"
#include "engine/stores/mariadb/locks.h"
#include "kv/base/mutex.h"
#include "kv/base/result.h"

namespace lockstep::mariadb {

/// Thread-safe: `mutex_` serializes the users of the connection, and is a leaf. Every call waits for the server, a
/// fifth of a millisecond when all is well and half a minute at most.
class MariaMonitor {
 public:
  /// Connects within `connect_max`. Faults of connect().
  static Result<std::unique_ptr<MariaMonitor>> open(const MariaDsn& dsn, Nanos connect_max);

  /// One statement, or several; the rows of the last.
  Result<Table> query(const std::string& sql) LOCKSTEP_EXCLUDES(mutex_);
  /// The first column of the first row; empty when there is none.
  std::string value_of(const std::string& sql) LOCKSTEP_EXCLUDES(mutex_);

  /// SHOW ENGINE INNODB STATUS; empty when the server does not answer.
  std::string status() LOCKSTEP_EXCLUDES(mutex_);
  /// What the server shows that a connection is at: "Waiting for table metadata lock".
  std::string state_of(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);

  /// Ends what the connection runs now, and leaves its transaction open.
  void kill_query(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);
  /// Ends the connection and waits until it is gone, at most 5 s.
  void kill_connection(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);

  const std::string& where() const noexcept { return where_; }
  /// The process of a server on this machine that was reached by its socket; 0 else.
  int server_pid() const noexcept { return server_pid_; }

 private:
  MariaMonitor(Connection connection, std::string where);

  // Constant after construction.
  const std::string where_;
  int server_pid_ = 0;

  Mutex mutex_;
  Connection connection_ LOCKSTEP_GUARDED_BY(mutex_);  // nullptr once it is of no further use
};

}  // namespace lockstep::mariadb
