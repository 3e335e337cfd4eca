// session.h: one actor's connection to the SQLite file, and its verbs.
//
// A request that finds the file locked is queued in the LockRegistry. It is stepped again when another session gives a
// lock back; nothing in here sleeps. The faults and what they leave:
//
//   busy           SQLITE_BUSY. At the deadline of the wait, or at once where SQLite refuses to wait: a transaction
//                  that has read now wants to write while another writes. The transaction stays open.
//   busy_snapshot  SQLITE_BUSY_SNAPSHOT, at once: the same, but the other has committed. The transaction stays open.
//   constraint     the statement is undone, the transaction stays open.
//   disk_full, io  SQLite may have rolled the transaction back: in_transaction() tells.
//   statement_timeout  a statement ran too long; one that writes takes its transaction with it.
//
// SQLite locks the whole file and has no row locks: read_for_update is read and scan_for_update is scan. A transaction
// that needs the right to write before it reads begins immediate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/store/backend.h"
#include "engine/stores/sqlite/connection.h"
#include "engine/stores/sqlite/lock_registry.h"

namespace lockstep::sqlite {

/// The longest wait for the file where the run sets no lock_timeout. It stands for the busy timeout that every program
/// with more than one connection sets.
inline constexpr Nanos kDefaultBusyTimeout = std::chrono::seconds(1);

/// What all sessions of a backend share. Constant but for the registry, which is thread-safe.
struct SharedByAll {
  SharedByAll(Protocol how, Nanos busy, const Clock& run_clock)
      : protocol(how), busy_timeout(busy), clock(run_clock), registry(how.journal) {}
  const Protocol protocol;
  const Nanos busy_timeout;
  const Clock& clock;
  LockRegistry registry;
};

class SqliteSession final : public Session {
 public:
  /// `shared` outlives the session.
  SqliteSession(std::unique_ptr<Connection> connection, SharedByAll& shared, int actor, const std::string& name);
  /// Rolls back what is open and lets the sessions go on that waited for it.
  ~SqliteSession() override;

  bool attempt(Pending& pending, Waiter& waiter) override;
  void cancel(Pending& pending, Fault why) override;
  std::vector<Blocker> blockers(const Pending& pending) override;
  bool in_transaction() const noexcept override { return connection_->in_transaction(); }

 private:
  /// The result of one pass through SQLite.
  struct Step {
    int code = SQLITE_OK;
    std::string words;      ///< SQLite's message when it failed
    bool read_only = true;  ///< the statement that was tried
  };

  Step step(const Request& request, Reply& reply);
  int prepare(const Request& request, sqlite3_stmt*& statement);
  int run(sqlite3_stmt* statement, const Request& request, Reply& reply);

  Level most_it_may_take(const Request& request) const;
  Level wanted(const Request& request, bool read_only) const;
  Level held() noexcept;

  bool wait(Pending& pending, LockRegistry::Queued queued);
  Error error_of(const Request& request, const Step& step) const;
  Error refused_wait(const Request& request, int code) const;
  Error gave_up(const Request& request, Fault why) const;
  void forget_request() noexcept;

  const std::unique_ptr<Connection> connection_;
  SharedByAll& shared_;
  const std::string name_;
  LockRegistry::Member& member_;
  bool commit_was_refused_ = false;  ///< rollback journal: a PENDING lock keeps new readers away

  // The request in hand, while it waits.
  Level wanted_ = Level::none;
  Nanos waiting_since_{0};
  Nanos deadline_ = kNever;
  std::optional<Fault> cancelled_with_;
};

}  // namespace lockstep::sqlite
