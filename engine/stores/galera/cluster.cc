// cluster.cc: what makes a private MariaDB a node: the library, the place from which it goes on, its ports.
#include "engine/stores/galera/cluster.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <utility>

#include "engine/stores/galera/dsn.h"
#include "engine/stores/mariadb/connection.h"
#include "kv/base/mutex.h"

namespace lockstep::galera {
namespace {

using mariadb::MariaDurable;
using server::ServerFolder;
using server::ServerKind;
using server::ServerUser;

constexpr int kAttempts = 3;  // somebody else may take a port between our look and the node's

const ServerKind& node_kind() {
  static const ServerKind kind{.title = "Galera node",
                               .name = "lockstep-galera",
                               .users = {"mysql", "nobody"},
                               .socket = mariadb::kSocketInFolder,
                               .pid_file = mariadb::kPidFileInFolder,
                               .stop_signal = SIGKILL,
                               .remove_leftovers = [](const std::string&) noexcept {}};
  return kind;
}

/// What the nodes of a cluster have in common.
struct ClusterPlan {
  std::string program, provider;
  std::string name;  ///< nodes of another name are not let in
  std::string uuid;  ///< of the history that they go on from
  MariaDurable durable = MariaDurable::no;
  std::array<int, kNodes> group_ports{}, transfer_ports{};
};

class NodeRecipe final : public server::ServerRecipe {
 public:
  NodeRecipe(const ClusterPlan& plan, int number) : plan_(plan), number_(number) {}

  const ServerKind& kind() const noexcept override { return node_kind(); }

  Result<bool> make_data(const ServerFolder& folder, const ServerUser& user, int /*attempt*/) override {
    // The folder of the schema in which a node keeps who is in the cluster.
    const std::string schema = folder.data() + "/mysql", state = folder.data() + "/grastate.dat";
    if (::mkdir(schema.c_str(), 0700) != 0) return no_data(schema);
    // A view of the group takes one number: the second node comes in with the number 1, the third with 2. Who is
    // there already needs nothing from the others.
    std::ofstream(state) << fmt::format(
        "# GALERA saved state\nversion: 2.1\nuuid:    {}\nseqno:   {}\nsafe_to_bootstrap: {}\n", plan_.uuid, number_,
        number_ == 0 ? 1 : 0);
    for (const std::string& path : {schema, state}) {
      if (user.drop && ::chown(path.c_str(), user.uid, user.gid) != 0) return no_data(path);
    }
    return false;
  }

  std::vector<std::string> arguments(const ServerFolder& folder) const override {
    std::vector<std::string> arguments = mariadb::command_of(plan_.program, folder, plan_.durable);
    const auto number = static_cast<std::size_t>(number_);
    const std::string first = number_ == 0 ? std::string() : fmt::format("127.0.0.1:{}", plan_.group_ports[0]);
    for (const std::string& each :
         {std::string("--binlog-format=ROW"), std::string("--innodb-autoinc-lock-mode=2"), std::string("--wsrep-on=ON"),
          "--wsrep-provider=" + plan_.provider, "--wsrep-cluster-name=" + plan_.name,
          fmt::format("--wsrep-node-name=n{}", number_ + 1), std::string("--wsrep-node-address=127.0.0.1"),
          "--wsrep-cluster-address=gcomm://" + first,
          // On loopback alone. The limits for a silent node are above what a busy machine takes.
          fmt::format("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_addr=127.0.0.1:{};"
                      "gcache.size=1M;gcache.page_size=1M;pc.recovery=false;socket.ssl=NO;"
                      "evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT5S;evs.inactive_timeout=PT10S;"
                      "evs.install_timeout=PT10S",
                      plan_.group_ports[number], plan_.transfer_ports[number])}) {
      arguments.push_back(each);
    }
    if (number_ == 0) arguments.emplace_back("--wsrep-new-cluster");
    return arguments;
  }

  std::string dsn(const ServerFolder& folder) const override { return mariadb::dsn_of_folder(folder); }

  /// Not before it is in step with the group.
  bool accepts(const std::string& dsn) const override {
    const auto parsed = mariadb::MariaDsn::parse(dsn);
    if (!parsed) return false;
    const auto connection = mariadb::connect(*parsed, mariadb::MariaCalls::wait, std::chrono::seconds(1));
    if (!connection) return false;
    const auto state = mariadb::ask(connection->get(), "show status like 'wsrep_local_state_comment'");
    return state && !state->rows.empty() && state->rows[0][1] == "Synced";
  }

 private:
  static Error no_data(const std::string& path) {
    return {Fault::unavailable, {}, fmt::format("cannot make {}: {}", path, std::strerror(errno))};
  }

