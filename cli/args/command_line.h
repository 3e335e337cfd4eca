// command_line.h: the command line that gives a run again, and durations as they are typed.
#pragma once

#include <optional>
#include <string>

#include "engine/record/run.h"
#include "engine/run/run.h"
#include "kv/base/clock.h"

namespace lockstep::cli {

/// `lockstep run deadlock/two-lock --store kv --protocol 2pl-detect --pattern plain --executor threads --seed 7`,
/// quoted for a shell. A data source name stands there without its password.
std::string command_of(const record::Run& run, const RunRequest& request);

/// `text`, in quotes when a POSIX shell would read more into it.
std::string shell_quoted(const std::string& text);

/// "500ms", "2s", "1m", "1.5" (seconds). nullopt for anything else, and for less than a microsecond or more than a day.
std::optional<Nanos> duration_named(const std::string& text);
/// Such a duration as text, in the largest unit that gives a whole number.
std::string name_of(Nanos duration);

}  // namespace lockstep::cli
