// cluster.cc: what makes a private server a PostgreSQL: its programs, its settings, its data.
#include "engine/stores/postgres/cluster.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "engine/stores/postgres/data_template.h"
#include "engine/stores/postgres/server_binaries.h"

namespace lockstep::postgres {
namespace {

using server::ServerFolder;
using server::ServerKind;
using server::ServerUser;

constexpr std::string_view kPidFile = "/data/postmaster.pid";
constexpr int kSharedMemoryLine = 7;  // of the pid file (src/include/utils/pidfile.h): key and id of the segment

/// A server that was killed leaves its (tiny) System V segment behind, noted in a pid file that a server that ended by
/// itself has removed. It goes when the last of the server's children, which notice their parent's end, lets go of it.
void remove_shared_memory(const std::string& folder) noexcept {
  std::ifstream file(folder + std::string(kPidFile));
  std::string line;
  long pid = 0;
  for (int number = 1; std::getline(file, line) && number <= kSharedMemoryLine; ++number) {
    // Negative for a process without a postmaster, such as initdb's own.
    if (number == 1) pid = std::labs(std::strtol(line.c_str(), nullptr, 10));
    if (number != kSharedMemoryLine || pid <= 1) continue;
    const auto space = line.find_last_of(' ');
    if (space == std::string::npos) return;
    const int id = static_cast<int>(std::strtol(line.c_str() + space, nullptr, 10));
    shmid_ds segment{};
    if (id >= 0 && ::shmctl(id, IPC_STAT, &segment) == 0 && segment.shm_cpid == pid) ::shmctl(id, IPC_RMID, nullptr);
  }
}

const ServerKind& cluster_kind() {
  static const ServerKind kind{.title = "PostgreSQL",
                               .name = "lockstep-pg",
                               .users = {"postgres", "nobody"},
                               .socket = "/s/.s.PGSQL.5432",
                               .pid_file = kPidFile,
                               .stop_signal = SIGQUIT,
                               .remove_leftovers = remove_shared_memory};
  return kind;
}

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

class ClusterRecipe final : public server::ServerRecipe {
 public:
  ClusterRecipe(ServerBinaries binaries, const ClusterOptions& options)
      : binaries_(std::move(binaries)), options_(options) {}

  const ServerKind& kind() const noexcept override { return cluster_kind(); }

  Result<bool> make_data(const ServerFolder& folder, const ServerUser& user, int attempt) override {
    // The second attempt is for a template that looked whole and was not.
    return postgres::make_data(binaries_, user, folder, attempt == 1 ? UseTemplate::yes : UseTemplate::no);
  }

  std::vector<std::string> arguments(const ServerFolder& folder) const override {
    std::vector<std::string> arguments = {binaries_.postgres(), "-D", folder.data(), "-c",
                                          "unix_socket_directories=" + folder.socket_folder()};
    for (const auto* list : {&settings(), &options_.settings}) {
      for (const auto& setting : *list) arguments.insert(arguments.end(), {"-c", setting});
    }
    return arguments;
  }

  std::string dsn(const ServerFolder& folder) const override {
    return fmt::format("host='{}' port=5432 user=postgres dbname=postgres", folder.socket_folder());
  }

  bool accepts(const std::string& dsn) const override { return ::PQping(dsn.c_str()) == PQPING_OK; }

 private:
  const ServerBinaries binaries_;
  const ClusterOptions& options_;
};

std::atomic<Durable> g_durability{Durable::no};  // of the shared clusters, set before they start

Result<std::unique_ptr<server::PrivateServer>> start_shared() {
  ClusterOptions options;
  if (g_durability.load() == Durable::yes) options.settings = {"fsync=on", "full_page_writes=on"};
  return start_private_cluster(options);
}

/// Made when first used and destroyed by exit().
server::SharedServer& shared(PrivateCluster which) {
  if (which == PrivateCluster::second) {
    static server::SharedServer second(start_shared);
    return second;
  }
  static server::SharedServer first(start_shared);
  return first;
}

}  // namespace

Result<std::unique_ptr<server::PrivateServer>> start_private_cluster(const ClusterOptions& options) {
  auto binaries = find_server_binaries();
  if (!binaries) return binaries.error();
  ClusterRecipe recipe(std::move(binaries).value(), options);
  return server::PrivateServer::start(recipe, options.start_max);
}

std::vector<std::string> remove_stale_clusters() { return server::remove_stale_folders(cluster_kind()); }

bool is_server_named(const std::string& dsn) {
  const char* const named = std::getenv(kDsnVariable);
  return !dsn.empty() || (named != nullptr && *named != '\0');
}

Result<std::string> dsn_for(const std::string& dsn, Durable durable) {
  if (!is_server_named(dsn)) return private_cluster_dsn(durable);
  return dsn.empty() ? std::string(std::getenv(kDsnVariable)) : dsn;
}

Result<std::string> private_cluster_dsn(Durable durable, PrivateCluster which) {
  const bool exists = has_private_cluster() || has_private_cluster(PrivateCluster::second);
  if (exists && g_durability.load() != durable) {
    return Error{Fault::invalid, {}, "the private server has been started already, with another --fsync"};
  }
  g_durability = durable;
  return shared(which).dsn();
}

bool has_private_cluster(PrivateCluster which) { return shared(which).exists(); }

void end_private_cluster() noexcept {
  shared(PrivateCluster::first).end();
  shared(PrivateCluster::second).end();
}

}  // namespace lockstep::postgres
