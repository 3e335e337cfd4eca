// server_binaries.h: where the PostgreSQL server's programs lie on this machine.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>

#include "kv/base/result.h"

namespace lockstep::postgres {

/// The folder that holds `postgres` and `initdb`, and a key that changes whenever either program does.
struct ServerBinaries {
  std::string folder;
  std::string key;  ///< 16 hexadecimal digits

  std::string postgres() const { return folder + "/postgres"; }
  std::string initdb() const { return folder + "/initdb"; }
};

/// Looks in LOCKSTEP_PG_BIN alone when it is set; else in PATH, then in the folders where distributions install servers
/// (newest version first). Fault::unavailable when there is none: the message says what to install and that a running
/// server can be named with --dsn.
Result<ServerBinaries> find_server_binaries();

}  // namespace lockstep::postgres
