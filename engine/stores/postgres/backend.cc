// backend.cc: PostgreSQL as a store: one schema of its own for each run, on a server named by a DSN or on a private
// one.
//
// The schema is called lockstep_PID_RANDOM. While the run lives, its monitor connection holds an advisory lock made
// from RANDOM. A schema whose lock is free was left by a run that died, and the next run drops it.
#include "engine/stores/postgres/backend.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "engine/store/joins.h"
#include "engine/store/statement_text.h"
#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/isolation.h"
#include "engine/stores/postgres/log/incident_source.h"
#include "engine/stores/postgres/own_database.h"
#include "engine/stores/postgres/protocol.h"
#include "engine/stores/postgres/saved_tables.h"
#include "engine/stores/postgres/server_binaries.h"
#include "engine/stores/postgres/session.h"

namespace lockstep {
namespace {

using namespace postgres;

/// How a search restores tables: "rows" (the default), "files" (truncates them each time) or "anew" (makes them anew).
constexpr std::string_view kTablesOption = "tables";
constexpr std::string_view kPagesSchema = "lockstep_pages";  // of an extension, on a private server
constexpr int kPagesLock = 1;                                // beside kLockClass: who makes it
constexpr int kSavedInVainMost = 4;                          // orders in a row; then only now and then
constexpr int kSavedAgainAfter = 16;                         // orders
constexpr std::string_view kBareOption = "bare";             // its value: the name of the file, for application_name
constexpr int kStaleSchemasMax = 50;                         // dropped at one start

/// The server's unit; "0" switches a limit off.
std::string milliseconds_text(Nanos span) {
  if (span == kNever) return "0";
  return std::to_string(std::max<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(span).count(), 1));
}

class PostgresBackend final : public PostgresServer {
 public:
  explicit PostgresBackend(const BackendOptions& options) : options_(options) {}
  ~PostgresBackend() override;

  Result<void> open();

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) override;
  Result<State> final_state() override;
  Result<Table> query(const std::string& sql) override { return common_.monitor->query(sql); }
  std::vector<Blocker> holders() override;
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  /// Leaves out what is only for people. On a private server the calling thread and the server's processes share one
  /// processor until the backend ends. Handing over to the other side then wakes no idle processor.
  void serve_search() override;
  Result<void> room_for(int sessions) override;
  std::vector<int> server_processes() override;
  std::vector<std::pair<std::string, std::string>> environment() const override { return environment_; }
  Common& common() noexcept override { return common_; }
  Result<std::unique_ptr<PostgresSession>> open_branch(int actor, const std::string& name) override {
    return open_nonblocking_session(common_, actor, name);
  }

 private:
  Result<std::string> choose_server();
  void add_rows(const std::map<std::string, int>& actor_of_transaction, const std::set<std::string>& closed,
                std::vector<Blocker>& held);
  /// The scenario's SQL stands alone: a database of its own, no table of rows, no settings.
  bool is_bare() const noexcept { return !common_.bare_name.empty(); }
  Result<void> open_bare();
  Result<void> set_up_bare(std::span<const std::string> ddl);
  void drop_stale_schemas();
  Result<void> make_schema();
  Result<void> set_up_anew(const State& rows, std::span<const std::string> ddl);
  bool restore(const State& rows, std::span<const std::string> ddl);
  void save_tables();
  std::string pages_schema();
  std::string session_setup(bool may_set_deadlock_timeout) const;
  void note_environment(bool may_set_deadlock_timeout);

  const BackendOptions options_;
  Dsn server_dsn_;                    ///< as it was named
  std::unique_ptr<OwnDatabase> own_;  ///< of bare mode; outlives the connections
  Common common_;
  Capabilities capabilities_{.nonblocking = false, .version = {}};
  ProtocolTraits traits_;
  std::vector<std::pair<std::string, std::string>> environment_;
  std::string server_;  ///< for environment(): private, or where
  std::string schema_;  ///< made here, or joined
  std::string token_;   ///< the second half of the advisory lock, as the server's integer
  bool has_schema_ = false;
  bool is_used_ = false;  ///< set_up has run
  bool has_ddl_ = false;  ///< with statements of the scenario
  State rows_;            ///< of the latest set_up
  std::vector<std::string> ddl_;
  bool is_search_ = false;
  std::optional<std::string> pages_schema_;  ///< of pageinspect; empty: there is none; nullopt: nobody has looked
  std::unique_ptr<SavedTables> saved_;       ///< nullptr: each order's tables are made anew
  bool restores_ = true;
  int saved_in_vain_ = 0;  ///< how often in a row
  int made_anew_ = 0;      ///< orders since the tables were saved last
};

