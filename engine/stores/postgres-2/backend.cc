// backend.cc: PostgreSQL on two servers as one store: two stores of one server each, and a coordinator before them.
//
// The rows of the portable verbs are spread over the servers by their keys (placement.h). What a server is, where the
// rows lie there and how a session speaks to it is the business of the store on one server.
#include "engine/stores/postgres/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "engine/store/joins.h"
#include "engine/stores/postgres-2/outcome_log.h"
#include "engine/stores/postgres-2/session.h"
#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/protocol.h"
#include "engine/stores/postgres/server_binaries.h"

namespace lockstep {
namespace {

namespace two = lockstep::postgres_2;
using postgres::PrivateCluster;

/// How a transaction with two branches commits: "two-phase" (the default) or "in-turn".
constexpr std::string_view kCommitOption = "commit";
constexpr std::string_view kInTurn = "in-turn";
/// Whether anybody looks at the waits of both servers together: "on" (the default) or "off".
constexpr std::string_view kJointOption = "joint-graph";
constexpr const char* kPairVariable = "LOCKSTEP_POSTGRES_2_DSN";

/// A reader may see one half of what a transaction commits, at every level. No level above this one holds for the whole
/// (docs/postgres-2.md has the reason why this one does).
std::vector<ProtocolTraits> pair_protocols() {
  std::vector<ProtocolTraits> list = postgres::protocol_list();
  for (ProtocolTraits& each : list) {
    each.summary =
        fmt::format("{}, on each server by itself", postgres::isolation_named(each.name).value_or(each.name));
    each.isolation = check::Level::read_committed;
    each.model = std::nullopt;
  }
  return list;
}

std::string named_servers(const std::string& dsn) {
  const char* const variable = std::getenv(kPairVariable);
  return !dsn.empty() || variable == nullptr ? dsn : std::string(variable);
}

class PairBackend final : public Backend {
 public:
  explicit PairBackend(const BackendOptions& options) : options_(options) {}
  ~PairBackend() override;

  Result<void> open();

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override;
  Result<State> final_state() override;
  Result<Table> query(const std::string& sql) override;
  std::vector<Blocker> holders() override;
  void serve_search() override;
  Result<void> room_for(int sessions) override;
  std::vector<int> server_processes() override;
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  std::vector<std::pair<std::string, std::string>> environment() const override { return environment_; }

 private:
  Result<std::array<BackendOptions, two::kServers>> options_of_servers();
  Result<void> recover_dead_runs(std::span<const BackendOptions> servers);
  Result<void> look_at_servers();
  Result<void> resolve_left_over();
  void note_environment();
  std::string option(std::string_view name) const;
  postgres::Common& common_of(std::size_t server) { return servers_[server]->common(); }

