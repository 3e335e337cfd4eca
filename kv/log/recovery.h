// recovery.h: from the files of a folder back to the rows that were committed, and to a log that can be continued.
//
// Redo only: the log holds nothing that was not committed, so there is nothing to undo. The newest checkpoint is
// loaded, then every record behind it is applied in order. The last segment is written anew, up to its last intact
// record. After a failed sync the page cache may show what the disk does not hold. A sync of clean pages would say that
// all is well. So what a recovered store shows is on disk, and what it cut off never comes back.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kv/log/file_system.h"
#include "kv/log/folder.h"
#include "kv/log/format.h"
#include "kv/log/write_set.h"
#include "kv/store.h"

namespace lockstep::kv {

/// Takes what is recovered, in order. A fault ends the recovery.
class Restorer {
 public:
  virtual ~Restorer() = default;
  virtual Result<void> put(KeyView key, std::string_view value) = 0;
  virtual Result<void> erase(KeyView key) = 0;
};

/// A segment that is complete and on disk.
struct SealedSegment {
  Position first = 0;
  Position last = 0;
  std::uint64_t bytes = 0;
};

/// A folder that is ours, and what is to be continued in it.
struct OpenFolder {
  std::unique_ptr<FolderLock> lock;
  std::uint64_t store_id = 0;
  Position last = 0;     ///< of the latest record; everything up to it is on disk
  Position settled = 0;  ///< what the file SETTLED says; at most `last`

  std::unique_ptr<File> active;  ///< the segment to append to
  Position active_first = 1;
  std::uint64_t active_bytes = 0;

  std::vector<SealedSegment> sealed;  ///< that the checkpoint does not contain, in order
  Position checkpoint = 0;            ///< 0: there is none
  std::uint64_t checkpoint_bytes = 0;

  RecoveryReport report;
};

/// Locks `folder`, makes a store in it when it is empty, and gives back what was committed. Faults: invalid,
/// permission, unavailable, disk_full, io, each with a sentence that names the file and the offset and says what to do.
/// Changes nothing when the store is damaged.
Result<OpenFolder> recover(FileSystem& files, const std::string& folder, Restorer& into);

/// Why a record cannot be applied: its checksum is right, its content is not.
Error not_writes(const std::string& path, std::uint64_t offset);

/// Calls `visit` for each write of the record; Fault::io when the record does not hold writes.
template <class Visit>
Result<void> for_each_write(const LogRecord& record, const std::string& path, Visit visit) {
  std::string_view rest = record.write_set;
  while (!rest.empty()) {
    const std::optional<LoggedWrite> write = take_write(rest);
    if (!write) return not_writes(path, record.offset);
    if (Result<void> visited = visit(*write); !visited.ok()) return visited;
  }
  return {};
}

}  // namespace lockstep::kv
