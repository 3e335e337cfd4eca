// matrix_html.h: a matrix on a page and in Markdown.
#pragma once

#include <map>
#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// The pages of runs, where there are some: how each is reached, by the id of its run.
using Pages = std::map<std::string, std::string>;

/// A legend, what each protocol lets through, and a table for each store: scenarios by protocols, each cell with a
/// sign, how it came out, and a link to its run's page or command. Empty when the recording holds no matrix; one that
/// cannot be read is said so.
std::string matrix_html(const record::Run& run, const std::string& id, int level, const Pages& pages = {});

/// In place of a run's verdict: "14 anomalies in 188 cells". Empty when the recording holds no matrix.
std::string matrix_outcome(const record::Run& run);

std::string matrix_markdown(const record::Run& run);

}  // namespace lockstep::reports
