// session.h: a session on two servers: a connection to each. Its transaction has a branch on every server that it has
// used, and its commit brings both to one end.
//
//   begin      nothing is sent; a branch begins with the first request for its server
//   commit     one branch: COMMIT. Two: PREPARE TRANSACTION on both, the decision into the log, COMMIT PREPARED on both
//   execute    "@2 select …" goes to the second server; without a name to the first
//
// A request is a list of parts, each a request to one server; they are sent one after the other.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/postgres-2/joint_graph.h"
#include "engine/stores/postgres-2/placement.h"
#include "kv/base/mutex.h"

namespace lockstep::postgres_2 {

/// Which actor has prepared which transaction, while nobody has ended it. Thread-safe; `mutex_` is a leaf.
class Preparers {
 public:
  void prepared(const std::string& name, int actor) LOCKSTEP_EXCLUDES(mutex_);
  void ended(const std::string& name) LOCKSTEP_EXCLUDES(mutex_);
  void clear() LOCKSTEP_EXCLUDES(mutex_);
  /// -1: nobody of this run.
  int actor_of(const std::string& name) const LOCKSTEP_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::map<std::string, int> actors_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// What the sessions of one backend share. Outlives them; constant after the backend was opened but for the parts that
/// do their own locking.
struct PairCommon {
  std::string run;               ///< stands before the names of prepared transactions
  std::string isolation;         ///< "repeatable read"
  bool commits_in_turn = false;  ///< COMMIT on one server, then on the other: no two-phase commit
  std::array<postgres::Common*, kServers> servers{};
  bool has_foreign_tables = false;          ///< a statement of the latest set-up has linked the servers
  std::unique_ptr<JointDetector> detector;  ///< nullptr: nobody looks at both servers
  Preparers preparers;
  std::atomic<std::uint64_t> flights{0};  // relaxed: numbers that differ
};

/// attempt() belongs to its actor and never blocks; cancel(), blockers() and what JointMember asks may come from any
/// thread. Lock order: mutex_, then those of the sessions on the servers.
class PairSession final : public Session, public JointMember {
 public:
  /// `name`: no other session of the run so far has it, so that no two transactions are prepared under one name.
  /// `sessions`: one on each server, in order.
  PairSession(PairCommon& common, int actor, const std::string& name,
              std::array<std::unique_ptr<postgres::PostgresSession>, kServers> sessions);
  ~PairSession() override;
  PairSession(const PairSession&) = delete;
  PairSession& operator=(const PairSession&) = delete;

  bool attempt(Pending& pending, Waiter& waiter) override;
  void cancel(Pending& pending, Fault why) override LOCKSTEP_EXCLUDES(mutex_);
  std::vector<Blocker> blockers(const Pending& pending) override LOCKSTEP_EXCLUDES(mutex_);
  Arrival arrival() override;
  std::string statement_of(const Request& request) const override;
  bool in_transaction() const noexcept override;
  bool has_limit() const noexcept override;
  bool holds_beyond_transaction() const noexcept override;

  std::optional<JointFlight> flight() const override LOCKSTEP_EXCLUDES(mutex_);
  void give_up(const JointFlight& flight, const std::string& text) override LOCKSTEP_EXCLUDES(mutex_);

 private:
  /// Of the open transaction, on one server.
  enum class Branch : unsigned char {
    none,  ///< not begun
    open,
    ended,  ///< a statement of the body has ended it here alone
  };
  /// What the end of a part means for the request.
  enum class Role : unsigned char { begin, request, commit, prepare, decide, resolve, undo };
  struct ServerPart {
    std::size_t server = 0;
    Role role = Role::request;
    Verb verb = Verb::execute;
    std::string text = {};  ///< of a statement; other parts take what the request has
  };

  bool finish_early(Pending& pending) const;
  /// The parts of the request as things stand, in order.
  std::vector<ServerPart> plan(const Request& request) const;
  void plan_branch(std::vector<ServerPart>& parts, std::size_t server) const;
  std::vector<ServerPart> plan_commit() const;
  std::vector<ServerPart> plan_execute(const Request& request) const;
  ServerPart part_for(std::size_t server, PreparedName::Action action, std::string_view name) const;
  std::string next_name() const;
  bool is_open(std::size_t server) const noexcept { return sessions_[server]->in_transaction(); }

  void start(const ServerPart& part, const Request& request);
  void take_off(std::size_t server) LOCKSTEP_EXCLUDES(mutex_);
  void land() LOCKSTEP_EXCLUDES(mutex_);
  /// Takes in how the part has ended. After a failure the request ends with pending.error, or goes on with other parts.
  void took(const ServerPart& part, Pending& pending);
  void took_request(const ServerPart& part, Pending& pending);
  void took_of_commit(const ServerPart& part, Pending& pending);
  void failed(const ServerPart& part, Pending& pending);
  void failed_to_commit(const ServerPart& part, Pending& pending);
  Error error_at(const ServerPart& part, const Request& request);
  void undo_after(std::size_t failed);
  void note_branches(const ServerPart& part, const Request& request, bool failed);
  void end_transaction() noexcept;
  void finish(Pending& pending);

  PairCommon& common_;
  const int actor_;
  const std::string name_;
  const std::array<std::unique_ptr<postgres::PostgresSession>, kServers> sessions_;
  std::array<int, kServers> pids_{};  // of the server's processes; constant after construction

  bool is_open_ = false;                               // between begin and commit or abort
  std::array<Branch, kServers> branches_{};            // none outside a transaction
  std::array<std::optional<Error>, kServers> doomed_;  // why the branch can only be rolled back
  std::uint64_t commits_ = 0;                          // two-phase ones, for names

  // The request in hand.
  std::vector<ServerPart> parts_;
  std::size_t next_ = 0;    // of parts_
  bool is_on_way_ = false;  // the part next_
  Pending inner_;
  std::string name_of_commit_;
  std::array<bool, kServers> prepared_{};
  std::array<bool, kServers> committed_{};
  bool is_decided_ = false;
  std::optional<Error> commit_failed_;

  mutable Mutex mutex_;
  std::optional<JointFlight> flight_ LOCKSTEP_GUARDED_BY(mutex_);
  std::optional<Fault> cancelled_ LOCKSTEP_GUARDED_BY(mutex_);  // the request in hand, by the engine
  std::string cycle_ LOCKSTEP_GUARDED_BY(mutex_);               // it is the victim of this one
};

}  // namespace lockstep::postgres_2
