// server.cc: what makes a private server a Redis: its program and its settings.
#include "engine/stores/redis/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "engine/server/programs.h"
#include "engine/stores/redis/connection.h"
#include "kv/base/mutex.h"

namespace lockstep::redis {
namespace {

using server::ServerFolder;
using server::ServerKind;
using server::ServerUser;

constexpr std::string_view kSocketOfFolder = "/s/r";
constexpr std::string_view kPidFileOfFolder = "/data/pid";
constexpr std::string_view kServerName = "redis-server", kOtherName = "redis-check-rdb";
constexpr std::size_t kDatabases = 256;  // one for each run that is open at a time in this process

const ServerKind& redis_kind() {
  static const ServerKind kind{.title = "Redis",
                               .name = "lockstep-redis",
                               .users = {"redis", "nobody"},
                               .socket = kSocketOfFolder,
                               .pid_file = kPidFileOfFolder,
                               .stop_signal = SIGKILL,
                               .remove_leftovers = [](const std::string&) noexcept {}};
  return kind;
}

class RedisRecipe final : public server::ServerRecipe {
 public:
  explicit RedisRecipe(std::string program) : program_(std::move(program)) {}

  const ServerKind& kind() const noexcept override { return redis_kind(); }

  /// The program by the name under which it serves.
  Result<bool> make_data(const ServerFolder& folder, const ServerUser& /*user*/, int /*attempt*/) override {
    const std::string name = program_in(folder);
    if (::symlink(program_.c_str(), name.c_str()) == 0) return false;
    return Error{Fault::unavailable, {}, fmt::format("cannot make {}: {}", name, std::strerror(errno))};
  }

  std::vector<std::string> arguments(const ServerFolder& folder) const override {
    return {program_in(folder),
            // No port; nothing is written to the disk.
            "--port", "0", "--save", "", "--appendonly", "no",
            //
            "--unixsocket", fmt::format("{}{}", folder.path(), kSocketOfFolder), "--unixsocketperm", "700", "--dir",
            folder.data(), "--pidfile", fmt::format("{}{}", folder.path(), kPidFileOfFolder), "--daemonize", "no",
            "--databases", std::to_string(kDatabases),
            // Room for load runs of 500 sessions; more would need more descriptors than processes have by default.
            "--maxclients", "800", "--loglevel", "warning"};
  }

  std::string dsn(const ServerFolder& folder) const override {
    return fmt::format("unix://{}{}", folder.path(), kSocketOfFolder);
  }

  bool accepts(const std::string& dsn) const override {
    const auto parsed = RedisDsn::parse(dsn);
    return parsed && RedisConnection::open(*parsed, std::chrono::seconds(1)).ok();
  }

 private:
  static std::string program_in(const ServerFolder& folder) { return fmt::format("{}/{}", folder.data(), kServerName); }

  const std::string program_;
};

/// Made when first used and destroyed by exit().
server::SharedServer& shared_redis() {
  static server::SharedServer instance(start_private_server);
  return instance;
}

struct Taken {
  Mutex mutex;
  std::array<bool, kDatabases> is_taken LOCKSTEP_GUARDED_BY(mutex){};
};

Taken& taken_databases() {
  static Taken taken;
  return taken;
}

/// The program under either of its names; empty when neither is there.
std::string program_in_folder(const std::string& folder) {
  for (const std::string_view name : {kServerName, kOtherName}) {
    if (std::string program = fmt::format("{}/{}", folder, name); server::is_program(program)) return program;
  }
  return {};
}

}  // namespace

Result<std::string> find_server_program() {
  if (const char* named = std::getenv("LOCKSTEP_REDIS_BIN"); named != nullptr && *named != '\0') {
    if (std::string program = program_in_folder(named); !program.empty()) return program;
    return Error{Fault::unavailable, {}, fmt::format("LOCKSTEP_REDIS_BIN={} holds no server (redis-server)", named)};
  }
  std::vector<std::string> folders = server::folders_of_path();
  for (const char* folder : {"/usr/bin", "/usr/sbin", "/usr/local/bin"}) folders.emplace_back(folder);
  for (const std::string& folder : folders) {
    if (std::string program = program_in_folder(folder); !program.empty()) return program;
  }
  return Error{Fault::unavailable,
               {},
               "no Redis server on this machine: install one (Debian: apt-get install redis-tools) or name a running "
               "one with --dsn or LOCKSTEP_REDIS_DSN"};
}

Result<std::unique_ptr<server::PrivateServer>> start_private_server() {
  auto program = find_server_program();
  if (!program) return program.error();
  RedisRecipe recipe(std::move(program).value());
  return server::PrivateServer::start(recipe, std::chrono::seconds(30));
}

std::vector<std::string> remove_stale_servers() { return server::remove_stale_folders(redis_kind()); }

bool is_server_named(const std::string& dsn) {
  const char* const named = std::getenv(kDsnVariable);
  return !dsn.empty() || (named != nullptr && *named != '\0');
}

std::string named_server(const std::string& dsn) { return dsn.empty() ? std::getenv(kDsnVariable) : dsn; }

bool has_private_server() { return shared_redis().exists(); }

Result<std::unique_ptr<PrivateDatabase>> PrivateDatabase::take() {
  const auto server = shared_redis().dsn();
  if (!server) return server.error();
  Taken& taken = taken_databases();
  const MutexLock lock(taken.mutex);
  auto* const free = std::find(taken.is_taken.begin(), taken.is_taken.end(), false);
  if (free == taken.is_taken.end())
    return Error{Fault::unavailable, {}, fmt::format("all {} databases of the private Redis are in use", kDatabases)};
  *free = true;
  const int number = static_cast<int>(free - taken.is_taken.begin());
  return std::unique_ptr<PrivateDatabase>(new PrivateDatabase(number, fmt::format("{}?db={}", *server, number)));
}

PrivateDatabase::~PrivateDatabase() {
  Taken& taken = taken_databases();
  const MutexLock lock(taken.mutex);
  taken.is_taken[static_cast<std::size_t>(number_)] = false;
}

}  // namespace lockstep::redis