  const BackendOptions options_;
  std::array<std::unique_ptr<postgres::PostgresServer>, two::kServers> servers_;
  two::PairCommon common_;  // its detector ends before the servers do
  Capabilities capabilities_{.nonblocking = true, .version = {}};
  ProtocolTraits traits_;
  std::vector<std::pair<std::string, std::string>> environment_;
  std::size_t recovered_ = 0;  ///< transactions of dead runs
  Mutex mutex_;
  std::map<std::string, int> names_ LOCKSTEP_GUARDED_BY(mutex_);  ///< of sessions since the latest set_up: how many
};

std::string PairBackend::option(std::string_view name) const {
  for (const auto& [key, value] : options_.own) {
    if (key == name) return value;
  }
  return {};
}

Result<std::array<BackendOptions, two::kServers>> PairBackend::options_of_servers() {
  std::array<BackendOptions, two::kServers> servers{options_, options_};
  for (BackendOptions& each : servers) {
    each.own.clear();
    each.blocking = false;
  }
  const std::string named = named_servers(options_.dsn);
  if (named.empty()) {
    const std::string cluster(postgres::kClusterOption);
    servers[0].own = {{cluster, std::string(postgres::kFirstCluster)}};
    servers[1].own = {{cluster, std::string(postgres::kSecondCluster)}};
    return servers;
  }
  auto dsns = two::two_dsns_in(named);
  if (!dsns) {
    return Error{Fault::invalid, {}, "two servers are needed: two DSNs with a semicolon between them, \"DSN;DSN\""};
  }
  servers[0].dsn = std::move(dsns->first);
  servers[1].dsn = std::move(dsns->second);
  return servers;
}

/// Before anything of dead runs is dropped: what they have prepared holds its locks until it is ended.
Result<void> PairBackend::recover_dead_runs(std::span<const BackendOptions> servers) {
  std::vector<std::unique_ptr<postgres::Monitor>> owned;
  std::vector<postgres::Monitor*> monitors;
  for (const BackendOptions& each : servers) {
    auto dsn = postgres::Dsn::parse(each.dsn);
    if (!dsn) return dsn.error();
    auto monitor = postgres::Monitor::open(*dsn, options_.connect_timeout);
    if (!monitor) return monitor.error();
    owned.push_back(std::move(monitor).value());
    monitors.push_back(owned.back().get());
  }
  // A failure (another user's transaction) leaves it to the next start.
  if (const auto resolved = two::resolve_of_dead_runs(monitors, postgres::kLockClass)) recovered_ = resolved->size();
  return {};
}

Result<void> PairBackend::open() {
  const std::vector<ProtocolTraits> all = pair_protocols();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [this](const ProtocolTraits& each) { return each.name == options_.protocol; });
  if (found == all.end()) {
    return Error{Fault::invalid, {}, fmt::format("postgres-2 has no protocol \"{}\"", options_.protocol)};
  }
  traits_ = *found;
  const auto servers = options_of_servers();
  if (!servers) return servers.error();
  if (!(*servers)[0].dsn.empty()) {
    if (auto recovered = recover_dead_runs(*servers); !recovered) return recovered;
  }
  for (std::size_t server = 0; server < two::kServers; ++server) {
    auto opened = postgres::open_server((*servers)[server]);
    if (!opened) return opened.error();
    servers_[server] = std::move(opened).value();
  }
  if (auto looked = look_at_servers(); !looked) return looked;
  common_.run = place_of(servers_[0]->environment());
  common_.isolation = common_of(0).isolation;
  common_.commits_in_turn = option(kCommitOption) == kInTurn;
  for (std::size_t server = 0; server < two::kServers; ++server) {
    common_.servers[server] = &common_of(server);
    common_of(server).session_setup += two::foreign_session_setup();
    common_of(server).preparer_of = [this](const std::string& global) {
      const auto name = two::name_within(common_.run, global);
      return name ? common_.preparers.actor_of(*name) : -1;
    };
  }
  if (option(kJointOption) == "off") {
    traits_.deadlocks = DeadlockBreaking::none;
  } else {
    common_.detector = std::make_unique<two::JointDetector>(
        std::vector<postgres::Common*>{&common_of(0), &common_of(1)}, options_.deadlock_timeout);
  }
  note_environment();
  return {};
}

/// Whether they can do what a store on two servers needs.
Result<void> PairBackend::look_at_servers() {
  for (std::size_t server = 0; server < two::kServers; ++server) {
    const auto most = servers_[server]->query("select pg_catalog.current_setting('max_prepared_transactions')::int");
    if (!most) return most.error();
    if ((*most)[0][0] != "0") continue;
    return Error{Fault::unavailable,
                 {},
                 fmt::format("server {} cannot prepare transactions: max_prepared_transactions is 0 at {}; as an "
                             "administrator: alter system set max_prepared_transactions = 64, and a restart",
                             server + 1, common_of(server).monitor->where())};
  }
  return {};
}

void PairBackend::note_environment() {
  capabilities_.version = servers_[0]->capabilities().version;
  if (const std::string& second = servers_[1]->capabilities().version; second != capabilities_.version) {
    capabilities_.version += " and " + second;
  }
  capabilities_.caveat = servers_[0]->capabilities().caveat;
  environment_ = servers_[0]->environment();
  for (auto& [name, value] : servers_[1]->environment()) {
    const bool is_same =
        std::find(environment_.begin(), environment_.end(), std::pair(name, value)) != environment_.end();
    if (!is_same) environment_.emplace_back("second_" + name, value);
  }
  environment_.emplace_back("commit", common_.commits_in_turn ? "in turn" : "two-phase");
  environment_.emplace_back("joint_graph", common_.detector == nullptr ? "off" : "on");
  if (recovered_ > 0) environment_.emplace_back("recovered", std::to_string(recovered_));
}

PairBackend::~PairBackend() {
  common_.detector.reset();
  // What stays prepared would keep the schemas from being dropped.
  if (servers_[0] != nullptr && servers_[1] != nullptr && !common_.run.empty()) (void)resolve_left_over();
}

Result<void> PairBackend::resolve_left_over() {
  const std::array<postgres::Monitor*, two::kServers> monitors{common_of(0).monitor.get(), common_of(1).monitor.get()};
  const auto resolved = two::resolve_prepared(monitors, common_.run);
  common_.preparers.clear();
  if (!resolved) return resolved.error();
  return {};
}

Result<void> PairBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  if (auto resolved = resolve_left_over(); !resolved) return resolved;
  {
    const MutexLock lock(mutex_);
    names_.clear();
  }
  common_.has_foreign_tables = std::any_of(ddl.begin(), ddl.end(), two::links_servers);
  std::array<two::OtherServer, two::kServers> others;
  for (std::size_t server = 0; server < two::kServers; ++server) {
    const std::size_t other = 1 - server;
    others[server] = two::other_server(common_of(other).dsn, place_of(servers_[other]->environment()));
  }
  for (std::size_t server = 0; server < two::kServers; ++server) {
    State here;
    for (const auto& row : rows) {
      if (two::server_of(row.first) == server) here.push_back(row);
    }
    std::vector<std::string> statements;
    for (const std::string& statement : ddl) {
      if (two::server_named_in(statement).value_or(server) == server) {
        statements.push_back(two::filled_in(two::without_server(statement), others[server]));
      }
    }
    // With statements of a scenario the schema is made anew, and the log with it.
    if (server == 0 && !statements.empty()) statements.insert(statements.begin(), two::log_statement());
    if (auto made = servers_[server]->set_up(here, statements); !made) return made;
    if (server != 0 || !statements.empty()) continue;
    const auto log = servers_[0]->query(fmt::format("{}; delete from {}", two::log_statement(), two::kLogTable));
    if (!log) return log.error();
  }
  return {};
}

