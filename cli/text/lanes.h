// lanes.h: the lanes of a run, one column an actor. With little room the columns shrink to one sign each and every row
// names its actor; with very many actors only the names are left.
//
//  step      ms  T1                           T2                 step      ms  P1 P2 P3
//     5    0.06  ▒ lock B     waits for T2    ┃                     5    0.06  ▒  ┃  │  P1 lock f2  waits for P2
#pragma once

#include <vector>

#include "cli/text/terminal.h"
#include "engine/record/run.h"

namespace lockstep::cli {

struct LaneOptions {
  bool full = false;  ///< every row, texts wrapped instead of shortened
  bool sql = false;   ///< below each portable verb what was sent for it
};

std::vector<Line> lanes(const record::Run& run, const Terminal& terminal, const LaneOptions& options = {});

/// The same in pieces: what stands above the rows, and the lines of each row of reports::lane_rows(). None is folded.
struct LanesByRow {
  std::vector<Line> head;
  std::vector<std::vector<Line>> rows;
};
LanesByRow lanes_by_row(const record::Run& run, const Terminal& terminal, const LaneOptions& options = {});

}  // namespace lockstep::cli
