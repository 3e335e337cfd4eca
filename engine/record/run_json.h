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

/// The facts of Run::environment: whole numbers as numbers, everything else as text ("15.4" is a version, no number).
nlohmann::ordered_json environment_json(const std::map<std::string, std::string>& environment);

/// What was measured, "2.4 us": {"value": "2.4 us", "number": 2.4, "unit": "us"}; number and unit are null where it
/// does not begin with a number.
nlohmann::ordered_json measured_json(const std::string& text);

/// The document kProgramErrorDocument.
std::string program_error_json(const std::string& actor, const Error& error);

}  // namespace lockstep::record