std::string value_of(const BackendOptions& options, std::string_view name) {
  const auto found =
      std::find_if(options.own.begin(), options.own.end(), [name](const auto& own) { return own.first == name; });
  return found == options.own.end() ? std::string() : found->second;
}

Result<void> done(const Result<Table>& result) {
  if (result) return {};
  return result.error();
}

Result<std::string> PostgresBackend::choose_server() {
  const Durable durable = options_.durable ? Durable::yes : Durable::no;
  const std::string cluster = value_of(options_, kClusterOption);
  if (!cluster.empty() || !is_server_named(options_.dsn)) server_ = "private";
  if (cluster.empty()) return dsn_for(options_.dsn, durable);
  return private_cluster_dsn(durable, cluster == kSecondCluster ? PrivateCluster::second : PrivateCluster::first);
}

Result<void> PostgresBackend::open() {
  const auto isolation = isolation_named(options_.protocol);
  if (!isolation) return Error{Fault::invalid, {}, fmt::format("postgres has no protocol \"{}\"", options_.protocol)};
  common_.isolation = *isolation;
  std::vector<ProtocolTraits> all = protocol_list();
  traits_ = std::move(*std::find_if(all.begin(), all.end(),
                                    [this](const ProtocolTraits& each) { return each.name == options_.protocol; }));
  common_.connect_max = options_.connect_timeout;
  const auto text = choose_server();
  if (!text) return text.error();
  auto dsn = Dsn::parse(*text);
  if (!dsn) return dsn.error();
  common_.dsn = server_dsn_ = std::move(dsn).value();
  capabilities_.nonblocking = !options_.blocking;
  common_.bare_name = value_of(options_, kBareOption);
  restores_ = value_of(options_, kTablesOption) != "anew";
  if (const std::string joined = value_of(options_, kJoinsOption); !joined.empty()) schema_ = joined;
  if (is_bare()) return open_bare();
  auto monitor = Monitor::open(common_.dsn, options_.connect_timeout);
  if (!monitor) return monitor.error();
  common_.monitor = std::move(monitor).value();
  if (server_.empty()) server_ = common_.monitor->where();

  // Statements outside sessions must not wait for long.
  const auto prepared = common_.monitor->query("set client_min_messages = error; set lock_timeout = '5s'");
  if (!prepared) return prepared.error();
  if (schema_.empty()) {
    if (server_ != "private") drop_stale_schemas();
    if (auto made = make_schema(); !made) return made;
  } else if (auto joined = done(common_.monitor->query(fmt::format("set search_path = {}, public", schema_)));
             !joined) {
    return joined;
  }
  const std::string timeout = milliseconds_text(options_.deadlock_timeout);
  // Only a superuser, or a role that was granted SET on it (PostgreSQL 15), may change it. For others the server's own
  // value holds.
  const bool may_set = common_.monitor->query("set deadlock_timeout = " + timeout).ok();
  common_.session_setup = session_setup(may_set);
  common_.has_limits = options_.lock_timeout != kNever || options_.statement_timeout != kNever;
  note_environment(may_set);
  return {};
}

Result<void> PostgresBackend::open_bare() {
  auto database = OwnDatabase::create(server_dsn_, options_.connect_timeout,
                                      {{"default_transaction_isolation", common_.isolation}});
  if (!database) return database.error();
  own_ = std::move(*database);
  common_.dsn = own_->dsn();
  auto monitor = Monitor::open(own_->dsn(), options_.connect_timeout);
  if (!monitor) return monitor.error();
  common_.monitor = std::move(*monitor);
  if (server_.empty()) server_ = common_.monitor->where();
  note_environment(true);
  return {};
}

Result<void> PostgresBackend::set_up_bare(std::span<const std::string> ddl) {
  if (std::exchange(is_used_, true)) {
    // The statements of the run before may have made anything in the database.
    common_.idle.clear();
    common_.monitor.reset();
    own_.reset();
    if (auto opened = open_bare(); !opened) return opened;
  }
  for (const auto& statement : ddl) {
    if (auto run = done(common_.monitor->query(statement)); !run) {
      return Error{run.error().fault, run.error().code, fmt::format("{}: {}", statement, run.error().message)};
    }
  }
  return {};
}

