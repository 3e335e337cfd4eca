// private_server.cc: puts a private server together from its parts.
#include "engine/server/private_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "engine/server/supervisor.h"

namespace lockstep::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Error no_start(const ServerFolder& folder, const std::string& reason) {
  return Error{Fault::unavailable,
               {},
               fmt::format("the private {} {}:\n{}", folder.kind().title, reason, tail_of(folder.log(), 10))};
}

/// Asks often at first, then every 20 ms.
std::optional<Error> wait_until_ready(const ServerRecipe& recipe, SupervisedServer& server, const ServerFolder& folder,
                                      const std::string& dsn, milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  for (milliseconds step{1};; step = std::min(step * 2, milliseconds(20))) {
    if (server.ended()) return no_start(folder, "did not start");
    if (recipe.accepts(dsn)) return std::nullopt;
    if (steady_clock::now() > deadline) {
      return no_start(folder, fmt::format("did not accept connections within {} ms", limit.count()));
    }
    std::this_thread::sleep_for(step);
  }
}

}  // namespace

struct PrivateServer::Parts {
  ServerFolder folder;  // destroyed after the server has been stopped
  SupervisedServer server;
  std::string dsn;
};

PrivateServer::PrivateServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PrivateServer::~PrivateServer() = default;

Result<std::unique_ptr<PrivateServer>> PrivateServer::start(ServerRecipe& recipe, milliseconds start_max) {
  remove_stale_folders(recipe.kind());
  const auto user = server_user(recipe.kind());
  if (!user) return user.error();
  for (int attempt = 1;; ++attempt) {
    auto parts = std::make_unique<Parts>();
    auto folder = ServerFolder::create(recipe.kind(), *user);
    if (!folder) return folder.error();
    parts->folder = std::move(folder).value();
    const auto may_go_better = recipe.make_data(parts->folder, *user, attempt);
    if (!may_go_better) return may_go_better.error();
    auto server = SupervisedServer::start(recipe.arguments(parts->folder), *user, parts->folder);
    if (!server) return server.error();
    parts->server = std::move(server).value();
    parts->dsn = recipe.dsn(parts->folder);
    auto failed = wait_until_ready(recipe, parts->server, parts->folder, parts->dsn, start_max);
    if (!failed) return std::unique_ptr<PrivateServer>(new PrivateServer(std::move(parts)));
    if (!*may_go_better) return *std::move(failed);
  }
}

const std::string& PrivateServer::dsn() const noexcept { return parts_->dsn; }
const std::string& PrivateServer::folder() const noexcept { return parts_->folder.path(); }
bool PrivateServer::alive() noexcept { return !parts_->server.ended(); }
void PrivateServer::let_go() noexcept { parts_->server.let_go(); }
int PrivateServer::server_pid() const { return server_pid_in(parts_->folder.kind(), parts_->folder.path()); }

Result<std::string> SharedServer::dsn() {
  const MutexLock lock(mutex_);
  if (server_ == nullptr || !server_->alive()) {
    server_.reset();
    auto started = start_();
    if (!started) return started.error();
    server_ = std::move(started).value();
  }
  return server_->dsn();
}

bool SharedServer::exists() {
  const MutexLock lock(mutex_);
  return server_ != nullptr;
}

void SharedServer::end() noexcept {
  const MutexLock lock(mutex_);
  server_.reset();
}

}  // namespace lockstep::server
