// workloads.h: every workload of this build: scenarios as they run under load, THEME/load/some_name.cc each.
#pragma once

#include <span>
#include <string_view>

#include "engine/scenario/workload.h"

namespace lockstep::scenarios {

/// In the order of their names.
std::span<const load::Workload> workloads();

/// The workload with that name, or nullptr.
const load::Workload* find_workload(std::string_view name);

}  // namespace lockstep::scenarios
