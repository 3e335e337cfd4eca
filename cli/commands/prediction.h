// prediction.h: a verdict that a person expects before the run is shown.
#pragma once

#include <optional>

#include "cli/commands/program.h"
#include "engine/record/run.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// Shows the story, the rows and the steps of the actors, but nothing of what comes of them, and reads a verdict from
/// standard input. nullopt: it ended without one.
std::optional<record::Verdict> ask_for_prediction(Program& program, const Scenario& scenario,
                                                  const RunRequest& resolved);

/// "you said deadlock ✓", in a line.
std::string prediction_line(record::Verdict predicted, const record::Run& run, const Terminal& terminal);

}  // namespace lockstep::cli
