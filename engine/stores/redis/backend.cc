// backend.cc: Redis as a store: a database of its own for each run, on a server named by a DSN or on a private one.
//
// On a named server the run takes the database that the DSN names, which must be empty. While the run lives, the key
// lockstep:owner holds the id of its connection. A database whose owner is gone was left by a run that died, and the
// next run empties it.
#include "engine/store/backend.h"

#include <fmt/format.h>
#include <hiredis.h>

#include <algorithm>
#include <cstdlib>

#include "engine/server/one_processor.h"
#include "engine/stores/redis/protocol.h"
#include "engine/stores/redis/server.h"
#include "engine/stores/redis/session.h"

namespace lockstep::redis {
namespace {

constexpr const char* kOwner = "lockstep:owner";
constexpr int kOldestServer = 602;  // 6.2: the first whose CLIENT LIST takes an id
constexpr const char* kNoSql = "Redis has no SQL";

/// The value of "name:value" in the text of INFO; empty without it.
std::string field_of(const std::string& info, std::string_view name) {
  const std::string begin = fmt::format("{}:", name);
  for (std::size_t at = info.find(begin); at != std::string::npos; at = info.find(begin, at + 1)) {
    if (at != 0 && info[at - 1] != '\n') continue;
    const std::size_t value = at + begin.size();
    return info.substr(value, info.find_first_of("\r\n", value) - value);
  }
  return {};
}

class RedisBackend final : public Backend {
 public:
  explicit RedisBackend(const BackendOptions& options) : options_(options) {}
  ~RedisBackend() override;

  Result<void> open();

  Result<void> set_up(const State& rows, std::span<const std::string> ddl) override;
  Result<std::unique_ptr<Session>> open_session(int /*actor*/, const std::string& /*name*/) override {
    return RedisSession::open(common_);
  }
  Result<State> final_state() override;
  Result<Table> query(const std::string& /*sql*/) override { return Error{Fault::unsupported, {}, kNoSql}; }
  const Capabilities& capabilities() const noexcept override { return capabilities_; }
  const ProtocolTraits& protocol() const noexcept override { return traits_; }
  void serve_search() override;
  Result<void> room_for(int sessions) override;
  std::vector<int> server_processes() override;
  std::vector<std::pair<std::string, std::string>> environment() const override { return environment_; }

 private:
  Result<void> look_at_server();
  Result<void> take_database();
  Result<std::vector<RedisAnswer>> ask(const std::vector<RedisCommand>& commands);