std::string PostgresBackend::session_setup(bool may_set_deadlock_timeout) const {
  std::string setup = fmt::format(
      "set client_min_messages = notice; set search_path = {}, public; set lock_timeout = {}; set statement_timeout = "
      "{};",
      schema_, milliseconds_text(options_.lock_timeout), milliseconds_text(options_.statement_timeout));
  // The planner would read a table of a few rows whole. At serializable that locks all of it, and disjoint transactions
  // abort each other. One plan for all parameters: no planning, and no change of plan, in the middle of a run.
  setup += "set enable_seqscan = off;";
  if (common_.monitor->server_version() >= 120000) setup += "set plan_cache_mode = force_generic_plan;";
  if (may_set_deadlock_timeout) {
    setup += fmt::format("set deadlock_timeout = {};", milliseconds_text(options_.deadlock_timeout));
  }
  return setup;
}

void PostgresBackend::drop_stale_schemas() {
  const auto found = common_.monitor->query(
      "select nspname from pg_catalog.pg_namespace"
      " where nspname ~ '^lockstep_[0-9]+_[0-9a-f]{8}$' and pg_catalog.pg_has_role(nspowner, 'usage')"
      " order by nspname limit " +
      std::to_string(kStaleSchemasMax));
  if (!found) return;
  for (const auto& row : *found) {
    const std::string& name = *row[0];
    std::uint32_t token = 0;
    const char* const digits = name.data() + name.size() - 8;
    if (std::from_chars(digits, digits + 8, token, 16).ec != std::errc()) continue;
    const std::string lock = fmt::format("{}, {}", kLockClass, static_cast<std::int32_t>(token));
    const auto taken = common_.monitor->query(fmt::format("select pg_catalog.pg_try_advisory_lock({})", lock));
    if (!taken || (*taken)[0][0] != "t") continue;  // its run lives
    // A failure (its sessions still end, another user's objects) leaves it to the next start.
    (void)common_.monitor->query(fmt::format("drop schema if exists {} cascade", quoted_name(name)));
    (void)common_.monitor->query(fmt::format("select pg_catalog.pg_advisory_unlock({})", lock));
  }
}

Result<void> PostgresBackend::make_schema() {
  const std::uint32_t random = std::random_device{}();
  schema_ = fmt::format("lockstep_{}_{:08x}", ::getpid(), random);
  token_ = std::to_string(static_cast<std::int32_t>(random));
  // The lock first: from its first moment on the schema has a living owner.
  const auto locked =
      common_.monitor->query(fmt::format("select pg_catalog.pg_advisory_lock({}, {})", kLockClass, token_));
  if (!locked) return locked.error();
  auto made = done(common_.monitor->query(
      fmt::format("create schema {0}; set search_path = {0}, public; {1}", schema_, kCreateTable)));
  has_schema_ = made.ok();
  if (made || made.error().code != "42501") return made;
  return Error{made.error().fault, made.error().code,
               fmt::format("the role may not make a schema of the run's own at {} ({}); as its owner: grant create on "
                           "database … to ROLE",
                           common_.monitor->where(), made.error().message)};
}

void PostgresBackend::note_environment(bool may_set_deadlock_timeout) {
  const auto setting = [this](const std::string& name) {
    const std::array parameters = {std::optional(name)};
    const auto value = common_.monitor->query("select current_setting($1, true)", parameters);
    return value && !value->empty() && (*value)[0][0] ? *(*value)[0][0] : std::string();
  };
  if (server_ == "private" && setting("fsync") == "off") {
    capabilities_.caveat =
        "the private server runs with fsync=off: commits do not wait for a disk (--fsync on makes them durable)";
  }
  const std::string version = setting("server_version");
  capabilities_.version = "PostgreSQL " + version.substr(0, version.find(' '));
  environment_ = {{"server", server_ == "private" ? "private cluster, " + common_.monitor->where() : server_},
                  {"server_version", version},
                  is_bare() ? std::pair<std::string, std::string>{"database", own_->name()}
                            : std::pair<std::string, std::string>{"schema", schema_},
                  {"isolation", common_.isolation},
                  {"client", options_.blocking ? "libpqxx, blocking" : "libpq, non-blocking"},
                  {"deadlock_timeout", setting("deadlock_timeout") +
                                           (may_set_deadlock_timeout ? "" : " (the server's: not allowed to set it)")}};
  if (!is_bare()) {
    environment_.emplace_back("lock_timeout_ms", milliseconds_text(options_.lock_timeout));
    environment_.emplace_back("statement_timeout_ms", milliseconds_text(options_.statement_timeout));
    environment_.emplace_back("enable_seqscan", "off (in sessions, so that small tables are read by index)");
  }
  if (!may_set_deadlock_timeout) {
    environment_.emplace_back(
        "denied", fmt::format("the role may not set deadlock_timeout, so the server looks for cycles after {} and not "
                              "after {} ms; as a superuser: grant set on parameter deadlock_timeout to ROLE",
                              setting("deadlock_timeout"), milliseconds_text(options_.deadlock_timeout)));
  }
  for (const char* name : {"fsync", "synchronous_commit", "full_page_writes", "max_connections", "shared_buffers",
                           "autovacuum", "max_pred_locks_per_page", "max_prepared_transactions"}) {
    environment_.emplace_back(name, setting(name));
  }
}

