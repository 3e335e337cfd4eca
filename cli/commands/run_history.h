// run_history.h: the history of a run as a file, judged as check-history judges it.
#pragma once

#include "cli/args/output_file.h"
#include "cli/args/tree.h"
#include "cli/text/history_text.h"
#include "engine/record/run.h"

namespace lockstep::cli {

/// The option --history, for a command that ends with a run.
OptionSpec history_option();

/// Writes the history: JSON when the file's name ends in .json, else EDN. What was written is then held against the
/// level that the run's protocol promises, in the order of real time. Fault::invalid when the run has no history,
/// Fault::io when it cannot be written.
Result<JudgedFile> write_history(const record::Run& run, OutputFile& file);

}  // namespace lockstep::cli
