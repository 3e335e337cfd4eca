// connection.h: hiredis as values: a parsed DSN, an answer, and a connection whose calls never block their thread. Of
// hiredis it uses the connecting and the format; the bytes are sent and received here, so that no signal comes of it.
//
//   send() -> move(): false -> poll for events() -> move() -> … -> true: answers(), failure()
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/stores/redis/commands.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"

struct redisContext;

namespace lockstep::redis {

/// "redis://user:password@host:port/db", or "unix:///path?db=N", taken apart. Immutable, hence thread-safe.
class RedisDsn {
 public:
  /// Names may be percent-encoded. Fault::invalid without the text itself in the message, since it may hold a password.
  static Result<RedisDsn> parse(const std::string& text);

  /// The same without what is secret.
  std::string without_password() const;
  /// "host db1, port 6379, database 0". Never the password.
  std::string where() const;

  const std::string& host() const noexcept { return host_; }
  const std::string& user() const noexcept { return user_; }
  const std::string& password() const noexcept { return password_; }
  const std::string& socket() const noexcept { return socket_; }
  int port() const noexcept { return port_; }
  int database() const noexcept { return database_; }

 private:
  std::string host_ = "localhost", user_, password_, socket_;
  int port_ = 6379;
  int database_ = 0;
};

/// What the server says to one command.
struct RedisAnswer {
  enum class Kind : std::uint8_t { nil, text, number, error, list };
  Kind kind = Kind::nil;
  std::string text;                ///< of a text, a status or an error
  std::int64_t number = 0;         ///< of a number
  std::vector<RedisAnswer> items;  ///< of a list

  bool is_nil() const noexcept { return kind == Kind::nil; }
  bool is_error() const noexcept { return kind == Kind::error; }
  /// A text or a number; nullopt for anything else.
  std::optional<std::string> value() const;
};

/// An error that the server answered, with the fault that its first word means.
Error error_of(const RedisAnswer& answer);

/// Not thread-safe but for shut(). Errors are data.
class RedisConnection {
 public:
  /// Connects, signs in and selects the database, which waits at most `connect_max` for each. Fault::unavailable with
  /// what was tried; Fault::permission when the server refuses the user.
  static Result<std::unique_ptr<RedisConnection>> open(const RedisDsn& dsn, Nanos connect_max);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  /// Begins to send the commands, in one go. Nothing may be under way.
  void send(const std::vector<RedisCommand>& commands);
  /// Goes on as far as it can. True: the answers to all commands have come, or the connection is lost.
  bool move();
  int socket() const noexcept { return socket_; }
  /// What to poll the socket for.
  short events() const noexcept;

  /// After move() answered true: one for each command.
  std::vector<RedisAnswer>& answers() noexcept { return answers_; }
  /// Set once the connection is lost: it is of no further use.
  const std::optional<Error>& failure() const noexcept { return failure_; }

  /// send(), and waits for the answers, at most `most`. An answer may still be an error.
  Result<std::vector<RedisAnswer>> ask(const std::vector<RedisCommand>& commands,
                                       Nanos most = std::chrono::seconds(30));

  /// With nothing under way: the socket is open and the server has said nothing. Asks the socket, not the server.
  bool is_sound() const noexcept;
  /// Ends it: what waits for an answer sees a lost connection. Any thread, while the object lives.
  void shut() noexcept;
  /// The process of a server on this machine that was reached by its socket; 0 else.
  int server_pid() const noexcept;

 private:
  RedisConnection(redisContext* context, std::string where);
  void lose(const std::string& why);
  bool write_out();
  bool read_in();

  redisContext* const context_;
  const int socket_;
  const std::string where_;
  std::string unsent_;
  std::size_t sent_ = 0;      ///< bytes of unsent_
  std::size_t expected_ = 0;  ///< answers
  std::vector<RedisAnswer> answers_;
  std::optional<Error> failure_;
};

}  // namespace lockstep::redis
