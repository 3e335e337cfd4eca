// matrix_html.h: a matrix on a page and in Markdown.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// A table for each store: scenarios by protocols, each cell with how it came out and the id of its run. Empty when the
/// recording holds no matrix; one that cannot be read is said so.
std::string matrix_html(const record::Run& run, const std::string& id, int level);

std::string matrix_markdown(const record::Run& run);

}  // namespace lockstep::reports
