// monitor.h: the backend's own connection beside those of the sessions. It asks the server which process waits for
// which, cancels what a session waits for, and reads and writes outside every session.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/stores/postgres/connection.h"
#include "kv/base/mutex.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

/// What a server process waits for, as the server's lock table shows it (PostgreSQL manual, 54.12 pg_locks).
struct ServerWait {
  std::vector<int> blockers;  ///< process ids; 0 = a prepared transaction
  std::string kind;           ///< "transactionid", "tuple", "relation", "advisory" ...; empty when not told
  std::string mode;           ///< "ExclusiveLock" ...
  std::string transaction;    ///< the transaction waited for, when it is one
  std::string object;         ///< row, relation or advisory key; empty when the lock table does not say
  std::string relation;       ///< of the row or the lock
  std::string row;            ///< the key in the table of rows, else the place "(0,1)"
};

/// An advisory lock by its keys as they were given to pg_advisory_lock: one of 64 bits or two of 32. `row`: classid,
/// objid, objsubid of pg_locks, something, and "kv" when classid is the table kv of this run. Scenarios use that as
/// the first key, since advisory locks are shared by the whole database.
std::string advisory_key(std::span<const std::optional<std::string>, 5> row);

/// Thread-safe: `mutex_` serializes the users of the connection, and is a leaf. Every call waits for the server, a
/// millisecond when all is well and at most the limit said.
class Monitor {
 public:
  /// Connects within `connect_max`. Faults of connect().
  static Result<std::unique_ptr<Monitor>> open(const Dsn& dsn, Nanos connect_max);

  /// One statement with parameters, or several without; at most 30 s. Faults of ask().
  Result<Table> query(const std::string& sql, std::span<const std::optional<std::string>> parameters = {})
      LOCKSTEP_EXCLUDES(mutex_);

  /// How much to find out about a wait; each costs one more question to the server than the one before.
  enum class Detail : std::uint8_t { blockers, lock, row };
  /// The processes that the server process waits for; none when it is not blocked or the server does not answer within
  /// 2 s.
  ServerWait wait_of(int pid, Detail detail = Detail::row) LOCKSTEP_EXCLUDES(mutex_);

  /// The name of the prepared transaction that the process waits for; empty when there is none, or the server does not
  /// answer within 2 s.
  std::string prepared_before(int pid) LOCKSTEP_EXCLUDES(mutex_);

  /// The server's own answer to whether the process waits for one of these, or for a safe snapshot (as its isolation
  /// tests ask it). False also when it does not answer within 2 s.
  bool is_blocked_by(int pid, const std::vector<int>& others) LOCKSTEP_EXCLUDES(mutex_);

  /// Asks the server to cancel what the process runs now. The signal is on its way when this returns, so it cannot hit
  /// a later statement. False: the server did not answer within 2 s, or the process is gone.
  bool cancel(int pid) LOCKSTEP_EXCLUDES(mutex_);

  /// Ends the process and waits until it is gone, at most 5 s.
  void terminate(int pid) LOCKSTEP_EXCLUDES(mutex_);

  /// "host ... port ... as user ... to database ...".
  const std::string& where() const noexcept { return where_; }
  int pid() const noexcept { return pid_; }                        ///< of the server process of this connection
  int server_version() const noexcept { return server_version_; }  ///< 150008 for 15.8

 private:
  Monitor(Connection connection);
  Result<Table> query_within(const std::string& sql, std::span<const std::optional<std::string>> parameters,
                             Nanos limit) LOCKSTEP_REQUIRES(mutex_);
  Result<Table> look(const char* statement, int pid) LOCKSTEP_REQUIRES(mutex_);
  void name_row(ServerWait& wait, const std::string& relation, const std::string& ctid) LOCKSTEP_REQUIRES(mutex_);

  // Constant after construction.
  std::string where_;
  int server_version_ = 0;
  int pid_ = 0;

  Mutex mutex_;
  bool is_prepared_ LOCKSTEP_GUARDED_BY(mutex_) = false;  // kPrepare
  Connection connection_ LOCKSTEP_GUARDED_BY(mutex_);     // nullptr once it is of no further use
};

}  // namespace lockstep::postgres
