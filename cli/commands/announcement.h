// announcement.h: what people are told before a store is opened that takes a while to start.
#pragma once

#include "engine/run/run.h"

namespace lockstep::cli {

/// Writes the announcement of the request's store to stderr, where it has one (BackendKind::announcement).
void announce_store(const RunRequest& request);

}  // namespace lockstep::cli
