// private_server.h: what people are told of the PostgreSQL server that a run starts for itself.
#pragma once

#include "engine/run/run.h"

namespace lockstep::cli {

/// Says on stderr that a private PostgreSQL server is started, when this request is the reason for one.
void announce_private_server(const RunRequest& request);

}  // namespace lockstep::cli
