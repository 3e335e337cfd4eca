// lanes_svg.h: a run as a picture: a lane for each actor, rows of the story from left to right. In each lane is a bar
// for everything that the actor holds (solid) or waits for (hatched).
//
// The rows stand at equal distances, so that a pause of a second does not press a hundred steps into one line. How long
// something took is in the table.
#pragma once

#include <string>
#include <vector>

#include "engine/record/run.h"
#include "reports/lane_rows.h"
#include "reports/spans.h"

namespace lockstep::reports {

/// The whole <svg>, with title and description. `id` is the prefix of the ids in it. Marks of rows carry data-r = the
/// row's index, for the page's script; colours come from the page's style sheet. Empty when there are no rows.
std::string lanes_svg(const record::Run& run, const std::vector<LaneRow>& rows, const std::vector<Span>& spans,
                      const std::string& id);

}  // namespace lockstep::reports
