// open.h: opens a recording for reading, and refuses what is not one with a sentence that says why.
#pragma once

#include <string>

#include "engine/record/sqlite.h"
#include "kv/base/result.h"

namespace lockstep::record {

/// The recording at `path`, known to carry our application_id and schema version. Reads only: works in a folder that
/// nobody may write. Fault::invalid when it is not a recording, is cut short or of another schema; permission, io.
Result<sqlite::Database> open_recording(const std::string& path);

/// The same words for damage that shows later.
Error damaged(const std::string& path, const std::string& why);

}  // namespace lockstep::record
