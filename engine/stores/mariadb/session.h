// session.h: an actor's session, which never blocks, and what the sessions of a run share.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/server/one_processor.h"
#include "engine/store/backend.h"
#include "engine/stores/mariadb/async_connection.h"
#include "engine/stores/mariadb/connection.h"
#include "engine/stores/mariadb/monitor.h"
#include "kv/base/mutex.h"

namespace lockstep::mariadb {

/// Which actor a connection works for. Thread-safe; `mutex_` is a leaf.
class MariaActors {
 public:
  void add(std::uint64_t thread, int actor) LOCKSTEP_EXCLUDES(mutex_);
  void remove(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);
  /// From now on the connection may have, or asks for, locks of tables as a whole. Gives the number of the request.
  std::uint64_t note_request(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);
  /// It has none, and asks for none.
  void note_quiet(std::uint64_t thread) LOCKSTEP_EXCLUDES(mutex_);
  /// -1 for a connection outside this run.
  int actor_of(std::uint64_t thread) const LOCKSTEP_EXCLUDES(mutex_);
  /// The actors of the other connections that have been active since before that request. Who came later cannot hold it
  /// up.
  std::vector<int> active_before(std::uint64_t request, std::uint64_t thread) const LOCKSTEP_EXCLUDES(mutex_);

 private:
  struct KnownConnection {
    int actor = -1;
    std::uint64_t active_since = 0;  ///< a number of a request; 0 = it is quiet
  };
  mutable Mutex mutex_;
  std::uint64_t requests_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, KnownConnection> actors_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// Connections that wait for another session: a search opens sessions for each of its runs. Thread-safe; `mutex_` is a
/// leaf.
class IdleMariaConnections {
 public:
  struct IdleMariaConnection {
    Connection connection;
    bool is_set_up = false;  ///< has the run's settings
  };
  /// Without a connection: there is none.
  IdleMariaConnection take() LOCKSTEP_EXCLUDES(mutex_);
  /// It must be outside a transaction, with nothing in flight.
  void give(IdleMariaConnection idle) LOCKSTEP_EXCLUDES(mutex_);
  void clear() LOCKSTEP_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<IdleMariaConnection> idle_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// What the sessions of a run may leave behind them, on any server. Thread-safe.
struct MariaTraces {
  std::atomic<bool> locks_beyond_rows{false};  ///< a statement of the run may have taken one
  std::atomic<bool> may_have_new_rows{false};  ///< in the table of rows, other than those it was filled with
};

/// The cluster that a server is a node of. Thread-safe.
class MariaCluster {
 public:
  virtual ~MariaCluster() = default;
  /// Returns when the other nodes show all that has been committed on this one: a quarter of a millisecond each when
  /// all is well.
  virtual void let_others_see(int node) = 0;
  /// Commits that are sent from now on stay under way, on every node. False: the cluster cannot do that.
  virtual bool hold_commits() = 0;
  /// What is held goes on. Does nothing when nothing is.
  virtual void deliver_commits() = 0;
};

/// What the sessions of one backend share. Outlives them; constant after the backend was opened but for the parts that
/// do their own locking.
struct MariaCommon {
  MariaDsn dsn;
  std::string session_setup;  ///< statements that each session runs first
  Nanos connect_max{};
  std::unique_ptr<MariaMonitor> monitor;
  MariaActors actors;
  IdleMariaConnections idle;
  StoreObserver* observer = nullptr;
  bool has_limits = false;  ///< session_setup sets a limit on waits or statements
  /// Its limit on statements stands for one on waits, which the server itself counts in whole seconds.
  bool limit_is_for_locks = false;
  bool describes_waits = true;                      ///< for people: what lock, which row
  std::unique_ptr<server::OneProcessor> processor;  ///< nullptr: the machine decides where everybody runs
  std::shared_ptr<MariaTraces> traces = std::make_shared<MariaTraces>();
  MariaCluster* cluster = nullptr;  ///< nullptr: the server stands alone
  int node = 0;                     ///< of the cluster, from 0
  /// BrokenDeadlock::victim_statement of the latest one that its victim has read of.
  std::atomic<std::uint64_t> deadlock_told{0};
};

/// A session on a connection of its own. attempt() belongs to its actor; cancel() and blockers() may come from any
/// thread. Lock order: mutex_, then the monitor's.
///
///   phase 0 --send--> phase 1: answers --a statement of its own failed--> phase 2: is the transaction open? -->
///   settled
class MariadbSession final : public Session {
 public:
  /// `common` must outlive it. Waits for connecting at most common.connect_max; faults of connect() and of the setup.
  static Result<std::unique_ptr<Session>> open(MariaCommon& common, int actor);
  ~MariadbSession() override;
  MariadbSession(const MariadbSession&) = delete;
  MariadbSession& operator=(const MariadbSession&) = delete;

