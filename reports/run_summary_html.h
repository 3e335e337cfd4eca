// run_summary_html.h: a long run on a page: activity over time, the waits of each actor and object, and the longest
// waits.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "reports/open_recording.h"

namespace lockstep::reports {

std::string summary_html(const OpenRecording& recording, const std::string& id, int level);

/// Aborts and other failures by cause: bars and a table. Empty when there was none.
std::string faults_html(const std::map<std::string, std::uint64_t>& faults, const std::string& id, int level);

}  // namespace lockstep::reports
