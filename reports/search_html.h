// search_html.h: what a search of the interleavings has found, in numbers: the part of a page above the one run.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// As a section: what was counted, how complete it is and of what, each way to end with its share. Empty when the
/// recording is of no search; one that cannot be read is said so.
std::string search_html(const record::Run& run, const std::string& id, int level);
std::string search_markdown(const record::Run& run);

}  // namespace lockstep::reports
