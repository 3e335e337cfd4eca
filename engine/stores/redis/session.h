// session.h: an actor's session, which never blocks, and what the sessions of a run share.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/redis/commands.h"
#include "engine/stores/redis/connection.h"
#include "engine/stores/redis/protocol.h"

namespace lockstep::redis {

/// The sorted set of all keys of rows: Redis keeps its keys in no order, and a scan needs one. Every commit that makes
/// or erases rows keeps it up, in the same EXEC. Keys that begin like this are not rows.
inline constexpr std::string_view kOwnKeys = "lockstep:";
inline constexpr const char* kIndex = "lockstep:rows";

/// What the sessions of one backend share. Outlives them; constant after the backend was opened.
struct RedisCommon {
  RedisDsn dsn;
  RedisWatch watch = RedisWatch::nothing;
  Nanos connect_max{};
};

/// A session on a connection of its own. Reads ask the server; writes are kept here, where the session's own reads see
/// them, and go to the server at the commit: MULTI, the writes, EXEC. Nobody waits for another session: a request that
/// is not finished is in flight.
///
///   phase   what was sent                            then
///   key     WATCH of the key, its GET                the verb is performed on the value
///   names   WATCH of the index, keys of the range    rows
///   rows    WATCH of these keys, their values        finished
///   exec    MULTI, the writes, EXEC                  nil: Fault::validation_failure, the transaction has ended
///   ends    UNWATCH or DISCARD                       finished; with the failure that led to it, if there is one
///   own     a command of the scenario's own          finished
///
/// attempt() belongs to its actor; cancel() and blockers() may come from any thread.
class RedisSession final : public Session {
 public:
  /// `common` must outlive it. Waits for connecting at most common.connect_max; faults of RedisConnection::open().
  static Result<std::unique_ptr<Session>> open(const RedisCommon& common);

  bool attempt(Pending& pending, Waiter& waiter) override;
  /// The server is not asked: the connection is given up, and with it the session.
  void cancel(Pending& pending, Fault why) override;
  std::vector<Blocker> blockers(const Pending& /*pending*/) override { return {}; }
  Arrival arrival() override;
  std::string statement_of(const Request& request) const override;
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool holds_beyond_transaction() const noexcept override { return watches_by_itself_ && !is_lost(); }

 private:
  RedisSession(const RedisCommon& common, std::unique_ptr<RedisConnection> connection)
      : common_(common), connection_(std::move(connection)) {}

  struct MadeSavepoint {
    std::string name;
    std::map<std::string, std::optional<std::string>> own;
    std::vector<RedisCommand> queued;
  };

  bool is_lost() const noexcept { return connection_->failure().has_value(); }
  bool watches(Verb verb) const noexcept;
  std::vector<RedisCommand> commands_for_key(const Request& request) const;
  RedisCommand names_in_range(const Request& request) const;
  std::vector<RedisCommand> commands_for_names(const Request& request) const;
  std::vector<RedisCommand> commands_for_commit() const;
  std::vector<RedisCommand> commands_for_end() const;

  bool start(Pending& pending);
  bool start_own(Pending& pending);
  void send(Pending& pending, const std::vector<RedisCommand>& commands, std::uint32_t phase);
  bool take(Pending& pending);
  bool take_value(Pending& pending);
  bool take_names(Pending& pending);
  bool take_rows(Pending& pending);
  void take_exec(Pending& pending);
  void take_own(Pending& pending);
  void take_loss(Pending& pending);

  void perform(Pending& pending, const std::optional<std::string>& value);
  void add(Pending& pending, const std::optional<std::string>& value);
  void own_rows(const Request& request, std::map<std::string, std::string>& rows) const;
  std::optional<Error> leave_savepoint(const Request& request);
  void put(const Request& request, std::optional<std::string> value, RedisCommand command);
  void end();

  const RedisCommon& common_;
  const std::unique_ptr<RedisConnection> connection_;
  bool in_flight_ = false;
  bool in_transaction_ = false;
  bool in_own_multi_ = false;       ///< a MULTI of the scenario's own is open
  bool watches_by_itself_ = false;  ///< a WATCH of the scenario's own stands

  // Of the transaction.
  std::map<std::string, std::optional<std::string>> own_;   ///< what it has written; nullopt: erased
  std::map<std::string, std::optional<std::string>> seen_;  ///< what it has read without WATCH
  std::set<std::string> watched_;
  std::vector<RedisCommand> queued_;
  std::vector<MadeSavepoint> savepoints_;

  // Of the request in hand.
  std::vector<std::string> names_;
  RedisCommand own_command_;
  std::optional<Error> failure_;

  std::atomic<int> cancelled_{-1};  ///< a Fault
};

}  // namespace lockstep::redis
