// backend.cc: a Galera cluster as a store: each actor works on one of its nodes, by the MariaDB store's sessions. The
// run has one database, which the first node makes and all nodes have.
#include "engine/store/backend.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>

#include "engine/store/joins.h"
#include "engine/stores/galera/cluster.h"
#include "engine/stores/galera/dsn.h"
#include "engine/stores/galera/protocol.h"
#include "engine/stores/mariadb/backend.h"
#include "engine/stores/mariadb/monitor.h"
#include "engine/stores/mariadb/statements.h"

namespace lockstep::galera {
namespace {

using mariadb::MariaDurable;
using mariadb::MariaNode;

/// All threads of the process are stopped.
bool stands_still(int process) {
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), ignored)) {
    std::ifstream file(thread.path() / "stat");
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(')');
    if (name_end != std::string::npos && line.compare(name_end, 3, ") T") != 0) return false;
  }
  return true;
}

class GaleraBackend final : public Backend, private mariadb::MariaCluster {
 public:
  explicit GaleraBackend(const BackendOptions& options) : options_(options) {}
  ~GaleraBackend() override;

  Result<void> open();

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override {
    return nodes_[static_cast<std::size_t>(actor) % nodes_.size()]->open_session(actor, name);
  }
  Result<State> final_state() override;
  Result<Table> query(const std::string& sql) override;
  std::vector<Blocker> holders() override;
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  void serve_search() override;
  Result<void> room_for(int sessions) override;
  std::vector<int> server_processes() override;
  std::vector<std::pair<std::string, std::string>> environment() const override { return environment_; }

 private:
  void let_others_see(int node) override;
  bool hold_commits() override;
  void deliver_commits() override;
  Result<void> look_at_node(const std::string& dsn) const;
  Result<void> open_nodes(const std::vector<std::string>& dsns, const GaleraIsolation& isolation);
  void note_environment(const GaleraIsolation& isolation);
  Result<void> all_catch_up();

  const BackendOptions options_;
  Capabilities capabilities_{.nonblocking = true, .version = {}};
  ProtocolTraits traits_;
  std::vector<std::pair<std::string, std::string>> environment_;
  bool is_private_ = false;
  std::atomic<int> stopped_{0};                    ///< the process of a node that stands still; 0: none
  bool has_ddl_ = false;                           ///< set_up has run statements of the scenario
  std::vector<std::unique_ptr<MariaNode>> nodes_;  // the first has the run's database
};

Result<void> GaleraBackend::open() {
  const auto isolation = isolation_named(options_.protocol);
  if (!isolation) return Error{Fault::invalid, {}, fmt::format("galera has no protocol \"{}\"", options_.protocol)};
  std::vector<ProtocolTraits> all = protocol_list();
  traits_ = std::move(*std::find_if(all.begin(), all.end(),
                                    [this](const ProtocolTraits& each) { return each.name == options_.protocol; }));
  is_private_ = !is_cluster_named(options_.dsn);
  const auto dsns = nodes_for(options_.dsn, options_.durable ? MariaDurable::yes : MariaDurable::no);
  if (!dsns) return dsns.error();
  for (const std::string& each : *dsns) {
    if (auto looked = look_at_node(each); !looked) return looked;
  }
  if (auto opened = open_nodes(*dsns, *isolation); !opened) return opened;
  note_environment(*isolation);
  return {};
}

/// Asks a node first whether it is with the majority. If it is not, it would refuse every later statement, and would
/// not say why.
Result<void> GaleraBackend::look_at_node(const std::string& dsn) const {
  const auto parsed = mariadb::MariaDsn::parse(dsn);
  if (!parsed) return parsed.error();
  const auto monitor = mariadb::MariaMonitor::open(*parsed, options_.connect_timeout);
  if (!monitor) return monitor.error();
  const auto status = [&monitor](const std::string& name) {
    const auto rows = (*monitor)->query(fmt::format("show status like '{}'", name));
    return rows && !rows->empty() ? (*rows)[0][1].value_or("") : std::string();
  };
  const std::string group = status("wsrep_cluster_status"), state = status("wsrep_local_state_comment");
  if (group == "Primary" && state == "Synced") return {};
  if (group.empty() || group == "Disconnected") {
    return Error{Fault::unsupported,
                 {},
                 fmt::format("the server at {} is not a node of a Galera cluster (wsrep_cluster_status is \"{}\")",
                             (*monitor)->where(), group)};
  }
  return Error{Fault::unavailable,
               {},
               fmt::format("the node at {} is \"{}\", and its part of the cluster \"{}\": it takes no statements "
                           "without the majority of the nodes",
                           (*monitor)->where(), state, group)};
}

