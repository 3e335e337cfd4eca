// wait_picture.h: who waited for whom when the cycle closed (or, without a cycle, when the run got stuck), as a ring
// where it fits and as a list where it does not.
//
//   T1 ──── wants B ───▶ T2
//    ▲                    │
//    └───── wants A ──────┘
#pragma once

#include <vector>

#include "cli/text/terminal.h"
#include "reports/waits.h"

namespace lockstep::cli {

using reports::Waits;
using reports::waits_of;
using reports::Want;

/// The picture in at most `width` columns; empty when nobody waited.
std::vector<Line> wait_picture(const reports::Waits& waits, const Terminal& terminal, std::size_t width);

}  // namespace lockstep::cli
