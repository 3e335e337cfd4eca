// open.h: opens a recording for reading, and refuses what is not one with a sentence that says why.
#pragma once

#include <string>

#include "engine/record/sqlite.h"
#include "kv/base/result.h"

namespace lockstep::record {

/// The recording at `path`, known to carry our application_id and schema version. Reads only: works in a folder that
/// nobody may write. Fault::invalid when it is not a recording, is cut short or of another schema; permission, io.
Result<sqlite::Database> open_recording(const std::string& path);

/// What is left of a recording that open_recording() refuses because it is cut short or its pages are damaged. Queries
/// give rows up to the first page that is not there. In a short recording the tables' own definitions may be missing,
/// since they lie near the end. This program's then stand in for them, if the file is of its schema version.
/// Fault::invalid for what is no recording of this schema.
Result<sqlite::Database> open_damaged(const std::string& path);

/// The error of open_recording(), for damage that shows later.
Error damaged(const std::string& path, const std::string& why);

}  // namespace lockstep::record