  bool attempt(Pending& pending, Waiter& waiter) override LOCKSTEP_EXCLUDES(mutex_);
  void cancel(Pending& pending, Fault why) override LOCKSTEP_EXCLUDES(mutex_);
  std::vector<Blocker> blockers(const Pending& pending) override LOCKSTEP_EXCLUDES(mutex_);
  Arrival arrival() override;
  std::string statement_of(const Request& request) const override;
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool has_limit() const noexcept override { return common_.has_limits || may_have_limit_.load(); }
  bool holds_beyond_transaction() const noexcept override { return may_lock_ && !lost_; }

 private:
  MariadbSession(MariaCommon& common, int actor) : common_(common), actor_(actor) {}

  std::optional<Error> connect_and_set_up();
  /// Before anything is sent. True: the request has finished.
  bool finish_early(Pending& pending);
  /// Savepoints: the server has one of a name, and does not tell "s" from "S".
  Result<std::string> savepoint_statement(const Request& request);
  void send(Pending& pending);
  bool take(Pending& pending);
  void settle(Pending& pending);
  void settle_failure(Pending& pending, const std::optional<Fault>& cancelled);
  void note_what_was_asked(const Request& request);
  void note_whether_quiet();
  Error error_of(const Request& request, const std::optional<Fault>& cancelled) const;
  std::optional<Fault> flight_ends() LOCKSTEP_EXCLUDES(mutex_);
  /// The first of the two steps of a commit: it is on its way to the other nodes, and stays there.
  std::optional<Error> send_commit();
  std::vector<Blocker> blockers_beyond_rows(const Request& request) const;
  void settle_deadlock(Pending& pending, const std::optional<Fault>& cancelled);
  void settle_conflict(Pending& pending, const std::optional<Fault>& cancelled);
  void tell_of_deadlock(const BrokenDeadlock& told);

  MariaCommon& common_;
  const int actor_;
  AsyncMariaConnection connection_;
  std::uint64_t thread_ = 0;
  bool lost_ = false;
  bool sent_ = true;  ///< false: nothing of the request has left this process
  bool in_transaction_ = false;
  bool commit_sent_ = false;  ///< by a step of its own; its answer is still to be taken
  bool may_lock_ = false;     ///< a statement may have taken a lock of the session
  bool ran_sql_ = false;      ///< which may have changed settings
  bool is_scheduled_ = false;
  bool waits_ = false;                                           ///< a request is in flight
  std::atomic<std::uint64_t> request_{0};                        ///< the number of the one in flight (Actors)
  std::atomic<bool> may_have_limit_{false};                      ///< a statement may have set one
  std::vector<std::pair<std::string, std::string>> savepoints_;  ///< name, and that on the server; the latest last
  std::uint64_t savepoints_made_ = 0;

  // The failure of a statement, while the session asks whether its transaction is open.
  std::optional<Error> failure_;
  unsigned failure_number_ = 0;
  std::vector<MariaAnswer> answers_;

  Mutex mutex_;
  bool in_flight_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  std::optional<Fault> cancelled_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::mariadb
