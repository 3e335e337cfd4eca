// comparison_html.h: strategies side by side under load, on a page and in Markdown.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// The verdict, curves over what was swept, and for each load: throughput with its interval, percentiles towards the
/// tail, aborts by cause. Strategies that broke an invariant stand apart and are not ranked. Empty when the recording
/// holds no comparison; one that cannot be read is said so.
std::string comparison_html(const record::Run& run, const std::string& id, int level);

/// How many strategies are correct and how many WRONG, in place of a run's verdict: "3 correct, 1 WRONG". Empty when
/// the recording holds no comparison.
std::string comparison_outcome(const record::Run& run);
/// The same as the box at the head of a page.
std::string comparison_box(const record::Run& run);

/// What has become of each strategy since `base`, with the change's interval. Empty when either holds no comparison.
std::string changes_html(const record::Run& base, const record::Run& run, const std::string& id, int level);
std::string changes_markdown(const record::Run& base, const record::Run& run);

std::string comparison_markdown(const record::Run& run);

}  // namespace lockstep::reports
