// cluster.cc: puts a private server together from its parts.
#include "engine/stores/postgres/cluster.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>

#include "engine/stores/postgres/cluster_folder.h"
#include "engine/stores/postgres/data_template.h"
#include "engine/stores/postgres/server_binaries.h"
#include "engine/stores/postgres/supervisor.h"
#include "kv/base/mutex.h"

namespace lockstep::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Why each differs from the server's default.
const std::vector<std::string>& settings() {
  static const std::vector<std::string> list = {
      "listen_addresses=", "port=5432", "unix_socket_permissions=0700", "cluster_name=lockstep",
      // Nothing outlives the run.
      "fsync=off", "full_page_writes=off",
      // Room for load runs of 500 connections and for scenarios with two-phase commit (0 by default).
      "max_connections=520", "max_prepared_transactions=64",
      // Sessions set it too; this is for a connection made by hand.
      "deadlock_timeout=50ms",
      // Predicate locks of serializable transactions stay on rows. With the default of 2 a page, reading three rows of
      // a small table locks all of it. Disjoint transactions would abort each other.
      "max_pred_locks_per_page=1000", "max_pred_locks_per_transaction=256",
      // Tables of a few rows: no compilation, no parallel workers, little memory.
      "jit=off", "max_parallel_workers_per_gather=0", "max_logical_replication_workers=0", "shared_buffers=64MB",
      "max_wal_size=256MB",
      // In the folder, not in /dev/shm, where a killed server would leave it behind.
      "dynamic_shared_memory_type=mmap",
      // Aborts are the point of a run: logged, they would fill the disk under load.
      "log_min_messages=log", "log_checkpoints=off"};
  return list;
}

std::vector<std::string> server_arguments(const ServerBinaries& binaries, const ClusterFolder& folder,
                                          const std::vector<std::string>& further) {
  std::vector<std::string> arguments = {binaries.postgres(), "-D", folder.data(), "-c",
                                        "unix_socket_directories=" + folder.socket_folder()};
  for (const auto* list : {&settings(), &further}) {
    for (const auto& setting : *list) arguments.insert(arguments.end(), {"-c", setting});
  }
  return arguments;
}

Error no_start(const ClusterFolder& folder, const std::string& reason) {
  return Error{
      Fault::unavailable, {}, fmt::format("the private PostgreSQL {}:\n{}", reason, tail_of(folder.log(), 10))};
}

/// Tries to connect often at first, then every 20 ms.
std::optional<Error> wait_until_ready(SupervisedServer& server, const ClusterFolder& folder, const std::string& dsn,
                                      milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  for (milliseconds step{1};; step = std::min(step * 2, milliseconds(20))) {
    if (server.ended()) return no_start(folder, "did not start");
    if (::PQping(dsn.c_str()) == PQPING_OK) return std::nullopt;
    if (steady_clock::now() > deadline) {
      return no_start(folder, fmt::format("did not accept connections within {} ms", limit.count()));
    }
    std::this_thread::sleep_for(step);
  }
}

}  // namespace

struct PrivateCluster::Parts {
  ClusterFolder folder;  // destroyed after the server has been stopped
  SupervisedServer server;
  std::string dsn;
};

PrivateCluster::PrivateCluster(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PrivateCluster::~PrivateCluster() = default;

Result<std::unique_ptr<PrivateCluster>> PrivateCluster::start(const ClusterOptions& options) {
  remove_stale_clusters();
  const auto binaries = find_server_binaries();
  if (!binaries) return binaries.error();
  const auto user = server_user();
  if (!user) return user.error();
  // The second round is for a template that looked whole and was not.
  for (const auto use_template : {UseTemplate::yes, UseTemplate::no}) {
    auto parts = std::make_unique<Parts>();
    auto folder = ClusterFolder::create(*user);
    if (!folder) return folder.error();
    parts->folder = std::move(folder).value();
    const auto from_template = make_data(*binaries, *user, parts->folder, use_template);
    if (!from_template) return from_template.error();
    auto server =
        SupervisedServer::start(server_arguments(*binaries, parts->folder, options.settings), *user, parts->folder);
    if (!server) return server.error();
    parts->server = std::move(server).value();
    parts->dsn = fmt::format("host='{}' port=5432 user=postgres dbname=postgres", parts->folder.socket_folder());
    auto failed = wait_until_ready(parts->server, parts->folder, parts->dsn, options.start_max);
    if (!failed) return std::unique_ptr<PrivateCluster>(new PrivateCluster(std::move(parts)));
    if (!*from_template) return *std::move(failed);
  }
  return Error{Fault::unavailable, {}, "the private PostgreSQL did not start"};
}

const std::string& PrivateCluster::dsn() const noexcept { return parts_->dsn; }
const std::string& PrivateCluster::folder() const noexcept { return parts_->folder.path(); }
bool PrivateCluster::alive() noexcept { return !parts_->server.ended(); }
void PrivateCluster::let_go() noexcept { parts_->server.let_go(); }

int PrivateCluster::server_pid() const {
  std::ifstream file(parts_->folder.data() + "/postmaster.pid");
  int pid = 0;
  return file >> pid ? pid : 0;
}

namespace {

/// Lives in a function, so that it is made when first used and destroyed by exit().
struct Shared {
  Mutex mutex;
  std::unique_ptr<PrivateCluster> cluster LOCKSTEP_GUARDED_BY(mutex);
};

Shared& shared() {
  static Shared instance;
  return instance;
}

}  // namespace

Result<std::string> private_cluster_dsn() {
  Shared& state = shared();
  const MutexLock lock(state.mutex);
  if (state.cluster == nullptr || !state.cluster->alive()) {
    state.cluster.reset();
    auto started = PrivateCluster::start();
    if (!started) return started.error();
    state.cluster = std::move(started).value();
  }
  return state.cluster->dsn();
}

bool has_private_cluster() {
  Shared& state = shared();
  const MutexLock lock(state.mutex);
  return state.cluster != nullptr;
}

void end_private_cluster() noexcept {
  Shared& state = shared();
  const MutexLock lock(state.mutex);
  state.cluster.reset();
}

}  // namespace lockstep::postgres
