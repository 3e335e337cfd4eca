// grain.h: what an exploration takes for one step, and so does not divide.
#pragma once

#include <string>
#include <vector>

#include "engine/explore/explore.h"

namespace lockstep {

/// The name of the document in a recording: a JSON list of sentences.
inline constexpr const char* kGrainDocument = "grain";

/// For people, the sentences of Exploration::grain. Statements that touch several rows are named from the recorded
/// runs.
std::vector<std::string> grain_of(const Scenario& scenario, const Exploration& explored, bool bodies_have_code);

}  // namespace lockstep
