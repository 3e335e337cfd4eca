// server_binaries.cc: finds `postgres` and `initdb`; Debian keeps them out of PATH, one folder for each major version.
#include "engine/stores/postgres/server_binaries.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "engine/server/programs.h"

namespace lockstep::postgres {
namespace {

std::optional<ServerBinaries> server_in(const std::string& folder) {
  ServerBinaries binaries{folder, {}};
  if (!server::is_program(binaries.postgres()) || !server::is_program(binaries.initdb())) return std::nullopt;
  binaries.key = server::key_of_programs({binaries.postgres(), binaries.initdb()});
  return binaries.key.empty() ? std::nullopt : std::optional(std::move(binaries));
}

}  // namespace

Result<ServerBinaries> find_server_binaries() {
  if (const char* named = std::getenv("LOCKSTEP_PG_BIN"); named != nullptr && *named != '\0') {
    if (auto found = server_in(named)) return *std::move(found);
    return Error{
        Fault::unavailable, {}, fmt::format("LOCKSTEP_PG_BIN={} holds no PostgreSQL server (postgres, initdb)", named)};
  }
  std::vector<std::string> folders = server::folders_of_path();
  for (const auto& [root, prefix] : {std::pair{"/usr/lib/postgresql", ""}, std::pair{"/usr", "pgsql-"}}) {
    for (auto& folder : server::folders_by_version(root, prefix)) folders.push_back(std::move(folder));
  }
  folders.emplace_back("/usr/local/pgsql/bin");
  for (const std::string& folder : folders) {
    if (auto found = server_in(folder)) return *std::move(found);
  }
  return Error{Fault::unavailable,
               {},
               "no PostgreSQL server on this machine: install one (Debian: apt-get install postgresql) or name a "
               "running one with --dsn or LOCKSTEP_DSN"};
}

}  // namespace lockstep::postgres
