// player.h: the part of a page that steps through a run: the lock table, the wait-for graph and the rows of the store
// at any moment. With scripts off it shows the moment that tells most.
#pragma once

#include <string>
#include <vector>

#include "engine/record/run.h"
#include "reports/lane_rows.h"

namespace lockstep::reports {

/// Buttons, slider, lock table, graph, and the rows as JSON for the page's script. `id`: of the run on the page, the
/// prefix of all ids.
std::string player(const record::Run& run, const std::vector<LaneRow>& rows, const std::string& id);

/// The wait-for graph, and its table, of the waits that stood when the first cycle closed or the run got stuck. Empty
/// when no actor waited for another.
std::string cycle_picture(const record::Run& run, const std::string& id);

/// The class of a mark on a page: "wait", "fault" …
std::string_view name_of(Mark mark) noexcept;

}  // namespace lockstep::reports