  const BackendOptions options_;
  RedisCommon common_;
  ProtocolTraits traits_;
  Capabilities capabilities_{.nonblocking = true, .version = {}};
  std::unique_ptr<PrivateDatabase> own_;  ///< nullptr: the server is named. Given back after the connection is closed
  std::unique_ptr<RedisConnection> control_;
  std::unique_ptr<server::OneProcessor> processor_;
  std::vector<std::pair<std::string, std::string>> environment_;
  std::string server_id_;  ///< changes when the server starts anew
  std::string owner_;      ///< what this run's lockstep:owner holds
  bool is_taken_ = false;
};

/// The first error among the answers, or in a list among them, as EXEC gives one.
const RedisAnswer* error_among(const std::vector<RedisAnswer>& answers) {
  for (const RedisAnswer& each : answers) {
    if (each.is_error()) return &each;
    if (const RedisAnswer* const within = error_among(each.items)) return within;
  }
  return nullptr;
}

/// An answer that is an error is the error of them all.
Result<std::vector<RedisAnswer>> RedisBackend::ask(const std::vector<RedisCommand>& commands) {
  auto answers = control_->ask(commands);
  if (!answers) return answers;
  if (const RedisAnswer* const failed = error_among(*answers)) return error_of(*failed);
  return answers;
}

Result<void> RedisBackend::open() {
  const auto watch = watch_named(options_.protocol);
  if (!watch) return Error{Fault::invalid, {}, fmt::format("redis has no protocol \"{}\"", options_.protocol)};
  std::vector<ProtocolTraits> all = protocol_list();
  traits_ = std::move(*std::find_if(all.begin(), all.end(),
                                    [this](const ProtocolTraits& each) { return each.name == options_.protocol; }));
  std::string text;
  if (is_server_named(options_.dsn)) {
    text = named_server(options_.dsn);
  } else if (options_.durable) {
    return Error{Fault::unsupported,
                 {},
                 "the private Redis keeps everything in memory alone, so no commit can wait for the disk (--fsync); "
                 "name a server of yours with --dsn"};
  } else {
    auto own = PrivateDatabase::take();
    if (!own) return own.error();
    own_ = std::move(own).value();
    text = own_->dsn();
  }
  auto dsn = RedisDsn::parse(text);
  if (!dsn) return dsn.error();
  common_ = {.dsn = std::move(dsn).value(), .watch = *watch, .connect_max = options_.connect_timeout};
  auto control = RedisConnection::open(common_.dsn, options_.connect_timeout);
  if (!control) return control.error();
  control_ = std::move(control).value();
  if (auto looked = look_at_server(); !looked) return looked;
  if (own_ == nullptr) return take_database();
  is_taken_ = true;
  return {};
}

Result<void> RedisBackend::look_at_server() {
  const auto told = ask({{"INFO", "server"}, {"CLIENT", "ID"}});
  if (!told) return told.error();
  const std::string& info = told->front().text;
  const std::string version = field_of(info, "redis_version");
  const std::size_t dot = version.find('.');
  const int number =
      std::atoi(version.c_str()) * 100 + (dot == std::string::npos ? 0 : std::atoi(version.substr(dot + 1).c_str()));
  if (number < kOldestServer) {
    return Error{Fault::unsupported,
                 {},
                 fmt::format("the server at {} is Redis \"{}\"; 6.2 or newer is needed", common_.dsn.where(), version)};
  }
  if (const std::string mode = field_of(info, "redis_mode"); mode != "standalone") {
    return Error{Fault::unsupported,
                 {},
                 fmt::format("the server at {} runs as \"{}\"; a single server is needed", common_.dsn.where(), mode)};
  }
  server_id_ = field_of(info, "run_id");
  owner_ = fmt::format("{} {}", server_id_, told->back().number);
  capabilities_.version = "Redis " + version;
  if (own_ != nullptr)
    capabilities_.caveat = "the private server keeps everything in memory: no commit reaches the disk";
  environment_ = {
      {"server", own_ != nullptr ? "private server, " + common_.dsn.where() : common_.dsn.where()},
      {"server_version", version},
      {"database", std::to_string(common_.dsn.database())},
      {"watched", std::string(traits_.summary)},
      {"client", fmt::format("hiredis {}.{}.{}, non-blocking", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH)}};
  return {};
}

/// Takes the database of a server that others use too.
Result<void> RedisBackend::take_database() {
  const auto told = ask({{"DBSIZE"}, {"GET", kOwner}});
  if (!told) return told.error();
  const std::int64_t keys = told->front().number;
  const std::string owner = told->back().text;
  const std::size_t gap = owner.find(' ');
  if (keys > 0 && gap == std::string::npos) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("the database at {} holds {} keys, and a run takes one for itself; name an empty one, as "
                             "in redis://HOST:PORT/7",
                             common_.dsn.where(), keys)};
  }
  const Error in_use{Fault::unavailable,
                     {},
                     fmt::format("another run uses the database at {}; name another one, as in redis://HOST:PORT/7",
                                 common_.dsn.where())};
  if (keys > 0) {
    const bool is_of_this_start = owner.substr(0, gap) == server_id_;
    const auto client = ask({{"CLIENT", "LIST", "ID", owner.substr(gap + 1)}});
    if (!client) return client.error();
    if (is_of_this_start && !client->front().text.empty()) return in_use;
    if (const auto emptied = ask({{"FLUSHDB"}}); !emptied) return emptied.error();
  }
  const auto taken = ask({{"SET", kOwner, owner_, "NX"}});
  if (!taken) return taken.error();
  if (taken->front().is_nil()) return in_use;
  is_taken_ = true;
  return {};
}

RedisBackend::~RedisBackend() {
  if (is_taken_) (void)ask({{"FLUSHDB"}});
}

Result<void> RedisBackend::set_up(const State& rows, std::span<const std::string> ddl) {
  if (!ddl.empty()) return Error{Fault::unsupported, {}, kNoSql};
  std::vector<RedisCommand> commands = {{"MULTI"}, {"FLUSHDB"}};
  if (own_ == nullptr) commands.push_back({"SET", kOwner, owner_});
  if (!rows.empty()) {
    RedisCommand values = {"MSET"}, index = {"ZADD", kIndex};
    for (const auto& [key, value] : rows) {
      values.insert(values.end(), {key, value});
      index.insert(index.end(), {"0", key});
    }
    commands.push_back(std::move(values));
    commands.push_back(std::move(index));
  }
  commands.push_back({"EXEC"});
  const auto done = ask(commands);
  if (!done) return done.error();
  return {};
}

