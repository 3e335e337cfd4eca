// session.h: what both kinds of sessions share: the run's settings, the state of the transaction, its blockers, and
// cancelling. The kinds differ in the library and in whether attempt() blocks.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/server/one_processor.h"
#include "engine/store/backend.h"
#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/monitor.h"
#include "engine/stores/postgres/statements.h"
#include "kv/base/mutex.h"

namespace lockstep::postgres {

/// Which actor a server process works for. Thread-safe; `mutex_` is a leaf.
class Actors {
 public:
  void add(int pid, int actor, std::string name) LOCKSTEP_EXCLUDES(mutex_);
  void remove(int pid) LOCKSTEP_EXCLUDES(mutex_);
  /// -1 for a process outside this run.
  int actor_of(int pid) const LOCKSTEP_EXCLUDES(mutex_);
  /// Empty for a process outside this run.
  std::string name_of(int pid) const LOCKSTEP_EXCLUDES(mutex_);
  /// The processes, in the order of their numbers.
  std::vector<int> pids() const LOCKSTEP_EXCLUDES(mutex_);

 private:
  struct Known {
    int actor = -1;
    std::string name;
  };
  mutable Mutex mutex_;
  std::map<int, Known> actors_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// Connections that wait for another session: to connect costs a process of the server, far more than a whole run of a
/// search. Thread-safe; `mutex_` is a leaf.
class IdleConnections {
 public:
  struct Idle {
    Connection connection;
    std::string ready_for;  ///< the name of the session whose settings it has
  };
  /// Best one that is ready for this session. Without a connection: there is none.
  Idle take(const std::string& name) LOCKSTEP_EXCLUDES(mutex_);
  /// It must be outside a transaction, with nothing in flight.
  void give(Idle idle) LOCKSTEP_EXCLUDES(mutex_);
  /// Closes them: what they have prepared is of no use any more.
  void clear() LOCKSTEP_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<Idle> idle_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// What the sessions of one backend share. Outlives them; constant after the backend was opened but for the parts that
/// do their own locking.
struct Common {
  Dsn dsn;                    ///< to connect to
  std::string isolation;      ///< "repeatable read"
  std::string session_setup;  ///< SET statements that each session runs first
  Nanos connect_max{};
  std::string bare_name;  ///< of bare mode: the file; its sessions have no settings of ours, and no table of rows
  std::unique_ptr<Monitor> monitor;
  Actors actors;
  IdleConnections idle;  ///< of sessions that do not block
  /// What the server shows as the session's application_name.
  std::string application_of(const std::string& session) const;
  /// Of a search whose schema holds no function and no sequence of the user's: is_plain() tells what leaves a session
  /// as it was.
  bool knows_plain = false;
  bool ddl_leaves_traces = false;             ///< functions that it has made may do the same: leaves_traces()
  std::atomic<bool> has_seen_layout = false;  ///< a statement has: sees_layout()
  bool has_limits = false;                    ///< session_setup sets a limit on waits or statements
  bool describes_waits = true;                ///< for people: what lock, which row
  /// Of a store on several servers: the actor that made the prepared transaction of that name; -1 for one of somebody
  /// else. Empty: nobody of the run prepares, or nobody keeps account of it.
  std::function<int(const std::string&)> preparer_of = {};
  std::unique_ptr<server::OneProcessor> processor;  ///< nullptr: the machine decides where everybody runs
};

/// A session on a connection of its own. attempt() belongs to its actor; cancel() and blockers() may come from any
/// thread. Lock order: mutex_, then the monitor's.
class PostgresSession : public Session {
 public:
  ~PostgresSession() override;
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  void cancel(Pending& pending, Fault why) override LOCKSTEP_EXCLUDES(mutex_);
  std::vector<Blocker> blockers(const Pending& pending) override LOCKSTEP_EXCLUDES(mutex_);
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool has_limit() const noexcept override { return common_.has_limits || may_have_limit_.load(); }
  bool holds_beyond_transaction() const noexcept override { return may_lock_ && !lost_; }

  std::string statement_of(const Request& request) const override;

  /// What the session shares with the others of its backend.
  Common& common() noexcept { return common_; }
  /// The server process that works for this session (its pg_backend_pid()).
  int server_pid() const noexcept { return pid_; }

 protected:
  PostgresSession(Common& common, int actor) : common_(common), actor_(actor) {}

  /// Once the connection stands.
  void attach(int pid, const std::string& name);

  /// Called before anything is sent. True: the request has finished, with an error or without asking the server (an
  /// abort with nothing to roll back). False: `call` has been filled.
  bool finish_early(Pending& pending, Call& call);

  /// Around the time in which the server works on a request; flight_ends gives the fault of a cancel that came
  /// meanwhile.
  void flight_begins() LOCKSTEP_EXCLUDES(mutex_);
  std::optional<Fault> flight_ends() LOCKSTEP_EXCLUDES(mutex_);

  /// What the server answered, in one form for both libraries.
  struct ServerAnswer {
    bool failed = false;
    bool sent = true;    ///< false: nothing has left this process
    bool lost = false;   ///< the connection is gone
    bool fatal = false;  ///< the server itself ended the session: `code` says why, not whether the request was done
    std::string code;    ///< SQLSTATE
    std::string said;    ///< the server's message
    std::string tag;     ///< "COMMIT", "ROLLBACK"; empty where the library does not give it
    Facts facts;         ///< of a failure, part by part
    std::vector<StatementResult> results;  ///< of a statement in SQL, as far as it got
    Table table;
    std::int64_t rows = 0;
    std::optional<bool> in_transaction;  ///< as the library sees it; nullopt = conclude it from the request
    std::optional<Fault> cancelled;      ///< from flight_ends()
  };
  /// Fills `pending` and keeps track of the transaction.
  void settle(Pending& pending, ServerAnswer outcome);

  Common& common_;
  bool lost_ = false;

 private:
  Error error_of(const Request& request, const ServerAnswer& outcome) const;
  Error sentence_of(const Request& request, const ServerAnswer& outcome) const;

  const int actor_;
  int pid_ = 0;
  bool in_transaction_ = false;
  bool may_lock_ = false;                    // a statement may have taken a lock of the session
  std::atomic<bool> may_have_limit_{false};  // a statement may have set one
  /// Why the open transaction can only be rolled back: its first failure.
  std::optional<Error> doomed_;

  Mutex mutex_;
  bool in_flight_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  std::optional<Fault> cancelled_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// What is needed for further connections to where `session` is; nullptr for a session of another store. Lives as long
/// as the session's backend.
Common* common_of(Session* session) noexcept;

/// A session whose attempt() never blocks (libpq). `common` must outlive it. Waits for connecting at most
/// common.connect_max; faults of connect() and of the SETs.
Result<std::unique_ptr<PostgresSession>> open_nonblocking_session(Common& common, int actor, const std::string& name);

/// A session whose attempt() blocks until the server has answered (libpqxx).
Result<std::unique_ptr<Session>> open_blocking_session(Common& common, int actor, const std::string& name);

}  // namespace lockstep::postgres
