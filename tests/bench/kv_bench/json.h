// json.h: what was measured, as JSON: between the processes of a contest and for --json.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/bench/kv_bench/measure.h"

namespace lockstep::bench {

using Json = nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Filled, seconds, bytes_per_key, heap_bytes_per_key)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Round, seconds, committed, rows, rollbacks, aborts, p50_us, p90_us, p99_us, p999_us,
                                   max_us, cpu_seconds, resident, broken)

}  // namespace lockstep::bench