  const ClusterPlan& plan_;
  const int number_;
};

/// Ports of loopback that nobody listens on. All are held until the last is found, so that they differ.
Result<std::vector<int>> free_ports(std::size_t count) {
  std::vector<int> ports, sockets;
  while (ports.size() < count) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket >= 0) sockets.push_back(socket);
    if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      break;
    }
    ports.push_back(::ntohs(address.sin_port));
  }
  const int failure = errno;
  for (const int socket : sockets) ::close(socket);
  if (ports.size() == count) return ports;
  return Error{Fault::unavailable, {}, fmt::format("no port of loopback for a node: {}", std::strerror(failure))};
}

/// New ports, and a name and a history that no other cluster has.
Result<void> draw(ClusterPlan& plan) {
  const auto ports = free_ports(2 * kNodes);
  if (!ports) return ports.error();
  std::copy_n(ports->begin(), kNodes, plan.group_ports.begin());
  std::copy_n(ports->begin() + kNodes, kNodes, plan.transfer_ports.begin());
  std::random_device random;
  plan.name = fmt::format("lockstep-{}-{:08x}", ::getpid(), random());
  plan.uuid = fmt::format("{:08x}-{:04x}-11f0-8{:03x}-{:08x}{:04x}", random(), random() % 0x10000, random() % 0x1000,
                          random(), random() % 0x10000);
  return {};
}

/// Of this process: made when first used and destroyed by exit().
struct SharedCluster {
  Mutex mutex;
  std::unique_ptr<PrivateNodes> cluster LOCKSTEP_GUARDED_BY(mutex);
  MariaDurable durable LOCKSTEP_GUARDED_BY(mutex) = MariaDurable::no;
};

SharedCluster& shared_cluster() {
  static SharedCluster shared;
  return shared;
}

}  // namespace

Result<std::string> find_provider() {
  if (const char* named = std::getenv("LOCKSTEP_GALERA_PROVIDER"); named != nullptr && *named != '\0') {
    if (::access(named, R_OK) == 0) return std::string(named);
    return Error{Fault::unavailable, {}, fmt::format("LOCKSTEP_GALERA_PROVIDER={} cannot be read", named)};
  }
  for (const char* folder : {"/usr/lib/galera", "/usr/lib64/galera-4", "/usr/lib64/galera", "/usr/lib/galera-4"}) {
    if (std::string library = fmt::format("{}/libgalera_smm.so", folder); ::access(library.c_str(), R_OK) == 0)
      return library;
  }
  return Error{Fault::unavailable,
               {},
               "no Galera on this machine: install it (Debian: apt-get install mariadb-server-core galera-4) or name a "
               "running cluster with --dsn or LOCKSTEP_GALERA_DSN"};
}

Result<std::unique_ptr<PrivateNodes>> PrivateNodes::start(MariaDurable durable) {
  const auto provider = find_provider();
  if (!provider) return provider.error();
  const auto program = mariadb::find_server_program();
  if (!program) return program.error();
  ClusterPlan plan{.program = *program, .provider = *provider, .name = {}, .uuid = {}, .durable = durable};
  Error failure;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto drawn = draw(plan); !drawn) return drawn.error();
    auto cluster = std::make_unique<PrivateNodes>();
    for (int number = 0; number < kNodes; ++number) {
      NodeRecipe recipe(plan, number);
      auto node = server::PrivateServer::start(recipe, std::chrono::seconds(30));
      if (!node) {
        failure = node.error();
        break;
      }
      cluster->nodes_.push_back(std::move(node).value());
    }
    if (cluster->nodes_.size() == kNodes) return cluster;
    if (failure.message.find("ddress already in use") == std::string::npos) break;
  }
  return failure;
}

std::vector<std::string> PrivateNodes::dsns() const {
  std::vector<std::string> dsns;
  for (const auto& node : nodes_) dsns.push_back(node->dsn());
  return dsns;
}

bool PrivateNodes::alive() noexcept {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->alive(); });
}

std::vector<std::string> remove_stale_nodes() { return server::remove_stale_folders(node_kind()); }

bool is_cluster_named(const std::string& dsn) {
  const char* const named = std::getenv(kDsnVariable);
  return !dsn.empty() || (named != nullptr && *named != '\0');
}

Result<std::vector<std::string>> nodes_for(const std::string& dsn, MariaDurable durable) {
  if (is_cluster_named(dsn)) return dsns_of_nodes(dsn.empty() ? std::getenv(kDsnVariable) : dsn);
  SharedCluster& shared = shared_cluster();
  const MutexLock lock(shared.mutex);
  if (shared.cluster != nullptr && shared.cluster->alive()) {
    if (shared.durable == durable) return shared.cluster->dsns();
    return Error{Fault::invalid, {}, "the private cluster has been started already, with another --fsync"};
  }
  shared.cluster.reset();
  auto started = PrivateNodes::start(durable);
  if (!started) return started.error();
  shared.cluster = std::move(started).value();
  shared.durable = durable;
  return shared.cluster->dsns();
}

bool has_private_cluster() {
  SharedCluster& shared = shared_cluster();
  const MutexLock lock(shared.mutex);
  return shared.cluster != nullptr;
}

}  // namespace lockstep::galera