Result<void> GaleraBackend::open_nodes(const std::vector<std::string>& dsns, const GaleraIsolation& isolation) {
  const auto traces = std::make_shared<mariadb::MariaTraces>();
  for (const std::string& dsn : dsns) {
    BackendOptions options = options_;
    options.dsn = dsn;
    if (!nodes_.empty()) options.own.emplace_back(kJoinsOption, nodes_.front()->database());
    mariadb::MariaMembership membership{.protocol = traits_,
                                        .isolation = isolation.level,
                                        .settings = fmt::format(", wsrep_sync_wait = {}", isolation.sync_wait),
                                        .cluster = this,
                                        .node = static_cast<int>(nodes_.size()),
                                        .traces = traces};
    auto node = mariadb::open_node(options, std::move(membership));
    if (!node) return node.error();
    // The database's owner is told by a named lock, which is known on its own node alone. So each node gets one.
    if (!is_private_ && !nodes_.empty()) {
      const std::string lock = mariadb::quoted_value(nodes_.front()->database());
      if (auto locked = (*node)->query(fmt::format("do get_lock({}, 5)", lock)); !locked) return locked.error();
    }
    nodes_.push_back(std::move(node).value());
  }
  return {};
}

void GaleraBackend::note_environment(const GaleraIsolation& isolation) {
  const auto provider = nodes_.front()->query("show status like 'wsrep_provider_version'");
  const std::string version = provider && !provider->empty() ? (*provider)[0][1].value_or("") : std::string();
  capabilities_.version = fmt::format("{}, Galera {}", nodes_.front()->capabilities().version, version);
  if (is_private_ && !options_.durable) {
    capabilities_.caveat =
        "the private nodes share this machine and do not write to the disk: a commit waits for the group alone "
        "(--fsync on makes them durable)";
  }
  environment_ = nodes_.front()->environment();
  for (auto& [name, value] : environment_) {
    if (name == "server" && is_private_) value = fmt::format("private cluster of {} nodes on loopback", nodes_.size());
  }
  std::vector<std::string> actors;
  for (std::size_t i = 0; i < nodes_.size(); ++i) actors.push_back(fmt::format("actor {} on n{}", i + 1, i + 1));
  environment_.emplace_back("sessions", fmt::format("{}, and so on in turn", fmt::join(actors, ", ")));
  environment_.emplace_back("wsrep_sync_wait", std::to_string(isolation.sync_wait));
  environment_.emplace_back("wsrep_provider_version", version);
}

GaleraBackend::~GaleraBackend() {
  deliver_commits();
  while (!nodes_.empty()) nodes_.pop_back();  // the one with the database last
}

void GaleraBackend::let_others_see(int node) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    // A node that is gone or cut off is told of by its own sessions.
    if (static_cast<int>(i) != node) (void)nodes_[i]->query(mariadb::kCatchUp);
  }
}

/// No message is delivered before every member of the group has it: while the last node stands still, commits of the
/// others stay under way. It is thrown out of the group when that lasts for 5 s.
bool GaleraBackend::hold_commits() {
  if (!is_private_ || nodes_.size() < kNodes) return false;
  if (stopped_ != 0) return true;
  const std::vector<int> processes = nodes_.back()->server_processes();
  if (processes.empty()) return false;
  stopped_ = processes.front();
  ::kill(stopped_, SIGSTOP);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (!stands_still(stopped_) && std::chrono::steady_clock::now() < deadline) ::usleep(100);
  return true;
}

