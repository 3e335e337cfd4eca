// backend.cc: MariaDB as a store: one database of its own for each run, on a server named by a DSN or on a private one;
// and as a node of a cluster.
//
// The database is called lockstep_PID_RANDOM. While the run lives, its monitor connection holds the named lock of the
// same name. A database whose lock is free was left by a run that died, and the next run drops it.
#include "engine/stores/mariadb/backend.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "engine/store/joins.h"
#include "engine/stores/mariadb/errors.h"
#include "engine/stores/mariadb/incident_source.h"
#include "engine/stores/mariadb/protocol.h"
#include "engine/stores/mariadb/server.h"
#include "engine/stores/mariadb/session.h"
#include "engine/stores/mariadb/statements.h"

namespace lockstep {
namespace {

namespace maria = lockstep::mariadb;

constexpr int kStaleDatabasesMax = 20;  // dropped at one start
constexpr int kOldestServer = 1006;     // 10.6: the first whose locks are told as locks.h reads them

double seconds_of(Nanos span) { return std::chrono::duration<double>(span).count(); }

class MariadbBackend final : public maria::MariaNode {
 public:
  explicit MariadbBackend(const BackendOptions& options, maria::MariaMembership membership = {})
      : options_(options), membership_(std::move(membership)) {}
  ~MariadbBackend() override;

  Result<void> open();

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override;
  Result<State> final_state() override;
  Result<Table> query(const std::string& sql) override { return common_.monitor->query(sql); }
  std::vector<Blocker> holders() override;
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  void serve_search() override;
  Result<void> room_for(int sessions) override;
  std::vector<int> server_processes() override;
  std::vector<std::pair<std::string, std::string>> environment() const override { return environment_; }
  const std::string& database() const noexcept override { return database_; }
  void close_idle() override { common_.idle.clear(); }

 private:
  Result<void> choose_protocol();
  Result<void> look_at_server();
  Result<void> make_database();
  void drop_stale_databases();
  std::string session_setup() const;
  void note_environment();
  Result<void> does(const std::string& sql);