PostgresBackend::~PostgresBackend() {
  if (!has_schema_) return;
  (void)common_.monitor->query(fmt::format("drop schema if exists {} cascade", schema_));
}

/// The locks that the sessions hold, from pg_locks, and the rows that their transactions have changed or locked. Of
/// rows the lock table knows nothing (PostgreSQL manual, 54.12): the row itself names the transaction, in xmax.
std::vector<Blocker> PostgresBackend::holders() {
  const std::vector<int> pids = common_.actors.pids();
  if (pids.empty()) return {};
  const auto locks = query(fmt::format(
      "select l.pid, l.locktype, l.mode, c.oid::regclass::text, l.classid::bigint, l.objid::bigint, l.objsubid,"
      " l.transactionid::text, case when l.classid = to_regclass('kv') then 'kv' end, '(' || l.page || ',' || l.tuple "
      "||"
      " ')', n.nspname from pg_catalog.pg_locks l left join pg_catalog.pg_class c on c.oid = l.relation and"
      " c.relkind <> 'i' and l.database = (select oid from pg_catalog.pg_database where datname = current_database())"
      " left join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
      " where l.granted and l.pid in ({}) order by 1, 2, 4, 3",
      fmt::join(pids, ", ")));
  if (!locks) return {};
  std::vector<Blocker> held;
  std::map<std::string, int> actor_of_transaction;
  std::set<std::string> closed;
  for (const auto& row : *locks) {
    const int actor = common_.actors.actor_of(std::atoi(row[0].value_or("").c_str()));
    const std::string kind = row[1].value_or(""), mode = row[2].value_or("");
    if (kind == "transactionid") actor_of_transaction[row[7].value_or("")] = actor;
    if (kind == "advisory")
      held.push_back({.actor = actor,
                      .object = advisory_key(std::span<const std::optional<std::string>, 5>(&row[4], 5)),
                      .what = mode});
    const bool is_of_run = row[3] && row[10] && row[10] != "pg_catalog";
    if (!is_of_run) continue;
    const std::string object = kind == "tuple" ? fmt::format("{} {}", *row[3], row[9].value_or("")) : *row[3];
    held.push_back({.actor = actor, .object = object, .what = mode});
    if (mode == "AccessExclusiveLock") closed.insert(*row[3]);
  }
  if (actor_of_transaction.empty()) return held;
  add_rows(actor_of_transaction, closed, held);
  return held;
}

/// `closed`: tables that cannot be read now.
void PostgresBackend::add_rows(const std::map<std::string, int>& actor_of_transaction,
                               const std::set<std::string>& closed, std::vector<Blocker>& held) {
  constexpr int kTablesMost = 8, kRowsMost = 32;
  const auto tables =
      query(fmt::format("select c.oid::regclass::text from pg_catalog.pg_class c where c.relkind = 'r' and "
                        "c.relnamespace = {}::regnamespace"
                        " order by c.oid limit {}",
                        quoted_value(is_bare() ? "public" : schema_), kTablesMost));
  if (!tables) return;
  std::vector<std::string> ids;
  for (const auto& [id, actor] : actor_of_transaction) ids.push_back("'" + id + "'");
  for (const auto& table : *tables) {
    const std::string& name = *table[0];
    if (closed.contains(name)) continue;
    const auto rows = query(fmt::format("select xmax::text, {} from {} where xmax::text in ({}) limit {}",
                                        name == "kv" ? "k" : "ctid::text", name, fmt::join(ids, ", "), kRowsMost));
    if (!rows) continue;
    for (const auto& row : *rows) {
      const auto actor = actor_of_transaction.find(row[0].value_or(""));
      if (actor == actor_of_transaction.end()) continue;
      held.push_back({.actor = actor->second,
                      .object = fmt::format("row {} of {}", row[1].value_or(""), name),
                      .what = "changed or locked"});
    }
  }
}

