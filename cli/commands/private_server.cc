// private_server.cc: says so before the first run that needs one.
#include "cli/commands/private_server.h"

#include <cstdlib>

#include "cli/text/output.h"
#include "engine/stores/postgres/cluster.h"

namespace lockstep::cli {

void announce_private_server(const RunRequest& request) {
  const char* dsn = std::getenv("LOCKSTEP_DSN");
  const bool named = !request.dsn.empty() || (dsn != nullptr && *dsn != '\0');
  if (request.store != "postgres" || named || postgres::has_private_cluster()) return;
  complain("starting a private PostgreSQL server for this run; it is removed at the end (--dsn names another)");
}

}  // namespace lockstep::cli
