// server.cc: what makes a private server a MariaDB: its program and its settings.
#include "engine/stores/mariadb/server.h"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "engine/server/programs.h"
#include "engine/stores/mariadb/connection.h"

namespace lockstep::mariadb {
namespace {

using server::ServerFolder;
using server::ServerKind;
using server::ServerUser;

const ServerKind& server_kind() {
  static const ServerKind kind{.title = "MariaDB",
                               .name = "lockstep-maria",
                               .users = {"mysql", "nobody"},
                               .socket = kSocketInFolder,
                               .pid_file = kPidFileInFolder,
                               .stop_signal = SIGKILL,
                               .remove_leftovers = [](const std::string&) noexcept {}};
  return kind;
}

/// Why each differs from the server's default.
const std::vector<std::string>& settings() {
  static const std::vector<std::string> list = {
      "--skip-networking", "--skip-name-resolve", "--skip-log-bin", "--skip-slave-start",
      // There are no tables of users, and whoever reaches the socket owns the run.
      "--skip-grant-tables",
      // Who waits for whom is read from the monitor's text (locks.h).
      "--innodb-status-output-locks=ON",
      // Tables of a few rows: little memory, small files, no statistics in the background.
      "--performance-schema=0", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
      "--innodb-data-file-path=ibdata1:1M:autoextend", "--innodb-autoextend-increment=1",
      "--innodb-temp-data-file-path=ibtmp1:1M:autoextend", "--innodb-undo-tablespaces=0", "--innodb-stats-persistent=0",
      "--innodb-buffer-pool-dump-at-shutdown=0", "--innodb-buffer-pool-load-at-startup=0", "--key-buffer-size=8",
      "--aria-pagecache-buffer-size=131072", "--thread-stack=192K", "--innodb-use-native-aio=0",
      // Room for load runs of 500 sessions.
      "--max-connections=520",
      // A text is what its bytes are, as on every other store.
      "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"};
  return list;
}

/// Nothing outlives the run, so commits are written to the system's memory and not to the disk.
const std::vector<std::string>& settings_without_disk() {
  static const std::vector<std::string> list = {"--innodb-doublewrite=0", "--innodb-flush-log-at-trx-commit=2",
                                                "--innodb-flush-method=nosync", "--sync-frm=0", "--debug-no-sync"};
  return list;
}

class Recipe final : public server::ServerRecipe {
 public:
  Recipe(std::string program, MariaDurable durable) : program_(std::move(program)), durable_(durable) {}

  const ServerKind& kind() const noexcept override { return server_kind(); }

  Result<bool> make_data(const ServerFolder& /*folder*/, const ServerUser& /*user*/, int /*attempt*/) override {
    return false;  // the server makes it
  }

  std::vector<std::string> arguments(const ServerFolder& folder) const override {
    return command_of(program_, folder, durable_);
  }

  std::string dsn(const ServerFolder& folder) const override { return dsn_of_folder(folder); }

  bool accepts(const std::string& dsn) const override {
    const auto parsed = MariaDsn::parse(dsn);
    return parsed && connect(*parsed, MariaCalls::wait, std::chrono::seconds(1)).ok();
  }

 private:
  const std::string program_;
  const MariaDurable durable_;
};

std::atomic<MariaDurable> g_durability_of_server{MariaDurable::no};  // of the shared server, set before it starts

/// Made when first used and destroyed by exit().
server::SharedServer& shared_server() {
  static server::SharedServer instance([] { return start_private_server(g_durability_of_server.load()); });
  return instance;
}

}  // namespace

Result<std::string> find_server_program() {
  if (const char* named = std::getenv("LOCKSTEP_MARIADB_BIN"); named != nullptr && *named != '\0') {
    const std::string program = std::string(named) + "/mariadbd";
    if (server::is_program(program)) return program;
    return Error{Fault::unavailable, {}, fmt::format("LOCKSTEP_MARIADB_BIN={} holds no server (mariadbd)", named)};
  }
  std::vector<std::string> folders = server::folders_of_path();
  for (const char* folder : {"/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin"}) folders.emplace_back(folder);
  for (const std::string& folder : folders) {
    if (std::string program = folder + "/mariadbd"; server::is_program(program)) return program;
  }
  return Error{Fault::unavailable,
               {},
               "no MariaDB server on this machine: install one (Debian: apt-get install mariadb-server-core) or name a "
               "running one with --dsn or LOCKSTEP_MARIADB_DSN"};
}

std::vector<std::string> command_of(const std::string& program, const ServerFolder& folder, MariaDurable durable) {
  std::vector<std::string> arguments = {program,
                                        "--no-defaults",
                                        "--datadir=" + folder.data(),
                                        "--tmpdir=" + folder.data(),
                                        fmt::format("--socket={}{}", folder.path(), kSocketInFolder),
                                        fmt::format("--pid-file={}{}", folder.path(), kPidFileInFolder)};
  // Messages in English, from where distributions keep them; without them the server knows only numbers.
  for (const char* messages : {"/usr/share/mysql/english", "/usr/share/mariadb/english"}) {
    std::error_code ignored;
    if (std::filesystem::exists(messages, ignored)) {
      arguments.push_back(fmt::format("--lc-messages-dir={}", messages));
      break;
    }
  }
  arguments.insert(arguments.end(), settings().begin(), settings().end());
  if (durable == MariaDurable::no)
    arguments.insert(arguments.end(), settings_without_disk().begin(), settings_without_disk().end());
  return arguments;
}

std::string dsn_of_folder(const ServerFolder& folder) {
  return fmt::format("mysql://root@localhost/?socket={}{}", folder.path(), kSocketInFolder);
}

Result<std::unique_ptr<server::PrivateServer>> start_private_server(MariaDurable durable) {
  auto program = find_server_program();
  if (!program) return program.error();
  Recipe recipe(std::move(program).value(), durable);
  return server::PrivateServer::start(recipe, std::chrono::seconds(30));
}

std::vector<std::string> remove_stale_servers() { return server::remove_stale_folders(server_kind()); }

bool is_server_named(const std::string& dsn) {
  const char* const named = std::getenv(kDsnVariable);
  return !dsn.empty() || (named != nullptr && *named != '\0');
}

Result<std::string> dsn_for(const std::string& dsn, MariaDurable durable) {
  if (!dsn.empty()) return dsn;
  if (is_server_named(dsn)) return std::string(std::getenv(kDsnVariable));
  if (has_private_server() && g_durability_of_server.load() != durable) {
    return Error{Fault::invalid, {}, "the private server has been started already, with another --fsync"};
  }
  g_durability_of_server = durable;
  return shared_server().dsn();
}

bool has_private_server() { return shared_server().exists(); }

}  // namespace lockstep::mariadb
