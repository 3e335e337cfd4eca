// async_connection.h: one connection on libmariadb's non-blocking calls, which never block their thread: each call says
// what it waits for, and is gone on with when the socket is ready.
//
//   send() -> move(): false -> poll for events() -> move() -> … -> true: results(), failure()
//
// Not thread-safe: its user's own. Errors are data; no call waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/stores/mariadb/connection.h"

namespace lockstep::mariadb {

class AsyncMariaConnection {
 public:
  void adopt(Connection connection) noexcept { connection_ = std::move(connection); }
  Connection release() noexcept { return std::move(connection_); }
  bool is_open() const noexcept { return connection_ != nullptr; }
  MYSQL* get() const noexcept { return connection_.get(); }
  std::uint64_t thread() const noexcept { return ::mysql_thread_id(get()); }

  /// Begins to send one or more statements, of which the texts are kept here. Nothing may be under way.
  void send(std::string sql);
  /// Goes on as far as it can. True: the last answer has come, or a failure.
  bool move();
  int socket() const noexcept { return ::mysql_get_socket(get()); }
  /// What to poll the socket for.
  short events() const noexcept;

  /// After move() answered true: of each statement what it gave, up to the first that failed.
  std::vector<MariaAnswer>& answers() noexcept { return answers_; }
  const std::optional<Error>& failure() const noexcept { return failure_; }
  unsigned failure_number() const noexcept { return failure_number_; }
  /// After a success: the server says that a transaction is open. (An error packet does not say it.)
  bool in_transaction() const noexcept { return (get()->server_status & SERVER_STATUS_IN_TRANS) != 0; }

  /// With nothing under way: the socket is open and the server has said nothing. Asks the socket, not the server.
  bool is_sound() const noexcept;

 private:
  enum class Stage : std::uint8_t { query, rows, next, done };
  void begin_stage(Stage stage);
  void go_on(int ready);
  void stage_ended();

  Connection connection_;
  std::string sql_;
  Stage stage_ = Stage::done;
  int awaits_ = 0;  // MYSQL_WAIT_…; 0 = the call of the stage has ended
  int status_ = 0;  // of query and next
  MYSQL_RES* rows_ = nullptr;
  std::vector<MariaAnswer> answers_;
  std::optional<Error> failure_;
  unsigned failure_number_ = 0;
};

}  // namespace lockstep::mariadb
