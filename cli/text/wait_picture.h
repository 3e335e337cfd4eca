// wait_picture.h: the waits at the moment when the cycle closed or, without a cycle, when the run got stuck. They are
// drawn as a ring where it fits, else as a list.
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

/// The picture in at most `width` columns; empty when no actor waited.
std::vector<Line> wait_picture(const reports::Waits& waits, const Terminal& terminal, std::size_t width);

}  // namespace lockstep::cli
