// schedule_files.h: schedule files (engine/run/schedule_file.h) on disk.
#pragma once

#include <string>

#include "cli/args/output_file.h"
#include "cli/args/tree.h"
#include "engine/run/schedule_file.h"

namespace lockstep::cli {

/// The option --save-schedule, for every command that ends with a run.
OptionSpec save_schedule_option();
/// Performs the run once more and writes its schedule down.
Result<void> save_schedule(const Scenario& scenario, const record::Run& run, OutputFile& file, const Dsns& dsn);

/// True when what a user names is a file, not the id of a run.
bool is_schedule_file(const std::string& name);
/// The text of the file. Fault::invalid when it cannot be read or is far too large.
Result<std::string> read_schedule(const std::string& path);
Result<ScheduleFile> load_schedule(const std::string& path);

}  // namespace lockstep::cli
