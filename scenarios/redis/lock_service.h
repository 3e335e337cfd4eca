// lock_service.h: two Redis servers of a run's own that give locks, and a failover from one to the other.
#pragma once

#include <memory>
#include <string>

#include "engine/stores/redis/connection.h"
#include "engine/stores/redis/server.h"

namespace lockstep::scenarios::redis_theme {

/// A server with nothing in it, and a connection.
struct LockServer {
  std::unique_ptr<server::PrivateServer> server;
  std::unique_ptr<redis::RedisConnection> connection;

  LockServer() {
    auto started = redis::start_private_server();
    if (!started) return;
    server = std::move(started).value();
    const auto dsn = redis::RedisDsn::parse(server->dsn());
    auto connected = redis::RedisConnection::open(*dsn, std::chrono::seconds(5));
    if (connected) connection = std::move(connected).value();
  }
};

/// Two servers of the run's own: the primary, and a replica that has not got the latest writes when it takes over.
class LockService {
 public:
  /// The primary ends as a machine without power does.
  void fail_over() {
    primary_.connection.reset();
    primary_.server.reset();
    is_promoted_ = true;
  }
  /// False: somebody has it. Fault::unavailable without a server.
  Result<bool> lock(const std::string& who) {
    const auto answer = ask({"SET", "lock", who, "NX", "PX", "60000"});
    if (!answer) return answer.error();
    return !answer->is_nil();
  }
  void unlock(const std::string& who) {
    const auto holder = ask({"GET", "lock"});
    if (holder && holder->text == who) (void)ask({"DEL", "lock"});
  }

 private:
  Result<redis::RedisAnswer> ask(const redis::RedisCommand& command) {
    const auto& connection = is_promoted_ ? replica_.connection : primary_.connection;
    if (connection == nullptr) return Error{Fault::unavailable, {}, "no private Redis for the locks"};
    auto answers = connection->ask({command});
    if (!answers) return answers.error();
    return answers->front();
  }

  LockServer primary_, replica_;
  bool is_promoted_ = false;
};

}  // namespace lockstep::scenarios::redis_theme