  const BackendOptions options_;
  const maria::MariaMembership membership_;
  maria::MariaCommon common_;
  Capabilities capabilities_{.nonblocking = true, .version = {}};
  ProtocolTraits traits_;
  maria::MariaIsolation isolation_{};
  std::vector<std::pair<std::string, std::string>> environment_;
  std::string server_;   ///< for environment(): private, or where
  std::string version_;  ///< "10.11.19-MariaDB"
  std::string database_;
  bool checks_snapshots_ = false;  ///< the server has innodb_snapshot_isolation
  bool is_made_ = false;
  bool is_used_ = false;  ///< set_up has run
  bool has_ddl_ = false;  ///< with statements of the scenario
};

Result<void> MariadbBackend::does(const std::string& sql) {
  const auto done = common_.monitor->query(sql);
  if (!done) return done.error();
  return {};
}

Result<void> MariadbBackend::choose_protocol() {
  if (membership_.cluster != nullptr) {
    isolation_ = membership_.isolation;
    traits_ = membership_.protocol;
    common_.cluster = membership_.cluster;
    common_.node = membership_.node;
    common_.traces = membership_.traces;
    return {};
  }
  const auto isolation = maria::isolation_named(options_.protocol);
  if (!isolation) return Error{Fault::invalid, {}, fmt::format("mariadb has no protocol \"{}\"", options_.protocol)};
  isolation_ = *isolation;
  std::vector<ProtocolTraits> all = maria::protocol_list();
  traits_ = std::move(*std::find_if(all.begin(), all.end(),
                                    [this](const ProtocolTraits& each) { return each.name == options_.protocol; }));
  return {};
}

Result<void> MariadbBackend::open() {
  if (auto chosen = choose_protocol(); !chosen) return chosen;
  common_.connect_max = options_.connect_timeout;
  common_.observer = options_.observer;
  if (!maria::is_server_named(options_.dsn)) server_ = "private";
  const auto text = maria::dsn_for(options_.dsn, options_.durable ? maria::MariaDurable::yes : maria::MariaDurable::no);
  if (!text) return text.error();
  auto dsn = maria::MariaDsn::parse(*text);
  if (!dsn) return dsn.error();
  common_.dsn = std::move(dsn).value();
  auto monitor = maria::MariaMonitor::open(common_.dsn, options_.connect_timeout);
  if (!monitor) return monitor.error();
  common_.monitor = std::move(monitor).value();
  if (server_.empty()) server_ = common_.monitor->where();
  if (auto looked = look_at_server(); !looked) return looked;
  for (const auto& [option, value] : options_.own) {
    if (option == kJoinsOption) database_ = value;
  }
  if (!database_.empty()) {
    if (common_.cluster != nullptr) {
      if (auto caught_up = does(maria::kCatchUp); !caught_up) return caught_up;
    }
    if (auto joined = does("use " + database_); !joined) return joined;
  } else {
    if (server_ != "private") drop_stale_databases();
    if (auto made = make_database(); !made) return made;
  }
  // A limit on waits of less than a second, which the server cannot count, is one on statements.
  const bool is_whole = options_.lock_timeout == kNever || options_.lock_timeout % std::chrono::seconds(1) == Nanos(0);
  common_.limit_is_for_locks = !is_whole && options_.lock_timeout <= options_.statement_timeout;
  common_.session_setup = session_setup();
  common_.has_limits = options_.lock_timeout != kNever || options_.statement_timeout != kNever;
  note_environment();
  return {};
}

/// Finds out what the server is, and whether this user may see the waits of other sessions.
Result<void> MariadbBackend::look_at_server() {
  version_ = common_.monitor->value_of("select version()");
  const std::size_t dot = version_.find('.');
  const int version =
      std::atoi(version_.c_str()) * 100 + (dot == std::string::npos ? 0 : std::atoi(version_.substr(dot + 1).c_str()));
  if (version_.find("MariaDB") == std::string::npos || version < kOldestServer) {
    return Error{
        Fault::unsupported,
        {},
        fmt::format("the server at {} is \"{}\"; MariaDB 10.6 or newer is needed", common_.monitor->where(), version_)};
  }
  // Statements outside sessions must not wait for long.
  if (auto ready = does("set session lock_wait_timeout = 5, innodb_lock_wait_timeout = 5, sql_mode = "
                        "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'");
      !ready) {
    return ready;
  }
  checks_snapshots_ = !common_.monitor->value_of("select @@innodb_snapshot_isolation").empty();
  if (isolation_.checks_snapshot && !checks_snapshots_) {
    return Error{Fault::unsupported,
                 {},
                 fmt::format("the server at {} is {}, which has no innodb_snapshot_isolation, so it has no protocol "
                             "\"{}\"",
                             common_.monitor->where(), version_, options_.protocol)};
  }
  if (const auto seen = common_.monitor->query("show engine innodb status"); !seen) {
    return Error{
        Fault::permission, seen.error().code,
        fmt::format("the user may not see the waits of other sessions at {} ({}); as an administrator: grant process "
                    "on *.* to USER",
                    common_.monitor->where(), seen.error().message)};
  }
  if (common_.monitor->value_of("select @@innodb_status_output_locks") == "1") return {};
  if (const auto set = does("set global innodb_status_output_locks = on"); !set) {
    return Error{Fault::permission, set.error().code,
                 fmt::format("the server at {} does not show the locks of sessions, and the user may not change that "
                             "({}); as an administrator: set global innodb_status_output_locks = on",
                             common_.monitor->where(), set.error().message)};
  }
  return {};
}

void MariadbBackend::drop_stale_databases() {
  const auto found =
      common_.monitor->query(fmt::format("select schema_name from information_schema.schemata where schema_name regexp "
                                         "'^lockstep_[0-9]+_[0-9a-f]{{8}}$' order by 1 limit {}",
                                         kStaleDatabasesMax));
  if (!found) return;
  for (const auto& row : *found) {
    const std::string& name = *row[0];
    const std::string lock = maria::quoted_value(name);
    // 0: its run lives.
    if (common_.monitor->value_of(fmt::format("select get_lock({}, 0)", lock)) != "1") continue;
    // A failure (another user's database) leaves it to the next start.
    (void)does("drop database if exists " + maria::quoted_name(name));
    (void)does(fmt::format("do release_lock({})", lock));
  }
}

Result<void> MariadbBackend::make_database() {
  database_ = fmt::format("lockstep_{}_{:08x}", ::getpid(), std::random_device{}());
  // The lock first: from its first moment on the database has a living owner.
  if (auto locked = does(fmt::format("do get_lock({}, 5)", maria::quoted_value(database_))); !locked) return locked;
  auto made = does(fmt::format("create database {0} character set utf8mb4 collate utf8mb4_bin; use {0}; {1}", database_,
                               maria::kCreateTable));
  is_made_ = true;
  if (made || made.error().fault != Fault::permission) return made;
  return Error{Fault::permission, made.error().code,
               fmt::format("the user may not make a database of the run's own at {} ({}); as an administrator: grant "
                           "all on `lockstep\\_%`.* to USER",
                           common_.monitor->where(), made.error().message)};
}

std::string MariadbBackend::session_setup() const {
  constexpr std::int64_t kLongestRowWait = 100'000'000, kLongestTableWait = 31'536'000;  // the server's own limits
  const std::int64_t seconds = options_.lock_timeout == kNever || common_.limit_is_for_locks
                                   ? kLongestTableWait
                                   : std::chrono::ceil<std::chrono::seconds>(options_.lock_timeout).count();
  const Nanos statement = common_.limit_is_for_locks ? options_.lock_timeout : options_.statement_timeout;
  return fmt::format(
      "set session sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', autocommit = 1, "
      "innodb_lock_wait_timeout = {}, lock_wait_timeout = {}, max_statement_time = {}{}{}; set session transaction "
      "isolation level {}; use {}",
      std::min(seconds, kLongestRowWait), std::min(seconds, kLongestTableWait),
      statement == kNever ? 0.0 : seconds_of(statement),
      checks_snapshots_ ? fmt::format(", innodb_snapshot_isolation = {}", isolation_.checks_snapshot ? "on" : "off")
                        : std::string(),
      membership_.settings, isolation_.level, database_);
}

void MariadbBackend::note_environment() {
  const auto setting = [this](const std::string& name) { return common_.monitor->value_of("select @@" + name); };
  const auto limit = [](Nanos span) {
    return span == kNever ? std::string("0")
                          : std::to_string(std::chrono::ceil<std::chrono::milliseconds>(span).count());
  };
  if (server_ == "private" && !options_.durable) {
    capabilities_.caveat =
        "the private server does not write to the disk: commits do not wait for it (--fsync on makes them durable)";
  }
  capabilities_.version = "MariaDB " + version_.substr(0, version_.find('-'));
  environment_ = {{"server", server_ == "private" ? "private server, " + common_.monitor->where() : server_},
                  {"server_version", version_},
                  {"database", database_},
                  {"isolation", std::string(isolation_.level)},
                  {"client", fmt::format("libmariadb {}, non-blocking", ::mysql_get_client_info())},
                  {"lock_timeout_ms", limit(options_.lock_timeout)},
                  {"statement_timeout_ms", limit(options_.statement_timeout)},
                  {"innodb_snapshot_isolation", isolation_.checks_snapshot ? "on" : "off"}};
  for (const char* name : {"innodb_deadlock_detect", "innodb_flush_log_at_trx_commit", "innodb_autoinc_lock_mode",
                           "innodb_rollback_on_timeout", "innodb_buffer_pool_size", "max_connections"}) {
    environment_.emplace_back(name, setting(name));
  }
}

MariadbBackend::~MariadbBackend() {
  common_.idle.clear();
  if (is_made_) (void)does(fmt::format("drop database if exists {}", database_));
}

Result<void> MariadbBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  std::string text;
  if (is_used_ && has_ddl_) {
    // A statement of the scenario may have made anything in the database.
    common_.idle.clear();
    auto made =
        does(fmt::format("drop database if exists {0}; create database {0} character set utf8mb4 collate "
                         "utf8mb4_bin; use {0}; {1}",
                         database_, maria::kCreateTable));
    if (!made) return made;
  } else if (is_used_) {
    // Of a row that is deleted the server keeps a mark for a while, which is locked as a row is. Marks of rows that are
    // filled in again are gone at once; with others the next run would differ from the one before.
    text = common_.traces->may_have_new_rows.load() ? "truncate table kv;" : "delete from kv;";
  }
  is_used_ = true;
  has_ddl_ = !ddl.empty();
  common_.traces->locks_beyond_rows = false;
  common_.traces->may_have_new_rows = false;
  for (const auto& [key, value] : rows) {
    text += &key == &rows.front().first ? "insert into kv (k, v) values " : ", ";
    text += fmt::format("({}, {})", maria::quoted_value(key), maria::quoted_value(value));
  }
  if (!text.empty()) {
    if (auto filled = does("start transaction; " + text + (rows.empty() ? " commit" : "; commit")); !filled)
      return filled;
  }
  for (const auto& statement : ddl) {
    if (auto run = does(statement); !run) {
      return Error{run.error().fault, run.error().code, fmt::format("{}: {}", statement, run.error().message)};
    }
  }
  return {};
}

Result<std::unique_ptr<Session>> MariadbBackend::open_session(int actor, const std::string& /*name*/) {
  return maria::MariadbSession::open(common_, actor);
}

Result<State> MariadbBackend::final_state() {
  const auto table = common_.monitor->query("select k, v from kv order by k");
  if (!table) return table.error();
  State state;
  for (const auto& row : *table) state.emplace_back(row[0].value_or(""), row[1].value_or(""));
  return state;
}

std::vector<Blocker> MariadbBackend::holders() {
  std::vector<Blocker> held;
  for (const maria::Transaction& transaction : maria::transactions_in(common_.monitor->status())) {
    const int actor = common_.actors.actor_of(transaction.thread);
    if (actor < 0) continue;
    for (const maria::InnodbLock& lock : transaction.locks) {
      if (!lock.waiting) held.push_back({.actor = actor, .object = maria::text_of(lock), .what = lock.mode});
    }
  }
  std::stable_sort(held.begin(), held.end(), [](const Blocker& a, const Blocker& b) { return a.actor < b.actor; });
  return held;
}

void MariadbBackend::serve_search() {
  common_.describes_waits = false;
  // A server that the user runs stays on the processors where the user has put it.
  if (server_ != "private" || common_.monitor->server_pid() == 0) return;
  common_.processor = std::make_unique<server::OneProcessor>();
  common_.processor->take_in(common_.monitor->server_pid());
}

Result<void> MariadbBackend::room_for(int sessions) {
  const std::string most = common_.monitor->value_of("select @@max_connections");
  const std::string used = common_.monitor->value_of("select count(*) from information_schema.processlist");
  const int left = std::atoi(most.c_str()) - std::atoi(used.c_str());
  if (most.empty() || left >= sessions) return {};
  return Error{Fault::invalid,
               {},
               fmt::format("{} sessions need {} connections and the server has {} left (max_connections is {}); use "
                           "fewer --sessions, or raise max_connections",
                           sessions, sessions, std::max(left, 0), most)};
}

std::vector<int> MariadbBackend::server_processes() {
  const int pid = common_.monitor->server_pid();
  return pid == 0 ? std::vector<int>() : std::vector<int>{pid};
}

bool is_dsn_of_mariadb(const std::string& text) { return maria::MariaDsn::parse(text).ok(); }

std::string dsn_without_secrets(const std::string& text) {
  const auto dsn = maria::MariaDsn::parse(text);
  return dsn ? dsn->without_password() : std::string();
}

Result<void> is_mariadb_available(const std::string& dsn) {
  if (maria::is_server_named(dsn)) return {};
  const auto program = maria::find_server_program();
  if (!program) return program.error();
  return {};
}

std::string announcement_of_mariadb(const std::string& dsn) {
  if (maria::is_server_named(dsn) || maria::has_private_server()) return {};
  return "starting a private MariaDB server for this run; it is removed at the end (--dsn names another)";
}

Result<std::unique_ptr<Backend>> open_mariadb(const BackendOptions& options) {
  auto backend = std::make_unique<MariadbBackend>(options);
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace

Result<std::unique_ptr<maria::MariaNode>> maria::open_node(const BackendOptions& options,
                                                           maria::MariaMembership membership) {
  auto backend = std::make_unique<MariadbBackend>(options, std::move(membership));
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<MariaNode>(std::move(backend));
}

BackendKind backend_mariadb() {
  return {.name = "mariadb",
          .summary = "a real MariaDB with InnoDB: the server of --dsn or LOCKSTEP_MARIADB_DSN, else a private one",
          .traits = {.title = "MariaDB",
                     .waits = Waits::external,
                     .footprints = Footprints::unknown,
                     .sql = true,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = kNever,
                     .dsn = StoreOption{.value = "DSN",
                                        .help = "the MariaDB server to use, mysql://… (LOCKSTEP_MARIADB_DSN; default: "
                                                "a private one)",
                                        .variable = maria::kDsnVariable,
                                        .variable_help = "the MariaDB server to use, as --dsn; default: a private one, "
                                                         "started and removed",
                                        .fits = is_dsn_of_mariadb,
                                        .without_secrets = dsn_without_secrets},
                     .own_options = {kJoinsOption}},
          .protocols = maria::protocol_list(),
          .open = open_mariadb,
          .available = is_mariadb_available,
          .run_isolation_spec = nullptr,
          .announcement = announcement_of_mariadb,
          .incidents = &mariadb::kIncidentSource};
}

}  // namespace lockstep
