// announcement.h: what people are told before a store is opened that takes a while to be there.
#pragma once

#include "engine/run/run.h"

namespace lockstep::cli {

/// Says it on stderr, when the store of this request has something to say (BackendKind::announcement).
void announce_store(const RunRequest& request);

}  // namespace lockstep::cli