Result<std::unique_ptr<Session>> PairBackend::open_session(int actor, const std::string& name) {
  std::array<std::unique_ptr<postgres::PostgresSession>, two::kServers> sessions;
  for (std::size_t server = 0; server < two::kServers; ++server) {
    auto opened = servers_[server]->open_branch(actor, name);
    if (!opened) return opened.error();
    sessions[server] = std::move(opened).value();
  }
  std::string unique = name;
  {
    const MutexLock lock(mutex_);
    if (const int before = names_[name]++; before > 0) unique += fmt::format(".{}", before + 1);
  }
  return std::unique_ptr<Session>(std::make_unique<two::PairSession>(common_, actor, unique, std::move(sessions)));
}

Result<State> PairBackend::final_state() {
  State all;
  for (const auto& server : servers_) {
    auto state = server->final_state();
    if (!state) return state;
    all.insert(all.end(), state->begin(), state->end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

Result<Table> PairBackend::query(const std::string& sql) {
  return servers_[two::server_named_in(sql).value_or(0)]->query(std::string(two::without_server(sql)));
}

std::vector<Blocker> PairBackend::holders() {
  std::vector<Blocker> all;
  for (std::size_t server = 0; server < two::kServers; ++server) {
    for (Blocker& held : servers_[server]->holders()) {
      held.what = two::at_server(held.what, server);
      all.push_back(std::move(held));
    }
  }
  return all;
}

void PairBackend::serve_search() {
  // The thread can share its processor with one server alone.
  for (std::size_t server = 0; server < two::kServers; ++server) servers_[server]->serve_search();
}

Result<void> PairBackend::room_for(int sessions) {
  for (const auto& server : servers_) {
    if (auto room = server->room_for(sessions); !room) return room;
  }
  return {};
}

std::vector<int> PairBackend::server_processes() {
  std::vector<int> all = servers_[0]->server_processes();
  const std::vector<int> more = servers_[1]->server_processes();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool is_pair_of_dsns(const std::string& text) { return two::two_dsns_in(text).has_value(); }

std::string pair_without_passwords(const std::string& text) {
  const auto dsns = two::two_dsns_in(text);
  if (!dsns) return {};
  return fmt::format("{};{}", postgres::Dsn::parse(dsns->first)->without_password(),
                     postgres::Dsn::parse(dsns->second)->without_password());
}

Result<void> is_pair_available(const std::string& dsn) {
  if (!named_servers(dsn).empty()) return {};
  const auto binaries = postgres::find_server_binaries();
  if (!binaries) return binaries.error();
  return {};
}

std::string announcement_of_pair(const std::string& dsn) {
  const bool has_both = postgres::has_private_cluster() && postgres::has_private_cluster(PrivateCluster::second);
  if (!named_servers(dsn).empty() || has_both) return {};
  return "starting two private PostgreSQL servers for this run; they are removed at the end (--dsn names others)";
}

Result<std::unique_ptr<Backend>> open_pair(const BackendOptions& options) {
  auto backend = std::make_unique<PairBackend>(options);
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace

BackendKind backend_postgres_2() {
  return {.name = "postgres-2",
          .summary = "PostgreSQL on two servers with two-phase commit: those of --dsn, else two private ones",
          .traits = {.title = "PostgreSQL on two servers",
                     .waits = Waits::external,
                     .footprints = Footprints::unknown,
                     .sql = true,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = kNever,
                     .dsn = StoreOption{.value = "DSN;DSN",
                                        .help = "the two PostgreSQL servers to use, with a semicolon between their "
                                                "DSNs (LOCKSTEP_POSTGRES_2_DSN; default: two private ones)",
                                        .variable = kPairVariable,
                                        .variable_help = "the two PostgreSQL servers to use, as --dsn; default: two "
                                                         "private ones, started and removed",
                                        .fits = is_pair_of_dsns,
                                        .without_secrets = pair_without_passwords},
                     .own_options = {kCommitOption, kJointOption}},
          .protocols = pair_protocols(),
          .open = open_pair,
          .available = is_pair_available,
          .run_isolation_spec = nullptr,
          .announcement = announcement_of_pair,
          .incidents = nullptr};
}

}  // namespace lockstep
