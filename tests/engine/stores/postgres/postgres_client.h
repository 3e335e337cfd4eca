// postgres_client.h: for the tests of the postgres backend: a server to test on, a client for each session, and waiting
// for a state instead of sleeping.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/server_binaries.h"
#include "tests/engine/stores/eventually.h"

namespace lockstep {
BackendKind backend_postgres();
}

namespace lockstep::postgres_testing {

using namespace std::chrono_literals;
using testing_support::eventually;

inline bool has_server_programs() { return postgres::find_server_binaries().ok(); }

/// LOCKSTEP_TEST_DSN, else the process's private cluster; empty when there is neither.
inline std::string test_dsn() {
  if (const char* named = std::getenv("LOCKSTEP_TEST_DSN"); named != nullptr && *named != '\0') return named;
  if (!has_server_programs()) return {};
  auto dsn = postgres::private_cluster_dsn();
  EXPECT_TRUE(dsn) << dsn.error().message;
  return dsn ? *dsn : std::string();
}

struct NoWaiter final : Waiter {
  void wake() noexcept override {}
};

/// One session and the request that it works on, in a thread of its own, so that either kind may wait.
class Client {
 public:
  explicit Client(std::unique_ptr<Session> session) : session_(std::move(session)) {}
  Client(Client&&) = delete;
  ~Client() {
    if (!thread_.joinable()) return;
    give_up();
    thread_.join();
  }

  /// Sends the request and returns; its texts must outlive it.
  void start(const Request& request) {
    if (thread_.joinable()) thread_.join();
    pending_ = std::make_unique<Pending>();
    pending_->request = request;
    finished_ = false;
    thread_ = std::thread([this] {
      NoWaiter waiter;
      while (!session_->attempt(*pending_, waiter)) {
        pollfd socket{pending_->waiting.fd, pending_->waiting.events, 0};
        ::poll(&socket, 1, 20000);
      }
      finished_ = true;
    });
  }
  bool finished() const { return finished_; }

  /// Waits for the end of what start() began.
  const Pending& end() {
    EXPECT_TRUE(eventually([this] { return finished_.load(); }, 30s)) << "the request still waits";
    give_up();
    thread_.join();
    return *pending_;
  }
  const Pending& run(const Request& request) {
    start(request);
    return end();
  }
  /// The value read, or "(FAULT)", or "(none)".
  std::string read(std::string_view key, Verb verb = Verb::read) {
    const Pending& done = run({.verb = verb, .key = key});
    if (done.error) return "(" + std::string(name_of(done.error->fault)) + ")";
    return done.reply.value.value_or("(none)");
  }
  /// The fault, or nullopt for success.
  std::optional<Fault> fault(const Request& request) {
    const Pending& done = run(request);
    return done.error ? std::optional(done.error->fault) : std::nullopt;
  }

  /// Waits until the server says that the request waits for somebody.
  std::vector<Blocker> blocked() {
    std::vector<Blocker> found;
    EXPECT_TRUE(eventually([&] { return finished_ || !(found = session_->blockers(*pending_)).empty(); }));
    EXPECT_FALSE(finished_) << "it did not wait: " << (pending_->error ? pending_->error->message : "success");
    return found;
  }

  Session& session() { return *session_; }
  Pending& pending() { return *pending_; }

 private:
  /// Again and again: the first may come before the request has left.
  void give_up() {
    eventually([this] {
      if (!finished_) session_->cancel(*pending_, Fault::hung);
      return finished_.load();
    });
  }

  std::unique_ptr<Session> session_;
  std::unique_ptr<Pending> pending_;
  std::atomic<bool> finished_{true};
  std::thread thread_;
};

inline std::unique_ptr<Backend> open_backend(const BackendOptions& options) {
  auto backend = backend_postgres().open(options);
  EXPECT_TRUE(backend) << backend.error().message;
  return backend ? std::move(backend).value() : nullptr;
}

inline std::unique_ptr<Client> open_client(Backend& backend, int actor) {
  auto session = backend.open_session(actor, "T" + std::to_string(actor + 1));
  EXPECT_TRUE(session) << session.error().message;
  return session ? std::make_unique<Client>(std::move(session).value()) : nullptr;
}

}  // namespace lockstep::postgres_testing
