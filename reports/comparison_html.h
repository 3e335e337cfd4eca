// comparison_html.h: strategies side by side under load, on a page and in Markdown.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// The verdict, curves over what was swept, and for each load: throughput with its interval, percentiles towards the
/// tail, aborts by cause. Strategies that broke an invariant stand apart and are not ranked. Empty when the recording
/// holds no comparison; one that cannot be read is said so.
std::string comparison_html(const record::Run& run, const std::string& id, int level);

std::string comparison_markdown(const record::Run& run);

}  // namespace lockstep::reports