void PostgresBackend::serve_search() {
  common_.describes_waits = false;
  is_search_ = true;
  if (server_ == "private") {
    common_.processor = std::make_unique<server::OneProcessor>();
    common_.processor->take_in(common_.monitor->pid());
  }  // a server that the user runs stays on the processors where the user has put it
  if (has_ddl_) save_tables();
}

/// The schema of the extension pageinspect on a private server, which is the program's own; empty where there is none.
std::string PostgresBackend::pages_schema() {
  if (!pages_schema_) {
    pages_schema_ = std::string();
    // Two searches may begin at once.
    const bool is_there =
        (server_ == "private" || value_of(options_, kTablesOption) == "rows") &&
        common_.monitor
            ->query(fmt::format("select pg_catalog.pg_advisory_xact_lock({}, {}); create schema if not exists {};"
                                " create extension if not exists pageinspect schema {}",
                                kLockClass, kPagesLock, kPagesSchema, kPagesSchema))
            .ok();
    if (is_there) pages_schema_ = kPagesSchema;
  }
  return *pages_schema_;
}

/// Keeps what the latest set_up has made, unless that was in vain several times: then the orders themselves change
/// definitions.
void PostgresBackend::save_tables() {
  saved_.reset();
  common_.knows_plain = false;
  if (!restores_ || !is_search_ || is_bare() || common_.has_seen_layout) return;
  if (saved_in_vain_ >= kSavedInVainMost && ++made_anew_ < kSavedAgainAfter) return;
  made_anew_ = 0;
  const auto is_told_of = [this](bool (*what)(std::string_view)) {
    return std::any_of(ddl_.begin(), ddl_.end(), what);
  };
  if (is_told_of(sees_layout)) {
    restores_ = false;
    return;
  }
  const bool truncates = value_of(options_, kTablesOption) == "files";
  saved_ = SavedTables::take(*common_.monitor, schema_, ddl_, truncates ? std::string() : pages_schema(),
                             truncates ? SavedTables::Means::files : SavedTables::Means::rows);
  // What cannot be saved now cannot be saved the next time either.
  restores_ = saved_ != nullptr;
  common_.knows_plain = saved_ != nullptr && saved_->is_plain() && !is_told_of(touches_session);
  ++saved_in_vain_;
}

bool PostgresBackend::restore(const State& rows, std::span<const std::string> ddl) {
  const bool is_same = rows == rows_ && std::equal(ddl.begin(), ddl.end(), ddl_.begin(), ddl_.end());
  if (saved_ == nullptr || !is_same || common_.has_seen_layout) return false;
  if (saved_->restore()) {
    saved_in_vain_ = 0;
    return true;
  }
  if (!saved_->is_exact()) restores_ = false;
  return false;
}

Result<void> PostgresBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  if (is_bare()) return set_up_bare(ddl);
  if (restore(rows, ddl)) return {};
  saved_.reset();
  if (auto made = set_up_anew(rows, ddl); !made) return made;
  rows_ = rows;
  ddl_.assign(ddl.begin(), ddl.end());
  common_.ddl_leaves_traces = std::any_of(ddl.begin(), ddl.end(), leaves_traces);
  if (has_ddl_) save_tables();
  return {};
}

Result<void> PostgresBackend::set_up_anew(const State& rows, std::span<const std::string> ddl) {
  std::string insert;
  if (is_used_ && has_ddl_) {
    // A statement of the scenario may have made anything in the schema. A search keeps its connections: the server
    // plans anew what they have prepared.
    if (!is_search_) common_.idle.clear();
    auto made = done(common_.monitor->query(
        fmt::format("drop schema if exists {0} cascade; create schema {0}; {1}", schema_, kCreateTable)));
    if (!made) return made;
  } else if (is_used_) {
    insert = "delete from kv;";
  }
  is_used_ = true;
  has_ddl_ = !ddl.empty();
  for (const auto& [key, value] : rows) {
    insert += &key == &rows.front().first ? "insert into kv (k, v) values " : ", ";
    insert += fmt::format("({}, {})", quoted_value(key), quoted_value(value));
  }
  if (!insert.empty()) {
    if (auto filled = done(common_.monitor->query(insert)); !filled) return filled;
  }
  for (const auto& statement : ddl) {
    if (auto run = done(common_.monitor->query(statement)); !run) {
      return Error{run.error().fault, run.error().code, fmt::format("{}: {}", statement, run.error().message)};
    }
  }
  return {};
}