/// All keys that hold a text, also those of the scenario's own commands.
Result<State> RedisBackend::final_state() {
  const auto names = ask({{"KEYS", "*"}});
  if (!names) return names.error();
  RedisCommand values = {"MGET"};
  for (const RedisAnswer& each : names->front().items) {
    if (!each.text.starts_with(kOwnKeys)) values.push_back(each.text);
  }
  State state;
  if (values.size() == 1) return state;
  std::sort(values.begin() + 1, values.end());
  const auto read = ask({values});
  if (!read) return read.error();
  for (std::size_t i = 0; i < read->front().items.size(); ++i) {
    if (auto value = read->front().items[i].value()) state.emplace_back(values[i + 1], std::move(*value));
  }
  return state;
}

void RedisBackend::serve_search() {
  // A server that the user runs stays on the processors where the user has put it.
  if (own_ == nullptr || control_->server_pid() == 0) return;
  processor_ = std::make_unique<server::OneProcessor>();
  processor_->take_in(control_->server_pid());
}

Result<void> RedisBackend::room_for(int sessions) {
  const auto told = ask({{"INFO", "clients"}});
  if (!told) return told.error();
  const std::string most = field_of(told->front().text, "maxclients");
  const int left = std::atoi(most.c_str()) - std::atoi(field_of(told->front().text, "connected_clients").c_str());
  if (most.empty() || left >= sessions) return {};
  return Error{Fault::invalid,
               {},
               fmt::format("{} sessions need {} connections and the server has {} left (maxclients is {}); use fewer "
                           "--sessions, or raise maxclients",
                           sessions, sessions, std::max(left, 0), most)};
}

std::vector<int> RedisBackend::server_processes() {
  const int pid = control_->server_pid();
  return pid == 0 ? std::vector<int>() : std::vector<int>{pid};
}

bool is_dsn_of_redis(const std::string& text) { return RedisDsn::parse(text).ok(); }

std::string redis_dsn_without_secrets(const std::string& text) {
  const auto dsn = RedisDsn::parse(text);
  return dsn ? dsn->without_password() : std::string();
}

Result<void> is_redis_available(const std::string& dsn) {
  if (is_server_named(dsn)) return {};
  const auto program = find_server_program();
  if (!program) return program.error();
  return {};
}

std::string announcement_of_redis(const std::string& dsn) {
  if (is_server_named(dsn) || has_private_server()) return {};
  return "starting a private Redis server for this run; it is removed at the end (--dsn names another)";
}

Result<std::unique_ptr<Backend>> open_redis(const BackendOptions& options) {
  auto backend = std::make_unique<RedisBackend>(options);
  if (auto opened = backend->open(); !opened) return opened.error();
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace
}  // namespace lockstep::redis

namespace lockstep {

BackendKind backend_redis() {
  return {.name = "redis",
          .summary = "a real Redis: the server of --dsn or LOCKSTEP_REDIS_DSN, else a private one",
          .traits = {.title = "Redis",
                     .waits = Waits::external,
                     .footprints = Footprints::unknown,
                     .sql = false,
                     .models_others = false,
                     .has_blocking_sessions = false,
                     .lock_timeout = kNever,
                     .dsn = StoreOption{.value = "DSN",
                                        .help = "the Redis server to use, redis://… (LOCKSTEP_REDIS_DSN; default: a "
                                                "private one)",
                                        .variable = redis::kDsnVariable,
                                        .variable_help = "the Redis server to use, as --dsn; default: a private one, "
                                                         "started and removed",
                                        .fits = redis::is_dsn_of_redis,
                                        .without_secrets = redis::redis_dsn_without_secrets},
                     .own_options = {}},
          .protocols = redis::protocol_list(),
          .open = redis::open_redis,
          .available = redis::is_redis_available,
          .run_isolation_spec = nullptr,
          .announcement = redis::announcement_of_redis,
          .incidents = nullptr};
}

}  // namespace lockstep
