// run_json.h: what of a run every program that reads our JSON is told, whichever command wrote it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/record/run.h"

namespace lockstep::record {

/// {"id", "scenario", "store", "store_version", "protocol", "pattern", "executor", "schedule", "seed", "verdict": its
///  name, "as_expected", "outcomes": {"committed", "aborted", "faults": {name: count}, "retries"}, "cycles":
///  [[actor…]…], "victims": [actor…], "invariants": [{"text", "held", "detail": of one that did not hold}…]}, in this
///  order.
nlohmann::ordered_json json_of(const Run& run);

/// The document kProgramErrorDocument.
std::string program_error_json(const std::string& actor, const Error& error);

}  // namespace lockstep::record