Result<std::unique_ptr<Session>> PostgresBackend::open_session(int actor, const std::string& name) {
  if (options_.blocking) return open_blocking_session(common_, actor, name);
  auto session = open_branch(actor, name);
  if (!session) return session.error();
  return std::unique_ptr<Session>(std::move(session).value());
}

Result<State> PostgresBackend::final_state() {
  if (is_bare()) return State();
  const auto table = common_.monitor->query("select k, v from kv order by k");
  if (!table) return table.error();
  State state;
  for (const auto& row : *table) state.emplace_back(row[0].value_or(""), row[1].value_or(""));
  return state;
}

/// The number that a query gives.
std::optional<int> number_in(const Result<Table>& table) {
  if (!table || table->empty() || table->front().empty() || !table->front().front()) return std::nullopt;
  const std::string& text = *table->front().front();
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<void> PostgresBackend::room_for(int sessions) {
  const auto free =
      number_in(query("select current_setting('max_connections')::int - "
                      "current_setting('superuser_reserved_connections')::int - (select count(*) from "
                      "pg_stat_activity where backend_type = 'client backend')"));
  if (!free || *free >= sessions) return {};
  return Error{Fault::invalid,
               {},
               fmt::format("{} sessions need {} connections and the server has {} left (max_connections is {}); use "
                           "fewer --sessions, or raise max_connections",
                           sessions, sessions, std::max(*free, 0),
                           number_in(query("select current_setting('max_connections')::int")).value_or(0))};
}

/// Process ids of a server on another machine may exist here too. The name of the process tells them apart.
bool is_server_process(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  return std::getline(file, line) && line.find("(postgres") != std::string::npos;
}

std::vector<int> PostgresBackend::server_processes() {
  std::vector<int> found;
  const Result<Table> pids = query("select pid from pg_stat_activity");
  if (!pids) return found;
  for (const auto& row : *pids) {
    const std::string pid = row.front().value_or("");
    if (is_server_process(pid)) found.push_back(std::stoi(pid));
  }
  return found;
}

bool is_dsn(const std::string& text) { return Dsn::parse(text).ok(); }

std::string without_password(const std::string& text) {
  const auto dsn = Dsn::parse(text);
  return dsn ? dsn->without_password() : std::string();
}

Result<void> is_available(const std::string& dsn) {
  if (is_server_named(dsn)) return {};
  const auto binaries = find_server_binaries();
  if (!binaries) return binaries.error();
  return {};
}

std::string announcement(const std::string& dsn) {
  if (is_server_named(dsn) || has_private_cluster()) return {};
  return "starting a private PostgreSQL server for this run; it is removed at the end (--dsn names another)";
}

Result<std::unique_ptr<Backend>> open_postgres(const BackendOptions& options) {
  auto server = open_server(options);
  if (!server) return server.error();
  return std::unique_ptr<Backend>(std::move(server).value());
}

}  // namespace

Result<std::unique_ptr<PostgresServer>> postgres::open_server(const BackendOptions& options) {
  auto backend = std::make_unique<PostgresBackend>(options);
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<PostgresServer>(std::move(backend));
}

BackendKind backend_postgres() {
  return {.name = "postgres",
          .summary = "a real PostgreSQL: the server of --dsn or LOCKSTEP_DSN, else a private one",
          .traits = {.title = "PostgreSQL",
                     .waits = Waits::external,
                     .footprints = Footprints::unknown,
                     .sql = true,
                     .models_others = false,
                     .has_blocking_sessions = true,
                     .lock_timeout = kNever,
                     .dsn = StoreOption{.value = "DSN",
                                        .help = "the PostgreSQL server to use (LOCKSTEP_DSN; default: a private one)",
                                        .variable = kDsnVariable,
                                        .variable_help = "the PostgreSQL server to use, as --dsn; default: a private "
                                                         "one, started and removed",
                                        .fits = is_dsn,
                                        .without_secrets = without_password},
                     .own_options = {kBareOption, kJoinsOption, kTablesOption}},
          .protocols = postgres::protocol_list(),
          .open = open_postgres,
          .available = is_available,
          .run_isolation_spec = run_isolation_spec,
          .announcement = announcement,
          .incidents = &postgres::kIncidentSource};
}

}  // namespace lockstep
