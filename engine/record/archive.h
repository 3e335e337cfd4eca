// archive.h: saved runs as one file, to keep or to pass on; and taking runs away.
//
// The file is a SQLite archive (https://www.sqlite.org/sqlar.html) without compression, so that `sqlite3 FILE -Ax`
// unpacks it too: a row ID/run.sqlite for each run.
#pragma once

#include <string>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

/// Packs the runs at `paths` (…/ID/run.sqlite) into the new file `file`, which appears whole or not at all and must not
/// be there before. Reads and writes in pieces: needs no memory for large recordings.
Result<void> pack(const std::vector<std::string>& paths, const std::string& file);

struct Unpacked {
  std::vector<std::string> ids;            ///< taken in
  std::vector<std::string> there_already;  ///< ids that the folder had: left as they are
  std::vector<std::string> refused;        ///< a sentence for each that is no recording
};

/// Takes the runs of an archive into `folder`. Each is checked before it gets its name; none is ever replaced.
Result<Unpacked> unpack(const std::string& file, const std::string& folder);

/// Deletes a run: FOLDER/ID/run.sqlite, the files called `beside` in the same folder, and the folder itself. If the
/// folder holds something else it stays, and `left` is its path.
Result<void> remove(const std::string& path, const std::vector<std::string>& beside, std::string& left);

}  // namespace lockstep::record
