// cases.h: scenarios made from public reports of deadlocks and anomalies, of which it is known how they must be judged.
#pragma once

#include "engine/scenario/scenario.h"

namespace lockstep::scenarios {

Scenario cases_deadlock_invariant();
Scenario cases_join_holding();
Scenario cases_nested_pool();
Scenario cases_partition_maintenance();
Scenario cases_raw_tx();
Scenario cases_retry_autocommit();
Scenario cases_shared_var();
Scenario cases_std_mutex();
Scenario cases_std_mutex_named();
Scenario cases_stuck_after_cycle();
Scenario cases_typo();
Scenario cases_upsert_gated();
Scenario cases_upsert_two_unique();

}  // namespace lockstep::scenarios
