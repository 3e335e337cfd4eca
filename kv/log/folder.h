// folder.h: the data folder of a store: its files, and the store that they belong to.
//
//   LOCK                         held (flock) by the process that has the store open
//   STORE                        four lines of text: what it is, its format, its id, a checksum of these
//   log-POSITION                 a segment, named after the position of its first record, 20 digits
//   checkpoint-POSITION          every row as of that position, in key order
//   SETTLED                      the position up to which the log was on disk when the store was last closed in order
//   *.new                        unfinished; removed when the store is opened
//
// A file gets its final name only after its content is on disk. Other files are left alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/log/file_system.h"
#include "kv/log/format.h"

namespace lockstep::kv {

/// What a look at a folder found. Positions in rising order.
struct FolderContents {
  std::vector<Position> segments;     ///< positions of their first records
  std::vector<Position> checkpoints;  ///< positions that they contain
  std::vector<std::string> unfinished;
  std::vector<std::string> foreign;  ///< names that mean nothing to us
  bool has_identity = false;
  bool has_settled = false;

  /// 0: there is none.
  Position newest_checkpoint() const noexcept { return checkpoints.empty() ? 0 : checkpoints.back(); }
  /// The index of the first segment that holds something behind it.
  std::size_t first_needed() const noexcept;

  bool is_empty() const noexcept { return segments.empty() && checkpoints.empty() && foreign.empty() && !has_identity; }
};

std::string join_path(const std::string& folder, std::string_view name);
std::string segment_path(const std::string& folder, Position first);
std::string checkpoint_path(const std::string& folder, Position position);

Result<FolderContents> look_into(FileSystem& files, const std::string& folder);

/// The id of the store in `folder`. A sentence for people when there is none, or one of another format.
Result<std::uint64_t> read_identity(FileSystem& files, const std::string& folder);
std::uint64_t new_store_id();
/// Makes STORE, on disk when it returns.
Result<void> write_identity(FileSystem& files, const std::string& folder, std::uint64_t id);

/// What the last close in order left; 0 when there was none.
Result<Position> read_settled(FileSystem& files, const std::string& folder, std::uint64_t id);
Result<void> write_settled(FileSystem& files, const std::string& folder, std::uint64_t id, Position position);

/// Makes the folder when it is not there, and locks it.
Result<std::unique_ptr<FolderLock>> lock_folder(FileSystem& files, const std::string& folder);

/// Writes a whole file under its final name: first as PATH.new, synced, renamed, the folder synced. The file is open
/// for more.
Result<std::unique_ptr<File>> create_whole(FileSystem& files, const std::string& folder, const std::string& path,
                                           std::string_view bytes);

/// The whole file.
Result<std::string> read_whole(FileSystem& files, const std::string& path);

}  // namespace lockstep::kv
