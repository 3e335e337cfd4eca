// server.h: a private MariaDB (engine/server/private_server.h). The server makes what it needs on an empty folder, so
// nothing is installed beforehand and there are no users: whoever reaches the socket may do everything, and the folder
// of the socket is closed to others.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/server/private_server.h"
#include "kv/base/result.h"

namespace lockstep::mariadb {

/// Whether a commit waits for the disk.
enum class MariaDurable : bool { no, yes };

/// Of the environment: the server where none is named by --dsn.
inline constexpr const char* kDsnVariable = "LOCKSTEP_MARIADB_DSN";

/// The absolute path of mariadbd. Looks in LOCKSTEP_MARIADB_BIN alone when it is set; else in PATH and where
/// distributions install it. Fault::unavailable: the message says what to install.
Result<std::string> find_server_program();

/// The command line of a private server: `program`, and the settings that suit tables of a few rows. The socket and the
/// file with the process id are where kSocketInFolder and kPidFileInFolder say.
std::vector<std::string> command_of(const std::string& program, const server::ServerFolder& folder,
                                    MariaDurable durable);
inline constexpr std::string_view kSocketInFolder = "/s/m";
inline constexpr std::string_view kPidFileInFolder = "/data/pid";
/// How a client names that server.
std::string dsn_of_folder(const server::ServerFolder& folder);

/// Sweeps stale servers up, then starts a new one (about 0.1 s). Faults as PrivateServer::start(), and of
/// find_server_program().
Result<std::unique_ptr<server::PrivateServer>> start_private_server(MariaDurable durable = MariaDurable::no);

/// Removes the folders of private servers whose owner is gone. Gives their paths.
std::vector<std::string> remove_stale_servers();

/// True when a server is named: by `dsn`, or by the environment.
bool is_server_named(const std::string& dsn);

/// `dsn`; where it is empty that of the environment, else that of the one private server that this process shares,
/// which is started if need be. Fault::invalid when that was started with the other durability.
Result<std::string> dsn_for(const std::string& dsn, MariaDurable durable = MariaDurable::no);

/// True while this process has its shared server.
bool has_private_server();

}  // namespace lockstep::mariadb