void GaleraBackend::deliver_commits() {
  if (const int process = stopped_.exchange(0); process != 0) ::kill(process, SIGCONT);
}

Result<void> GaleraBackend::all_catch_up() {
  for (const auto& node : nodes_) {
    if (const auto done = node->query(mariadb::kCatchUp); !done) return done.error();
  }
  return {};
}

Result<void> GaleraBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  if (has_ddl_) {
    for (const auto& node : nodes_) node->close_idle();
  }
  has_ddl_ = !ddl.empty();
  if (auto ready = nodes_.front()->set_up(rows, ddl); !ready) return ready;
  return all_catch_up();
}

Result<State> GaleraBackend::final_state() {
  if (const auto done = nodes_.front()->query(mariadb::kCatchUp); !done) return done.error();
  return nodes_.front()->final_state();
}

Result<Table> GaleraBackend::query(const std::string& sql) {
  if (auto done = nodes_.front()->query(mariadb::kCatchUp); !done) return done;
  return nodes_.front()->query(sql);
}

std::vector<Blocker> GaleraBackend::holders() {
  std::vector<Blocker> held;
  for (const auto& node : nodes_) {
    auto of_node = node->holders();
    held.insert(held.end(), std::make_move_iterator(of_node.begin()), std::make_move_iterator(of_node.end()));
  }
  std::stable_sort(held.begin(), held.end(), [](const Blocker& a, const Blocker& b) { return a.actor < b.actor; });
  return held;
}

void GaleraBackend::serve_search() {
  for (const auto& node : nodes_) node->serve_search();
}

Result<void> GaleraBackend::room_for(int sessions) {
  const int of_each = (sessions + static_cast<int>(nodes_.size()) - 1) / static_cast<int>(nodes_.size());
  for (const auto& node : nodes_) {
    if (auto has = node->room_for(of_each); !has) return has;
  }
  return {};
}

std::vector<int> GaleraBackend::server_processes() {
  std::vector<int> all;
  for (const auto& node : nodes_) {
    const auto of_node = node->server_processes();
    all.insert(all.end(), of_node.begin(), of_node.end());
  }
  return all;
}

bool is_dsn_of_galera(const std::string& text) { return dsns_of_nodes(text).ok(); }

Result<void> is_galera_available(const std::string& dsn) {
  if (is_cluster_named(dsn)) return {};
  if (const auto provider = find_provider(); !provider) return provider.error();
  if (const auto program = mariadb::find_server_program(); !program) return program.error();
  return {};
}

std::string announcement_of_galera(const std::string& dsn) {
  if (is_cluster_named(dsn) || has_private_cluster()) return {};
  return "starting a private Galera cluster of three nodes for this run, which takes some 4 seconds; it is removed at "
         "the end (--dsn names another)";
}

Result<std::unique_ptr<Backend>> open_galera(const BackendOptions& options) {
  auto backend = std::make_unique<GaleraBackend>(options);
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace
}  // namespace lockstep::galera

namespace lockstep {

BackendKind backend_galera() {
  return {.name = "galera",
          .summary = "a real Galera cluster of MariaDB: the one of --dsn or LOCKSTEP_GALERA_DSN, else a private one",
          .traits = {.title = "Galera",
                     .waits = Waits::external,
                     .footprints = Footprints::unknown,
                     .sql = true,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = kNever,
                     .dsn = StoreOption{.value = "DSN",
                                        .help = "the Galera cluster to use, galera://HOST,HOST… (LOCKSTEP_GALERA_DSN; "
                                                "default: a private one)",
                                        .variable = galera::kDsnVariable,
                                        .variable_help = "the Galera cluster to use, as --dsn; default: a private one, "
                                                         "started and removed",
                                        .fits = galera::is_dsn_of_galera,
                                        .without_secrets = galera::without_password},
                     .own_options = {}},
          .protocols = galera::protocol_list(),
          .open = galera::open_galera,
          .available = galera::is_galera_available,
          .run_isolation_spec = nullptr,
          .announcement = galera::announcement_of_galera,
          .incidents = nullptr};
}

}  // namespace lockstep
