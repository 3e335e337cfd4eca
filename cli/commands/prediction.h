// prediction.h: what a person expects of a run, before it is shown: how it will end, and then, step by step, who goes
// on, who waits, and what is read.
#pragma once

#include <optional>

#include "cli/commands/answers.h"
#include "cli/commands/program.h"
#include "cli/text/lanes.h"
#include "engine/record/run.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// How many questions were answered rightly.
struct Score {
  int asked = 0;
  int answered = 0;
  int right = 0;
};

/// Shows the story, the rows and the steps of the actors, but nothing of what comes of them, and asks for a verdict.
/// nullopt: there was no answer.
std::optional<record::Verdict> ask_for_prediction(Program& program, Answers& answers, const Scenario& scenario,
                                                  const RunRequest& resolved);

/// Shows the run row by row. Before each row of which more than one thing could have come, asks what comes, and says
/// then whether that was right. Ends early when the person leaves.
Score ask_step_by_step(Program& program, Answers& answers, const record::Run& run, const LaneOptions& options);

/// "you said deadlock ✓" and "steps 5 of 7 right", a line each, as far as there was something to answer.
std::string prediction_lines(std::optional<record::Verdict> predicted, const Score& score, const record::Run& run,
                             const Terminal& terminal);

}  // namespace lockstep::cli
