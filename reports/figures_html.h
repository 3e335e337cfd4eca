// figures_html.h: the measurements of a run, as a table of its page.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// A section with the table; empty when the run has measured nothing. `id` begins its element ids.
std::string figures_html(const record::Run& run, const std::string& id, int level);
/// The table as Markdown.
std::string figures_markdown(const record::Run& run);

}  // namespace lockstep::reports
